//! Rust source as far as the module graph needs it: the paths that a file names, without comments, texts
//! and tests.

/// The text without comments, without what stands in quotes, and without test modules.
pub(crate) fn bare(source: &str) -> String {
    with_modules_inside_as_one(&without_tests(&without_comments_and_texts(source)))
}

/// Every path of the text that has more than one segment, and every path of a `use`, with its braces
/// multiplied out and without the names that it is given.
pub(crate) fn paths(bare: &str) -> Vec<Vec<String>> {
    let tokens = tokens(bare);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            let end = at + tokens[at..].iter().position(|token| *token == ";").unwrap_or(0);
            tree(&tokens[at + 1..end], &mut 0, &[], &mut |path, _| found.push(path.to_vec()));
            at = end.max(at + 1);
        } else if is_word(tokens[at]) && tokens.get(at + 1) == Some(&"::") {
            let mut path = vec![tokens[at].to_owned()];
            while tokens.get(at + 1) == Some(&"::")
                && tokens.get(at + 2).is_some_and(|next| is_word(next))
            {
                path.push(tokens[at + 2].to_owned());
                at += 2;
            }
            found.push(path);
            at += 1;
        } else {
            at += 1;
        }
    }
    found
}

/// What every `use` of the text brings in: the name here, and the path that it stands for. A glob has the
/// name `*`.
pub(crate) fn imports(bare: &str) -> Vec<(String, Vec<String>)> {
    let tokens = tokens(bare);
    let mut found = Vec::new();
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| **token == "use") {
        let end = at + tokens[at..].iter().position(|token| *token == ";").unwrap_or(0);
        tree(&tokens[at + 1..end], &mut 0, &[], &mut |path, name| {
            found.push((name.to_owned(), path.to_vec()));
        });
    }
    found
}

/// The names of the items that the text defines.
pub(crate) fn items(bare: &str) -> Vec<String> {
    const KEYWORDS: [&str; 9] =
        ["fn", "struct", "enum", "trait", "const", "static", "type", "mod", "union"];
    let tokens = tokens(bare);
    let pairs = tokens.windows(2).filter(|pair| KEYWORDS.contains(&pair[0]) && is_word(pair[1]));
    pairs.map(|pair| pair[1].to_owned()).collect()
}

/// One branch of a `use`, from `at` on.
fn tree(
    tokens: &[&str],
    at: &mut usize,
    prefix: &[String],
    found: &mut dyn FnMut(&[String], &str),
) {
    let mut path = prefix.to_vec();
    while *at < tokens.len() {
        match tokens[*at] {
            "::" => *at += 1,
            "{" => {
                *at += 1;
                while *at < tokens.len() && tokens[*at] != "}" {
                    tree(tokens, at, &path, found);
                    if tokens.get(*at) == Some(&",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "*" => {
                *at += 1;
                found(&path, "*");
                return;
            }
            "," | "}" => break,
            "as" => {
                found(&path, tokens.get(*at + 1).copied().unwrap_or("_"));
                *at += 2;
                return;
            }
            word => {
                // `name::{self}` is `name`.
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                *at += 1;
            }
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    found(&path, &name);
}

fn is_word(token: &str) -> bool {
    token.chars().next().is_some_and(|first| first.is_alphabetic() || first == '_')
}

fn tokens(bare: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = bare.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_of_word = |one: char| one.is_alphanumeric() || one == '_';
        let length = if is_of_word(first) {
            rest.find(|one| !is_of_word(one)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

fn without_comments_and_texts(source: &str) -> String {
    let mut bare = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_text(rest).filter(|_| !ends_in_word(&bare)) {
            length
        } else if first == '"' {
            1 + quoted(&rest[1..], '"')
        } else if first == '\'' {
            character(rest)
        } else {
            0
        };
        if skipped == 0 {
            bare.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            bare.push(' ');
            rest = &rest[skipped..];
        }
    }
    bare
}

fn ends_in_word(text: &str) -> bool {
    text.ends_with(|one: char| one.is_alphanumeric() || one == '_')
}

/// The length of a raw text that begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let marks = rest.strip_prefix("br").or(rest.strip_prefix('r'))?;
    let before = rest.len() - marks.len();
    let hashes = marks.len() - marks.trim_start_matches('#').len();
    let text = marks[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = text.find(&end).map_or(text.len(), |at| at + end.len());
    Some(before + hashes + 1 + length)
}

/// To behind the closing mark.
fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, one) in rest.char_indices() {
        match one {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            one if one == mark => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a character in quotes; that of the mark alone where it begins a lifetime.
fn character(rest: &str) -> usize {
    let mut inside = rest[1..].chars();
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => 1 + quoted(&rest[1..], '\''),
        (Some(one), Some('\'')) => 1 + one.len_utf8() + 1,
        _ => 1,
    }
}

/// Without modules under `#[cfg(test)]`, and without anything else that is.
fn without_tests(bare: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(bare.len());
    let mut rest = bare;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        rest = &rest[item(rest)..];
    }
    kept.push_str(rest);
    kept
}

/// A module inside a file is no file: what is `super` to it is the file itself.
fn with_modules_inside_as_one(bare: &str) -> String {
    let mut one = String::with_capacity(bare.len());
    let mut rest = bare;
    while let Some(at) = rest.find("mod ") {
        let (before, from) = rest.split_at(at);
        one.push_str(before);
        let (inside, after) = from.split_at(item(from));
        match inside.contains('{') && !ends_in_word(before) {
            true => one.push_str(&inside.replace("super::", "self::")),
            false => one.push_str(inside),
        }
        rest = after;
    }
    one.push_str(rest);
    one
}

/// The length of the item that begins here: to its `;`, or to the end of its block.
fn item(rest: &str) -> usize {
    let mut depth = 0;
    for (at, one) in rest.char_indices() {
        match one {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    rest.len()
}

#[test]
fn a_file_is_read_as_the_compiler_reads_it() {
    let source = r##"
        //! crate::comment::One
        use crate::{Region, tags::{self, filter as f}, fleet};
        pub use super::types::*;
        const TEXT: &str = "crate::text::One \" '";
        fn all<'a>(mark: char) { if mark == '"' { crate::cleanup::collect(r#"crate::raw" "#) } }
        mod as_text { use super::all; }
        #[cfg(test)]
        mod tests { use crate::testing::One; }
        fn last() -> ssh::Access {}
    "##;
    let bare = bare(source);
    let paths: Vec<String> = paths(&bare).iter().map(|path| path.join("::")).collect();
    let expected = [
        "crate::Region",
        "crate::tags",
        "crate::tags::filter",
        "crate::fleet",
        "super::types",
        "crate::cleanup::collect",
        "self::all",
        "ssh::Access",
    ];
    assert_eq!(paths, expected);
    assert_eq!(items(&bare), ["TEXT", "all", "as_text", "last"]);
    let names: Vec<String> = imports(&bare).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Region", "tags", "f", "fleet", "*", "all"]);
}
