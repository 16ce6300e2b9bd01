//! systemd's EnvironmentFile format: assignments, one a line, with quotes and backslashes, and
//! without any expansion.

use std::iter::Peekable;
use std::str::Chars;

/// A file that is no list of assignments.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum EnvironmentError {
    #[error("line {0} is no assignment")]
    NotAnAssignment(usize),
    #[error("`{0}` is no name of a variable")]
    Name(String),
    #[error("the value of `{0}` has a quote that is not closed")]
    OpenQuote(String),
}

/// The variables of an environment file, in its order; a later assignment wins.
pub(crate) fn parse_file(text: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut variables = Vec::new();
    let mut rest = text.chars().peekable();
    let mut line = 1;
    loop {
        match rest.peek() {
            None => return Ok(variables),
            Some('\n') => {
                rest.next();
                line += 1;
            }
            Some(' ' | '\t' | '\r') => {
                rest.next();
            }
            Some('#' | ';') => while rest.next_if(|c| *c != '\n').is_some() {},
            Some(_) => {
                let name = take_name(&mut rest).ok_or(EnvironmentError::NotAnAssignment(line))?;
                if !is_name(&name) {
                    return Err(EnvironmentError::Name(name));
                }
                let value = take_value(&mut rest, &mut line)
                    .ok_or_else(|| EnvironmentError::OpenQuote(name.clone()))?;
                variables.push((name, value));
            }
        }
    }
}

/// The assignments of a unit's `Environment=`: words, of which each may be quoted.
pub(crate) fn parse_assignments(text: &str) -> Result<Vec<(String, String)>, EnvironmentError> {
    let mut variables = Vec::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        if rest.next_if(|c| c.is_ascii_whitespace()).is_some() {
            continue;
        }
        let word =
            take_word(&mut rest).ok_or_else(|| EnvironmentError::OpenQuote(text.to_owned()))?;
        let (name, value) = word.split_once('=').ok_or(EnvironmentError::NotAnAssignment(1))?;
        if !is_name(name) {
            return Err(EnvironmentError::Name(name.to_owned()));
        }
        variables.push((name.to_owned(), value.to_owned()));
    }
    Ok(variables)
}

pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn take_name(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut name = String::new();
    loop {
        match rest.next_if(|c| *c != '\n')? {
            '=' => return Some(name.trim_end().to_owned()),
            c => name.push(c),
        }
    }
}

/// A value up to the end of its line; lines that a backslash or a quote joins are one. Blanks
/// around it count only inside of quotes.
fn take_value(rest: &mut Peekable<Chars<'_>>, line: &mut usize) -> Option<String> {
    while rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
    let mut value = String::new();
    let mut kept = 0;
    loop {
        match rest.next() {
            None => break,
            Some('\n') => {
                *line += 1;
                break;
            }
            Some('\\') => match rest.next() {
                None => break,
                Some('\n') => *line += 1,
                Some(c) => {
                    value.push(c);
                    kept = value.len();
                }
            },
            Some(quote @ ('"' | '\'')) => {
                take_quoted(rest, quote, &mut value, line)?;
                kept = value.len();
            }
            Some(c) => {
                value.push(c);
                if !matches!(c, ' ' | '\t' | '\r') {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    Some(value)
}

/// The rest of a quoted text. In double quotes a backslash makes `"`, `\`, `` ` `` and `$` literal
/// and joins lines, and is itself before anything else; in single quotes it is nothing special.
fn take_quoted(
    rest: &mut Peekable<Chars<'_>>,
    quote: char,
    value: &mut String,
    line: &mut usize,
) -> Option<()> {
    loop {
        match rest.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => match rest.next()? {
                '\n' => *line += 1,
                c @ ('"' | '\\' | '`' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => {
                if c == '\n' {
                    *line += 1;
                }
                value.push(c);
            }
        }
    }
}

fn take_word(rest: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut word = String::new();
    let mut quote = None;
    loop {
        match (rest.next_if(|c| quote.is_some() || !c.is_ascii_whitespace()), quote) {
            (None, None) => return Some(word),
            (None, Some(_)) => return None,
            (Some(c), Some(open)) if c == open => quote = None,
            (Some(c @ ('"' | '\'')), None) => quote = Some(c),
            (Some('\\'), _) => word.push(rest.next()?),
            (Some(c), _) => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        for (text, value) in [
            ("A=x", "x"),
            ("A=", ""),
            ("  A = x y  ", "x y"),
            ("A=\"x y\"", "x y"),
            ("A=\" x \" ", " x "),
            ("A='x\\y\"'", "x\\y\""),
            (r#"A="a\"b\\c\$d\`e""#, "a\"b\\c$d`e"),
            (r#"A="a\nb""#, r"a\nb"),
            (r"A=a\b", "ab"),
            ("A=a\\\nb", "ab"),
            ("A=\"a\\\nb\"", "ab"),
            ("A=a#b", "a#b"),
            ("A=a=b", "a=b"),
            ("A=$HOME %i", "$HOME %i"),
            ("A=ä☃", "ä☃"),
            ("# c\n; c\n\nA=1\n", "1"),
        ] {
            assert_eq!(parse_file(text), Ok(vec![("A".to_owned(), value.to_owned())]), "{text}");
        }
    }

    #[test]
    fn what_is_no_assignment_is_refused() {
        for (text, error) in [
            ("A=1\nB", EnvironmentError::NotAnAssignment(2)),
            ("1A=1", EnvironmentError::Name("1A".to_owned())),
            ("A-B=1", EnvironmentError::Name("A-B".to_owned())),
            ("A=\"x", EnvironmentError::OpenQuote("A".to_owned())),
            ("export A=1", EnvironmentError::Name("export A".to_owned())),
        ] {
            assert_eq!(parse_file(text), Err(error), "{text}");
        }
    }

    #[test]
    fn assignments_of_a_unit_are_words() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parse_assignments(r#"A=1 "B=x y" C='z'"#),
            Ok(vec![pair("A", "1"), pair("B", "x y"), pair("C", "z")])
        );
        assert!(parse_assignments("A").is_err());
        assert!(parse_assignments("\"A=1").is_err());
    }

    proptest! {
        /// What the generator writes (double quotes, a backslash before the four) comes back.
        #[test]
        fn quoted_values_come_back(value in "[^\\x00\n]*") {
            let mut text = String::from("NAME=\"");
            for c in value.chars() {
                if matches!(c, '"' | '\\' | '`' | '$') {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push_str("\"\nNEXT=1\n");
            let variables = parse_file(&text).unwrap();
            prop_assert_eq!(&variables[0].1, &value);
            prop_assert_eq!(&variables[1].0, "NEXT");
        }

        #[test]
        fn no_text_is_too_strange(text in any::<String>()) {
            let _ = parse_file(&text);
            let _ = parse_assignments(&text);
        }
    }
}
