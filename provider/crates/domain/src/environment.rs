//! Environment variables: which names and values there may be, which names are ours, and the format
//! of a file that systemd reads with `EnvironmentFile=`.

use crate::text::shown;
use cloud::is_printable;
use std::collections::BTreeMap;
use thiserror::Error;

/// Variables of one process or machine.
pub type Environment = BTreeMap<String, String>;

/// Checks the name of a variable.
///
/// # Errors
/// Says the rule.
pub fn check_name(name: &str) -> Result<(), InvalidVariable> {
    let mut bytes = name.bytes();
    let begins = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Ok(());
    }
    Err(InvalidVariable::Name(shown(name)))
}

/// Checks the value of a variable: one line of printable text, because neither systemd nor a shell
/// reads anything else back as it was.
///
/// # Errors
/// Says which character is wrong and where; never the value, which may be a secret by mistake.
pub fn check_value(value: &str) -> Result<(), InvalidVariable> {
    match value.chars().enumerate().find(|(_, c)| !is_printable(*c)) {
        None => Ok(()),
        Some((index, character)) => {
            Err(InvalidVariable::Value { code: u32::from(character), position: index + 1 })
        }
    }
}

/// Checks that a user may set a variable. With `custom` the user's commands are all that runs, and
/// only what the machine itself is told by stays reserved.
///
/// # Errors
/// Says why it is reserved.
pub fn check_reserved(name: &str, custom: bool) -> Result<(), ReservedVariable> {
    let reserved = |reason| Err(ReservedVariable { name: name.to_owned(), reason });
    if name.starts_with("DISAGG_") || name == "DSTACK_ROUTER_INTERNAL_IP" {
        return reserved("the machine learns from it who it is");
    }
    if SCRIPTS.contains(&name) {
        return reserved("the machine's own scripts run with it; `commands` may export another");
    }
    if custom {
        return Ok(());
    }
    if RENDERED.contains(&name) {
        return reserved("the provider sets it, so that the machines of a service find each other");
    }
    Ok(())
}

/// Variables that would change what the boot scripts do, rather than the engine: they share one
/// environment.
const SCRIPTS: &[&str] = &[
    "BASHOPTS",
    "BASH_ENV",
    "ENV",
    "EUID",
    "GCONV_PATH",
    "HOME",
    "IFS",
    "LD_AUDIT",
    "LD_PRELOAD",
    "PATH",
    "PPID",
    "PS4",
    "PWD",
    "SHELLOPTS",
    "UID",
    "_",
];

/// Variables of Dynamo and the engines that the provider or its boot scripts set.
const RENDERED: &[&str] = &[
    "ETCD_ENDPOINTS",
    "NATS_SERVER",
    "DYN_NAMESPACE",
    "DYN_NAMESPACE_PREFIX",
    "DYN_NAMESPACE_WORKER_SUFFIX",
    "DYN_DISCOVERY_BACKEND",
    "DYN_REQUEST_PLANE",
    "DYN_EVENT_PLANE",
    "DYN_EVENT_PLANE_HOST",
    "DYN_HEALTH_CHECK_ENABLED",
    "DYN_SYSTEM_HOST",
    "DYN_SYSTEM_PORT",
    "DYN_TCP_RPC_HOST",
    "DYN_TCP_RPC_PORT",
    "DYN_TCP_RESPONSE_STREAM_HOST",
    "DYN_TCP_RESPONSE_STREAM_PORT",
    "CUDA_VISIBLE_DEVICES",
    "SGLANG_HOST_IP",
    "VLLM_HOST_IP",
    "VLLM_PORT",
    "VLLM_NIXL_SIDE_CHANNEL_HOST",
    "VLLM_NIXL_SIDE_CHANNEL_PORT",
];

/// A name or a value that cannot be.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidVariable {
    /// The name.
    #[error(
        "`{0}` is not a variable's name; a name has letters, digits and underscores and does not \
         begin with a digit"
    )]
    Name(String),
    /// The value.
    #[error(
        "the value has the character U+{code:04X} at position {position}; a value is one line of \
         printable text"
    )]
    Value {
        /// The character's number in Unicode.
        code: u32,
        /// Its position, counted from 1 in characters.
        position: usize,
    },
}

/// A variable that is not the user's to set.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{name}` is reserved: {reason}")]
pub struct ReservedVariable {
    name: String,
    reason: &'static str,
}

/// Writes variables as an `EnvironmentFile`: one `NAME="value"` a line, in the order of the names,
/// with a backslash before each `\`, `"`, `$` and `` ` ``. A shell that sources the file reads the
/// same values.
///
/// # Errors
/// When a name or a value cannot stand in such a file.
pub fn encode(variables: &Environment) -> Result<String, InvalidVariable> {
    let mut text = String::new();
    for (name, value) in variables {
        check_name(name)?;
        check_value(value)?;
        text.push_str(name);
        text.push_str("=\"");
        for character in value.chars() {
            if matches!(character, '\\' | '"' | '$' | '`') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push_str("\"\n");
    }
    Ok(text)
}

/// Reads back what [`encode`] wrote; empty lines and comments are passed over.
///
/// # Errors
/// Names the first line that is not of that form.
pub fn decode(text: &str) -> Result<Environment, InvalidLine> {
    let mut variables = Environment::new();
    for (index, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = decode_line(line).ok_or(InvalidLine(index + 1))?;
        variables.insert(name.to_owned(), value);
    }
    Ok(variables)
}

/// A line that [`encode`] does not write.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {0} of the environment file is not `NAME=\"value\"`")]
pub struct InvalidLine(usize);

fn decode_line(line: &str) -> Option<(&str, String)> {
    let (name, quoted) = line.split_once('=')?;
    check_name(name).ok()?;
    let mut characters = quoted.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut value = String::new();
    while let Some(character) = characters.next() {
        value.push(match character {
            '\\' => characters.next()?,
            '"' => return None,
            plain => plain,
        });
    }
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["A", "_a9", "HF_TOKEN"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", "9A", "A-B", "A B", "Ä", "A="] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values() {
        for good in ["", "plain", "a\tb", "$HOME \"x\" 'y' `z` \\ %i #", "モデル😀"] {
            assert_eq!(check_value(good), Ok(()), "{good}");
        }
        for bad in ["a\nb", "\0", "\r", "\u{7f}", "\u{85}", "\u{ffff}", "\u{fdd0}", "\u{1b}[1m"] {
            assert!(check_value(bad).is_err(), "{bad:?}");
        }
        expect!["the value has the character U+000A at position 7; a value is one line of printable text"]
            .assert_eq(&check_value("secret\nvalue").unwrap_err().to_string());
    }

    #[test]
    fn reserved_names() {
        for (name, custom, reserved) in [
            ("DISAGG_ROLE", false, true),
            ("DISAGG_ANYTHING", true, true),
            ("DSTACK_ROUTER_INTERNAL_IP", true, true),
            ("PATH", false, true),
            ("HOME", true, true),
            ("ETCD_ENDPOINTS", false, true),
            ("ETCD_ENDPOINTS", true, false),
            ("DYN_SYSTEM_PORT", false, true),
            ("DYN_LOG", false, false),
            ("NCCL_DEBUG", false, false),
        ] {
            assert_eq!(check_reserved(name, custom).is_err(), reserved, "{name} {custom}");
        }
    }

    #[test]
    fn file_format() {
        let variables = Environment::from(
            [("B", r#"say "$HOME" \ `x`"#), ("A", ""), ("C", "a #b %i 'c'")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        let text = encode(&variables).unwrap();
        expect![[r#"
            A=""
            B="say \"\$HOME\" \\ \`x\`"
            C="a #b %i 'c'"
        "#]]
        .assert_eq(&text);
        assert_eq!(decode(&text), Ok(variables));
        for wrong in ["A", "A=b", "A=\"b", "A=\"b\"c\"", "9=\"\"", "A=\"b\\\""] {
            assert_eq!(decode(wrong), Err(InvalidLine(1)), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_environment_survives_its_file(
            variables in prop::collection::btree_map(
                "[A-Za-z_][A-Za-z0-9_]{0,8}",
                any::<String>().prop_map(|value| value.chars().filter(|c| is_printable(*c)).collect::<String>()),
                0..6,
            )
        ) {
            let text = encode(&variables).unwrap();
            prop_assert_eq!(decode(&text).unwrap(), variables);
        }

        #[test]
        fn what_is_not_printable_never_gets_into_a_file(value in any::<String>()) {
            let variables = Environment::from([("A".to_owned(), value.clone())]);
            prop_assert_eq!(encode(&variables).is_ok(), value.chars().all(is_printable));
        }
    }
}
