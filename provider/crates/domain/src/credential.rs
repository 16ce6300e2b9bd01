//! What looks like a secret: a name that one is given to, a value in the shape of one. A guess, for warnings
//! and for what is better not shown; nothing is refused for it, and no value is repeated.

/// Whether a variable of this name and value seems to hold a secret.
pub fn is_credential(name: &str, value: &str) -> bool {
    has_credential(value) || (is_name_of_credential(name) && !is_plain(value))
}

/// Whether a token of a known kind stands somewhere in a text.
pub fn has_credential(text: &str) -> bool {
    text.contains(" PRIVATE KEY-----") || KINDS.iter().any(|kind| kind.is_in(text))
}

/// Its last word says it: `HF_TOKEN`, `AWS_SECRET_ACCESS_KEY`, `DB_PASSWORD`.
fn is_name_of_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let mut words = name.split('_').filter(|word| !word.is_empty());
    words.next_back().is_some_and(|last| LAST_WORDS.contains(&last)) || name.contains("PASSWORD")
}

const LAST_WORDS: &[&str] = &[
    "APIKEY",
    "CREDENTIAL",
    "CREDENTIALS",
    "KEY",
    "PASSPHRASE",
    "PASSWD",
    "PASSWORD",
    "PAT",
    "SECRET",
    "TOKEN",
];

/// What no secret is: a switch, a number, a path to where one may be.
fn is_plain(value: &str) -> bool {
    let is_word = ["true", "false", "yes", "no", "on", "off", "none", "auto"];
    value.trim().is_empty()
        || value.parse::<f64>().is_ok()
        || value.starts_with('/')
        || is_word.contains(&value.to_ascii_lowercase().as_str())
}

/// Tokens of one kind: how they begin, and how many characters follow at least.
struct Kind {
    begins: &'static str,
    follows: usize,
    is_body: fn(u8) -> bool,
}

impl Kind {
    fn is_in(&self, text: &str) -> bool {
        let begins_word = |at: usize| {
            let before = text.as_bytes()[..at].last();
            before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        };
        text.match_indices(self.begins).any(|(at, begins)| {
            let body = text.as_bytes()[at + begins.len()..].iter();
            begins_word(at)
                && body.take_while(|byte| (self.is_body)(**byte)).count() >= self.follows
        })
    }
}

const fn kind(begins: &'static str, follows: usize, is_body: fn(u8) -> bool) -> Kind {
    Kind { begins, follows, is_body }
}

fn is_letter_or_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Of model hubs, AI providers, clouds and code hosts.
const KINDS: &[Kind] = &[
    kind("hf_", 12, is_letter_or_digit),
    kind("nvapi-", 12, is_of_a_word),
    kind("sk-", 12, is_of_a_word),
    kind("AKIA", 16, is_letter_or_digit),
    kind("ASIA", 16, is_letter_or_digit),
    kind("ghp_", 12, is_letter_or_digit),
    kind("gho_", 12, is_letter_or_digit),
    kind("ghs_", 12, is_letter_or_digit),
    kind("github_pat_", 12, is_of_a_word),
    kind("glpat-", 12, is_of_a_word),
    kind("xoxb-", 12, is_of_a_word),
    kind("ya29.", 12, is_of_a_word),
    // A JSON web token.
    kind("eyJ", 30, is_of_a_word),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values() {
        for (name, value, expected) in [
            ("HF_TOKEN", "hf_abcdef", true),
            ("AWS_SECRET_ACCESS_KEY", "x1y2z3", true),
            ("WANDB_API_KEY", "0123abc", true),
            ("db_password", "hunter2", true),
            ("PGPASSWORD", "hunter2", true),
            ("LOGIN", "hf_AbCdEfGhIjKlMnOp", true),
            ("URL", "https://me:ghp_0123456789abcdef@github.com/x", true),
            ("ARGS", "--api-key=sk-0123456789abcdef --x", true),
            ("A", "AKIA0123456789ABCDEF", true),
            ("A", "-----BEGIN RSA PRIVATE KEY-----", true),
            ("HF_TOKEN", "", false),
            ("HF_TOKEN_PATH", "/run/secrets/hf", false),
            ("HF_TOKEN", "/run/secrets/hf", false),
            ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", false),
            ("MAX_TOKENS", "4096", false),
            ("TOKENIZER", "Qwen/Qwen3-32B", false),
            ("KV_CACHE_DTYPE", "fp8", false),
            ("BACKEND", "hf_transfer", false),
            ("DISK", "disk-of-the-model-cache-1", false),
            ("MODEL", "risk-assessment-model-v2", false),
        ] {
            assert_eq!(is_credential(name, value), expected, "{name}");
        }
    }
}
