//! Spans of time as systemd writes them: `90`, `500ms`, `1min 30s`.

use std::time::Duration;

/// A text that is no span of time.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a span of time like `90`, `500ms` or `1min 30s`")]
pub struct NotATimeSpan(String);

/// Reads a span of time; a number without a unit is seconds.
///
/// # Errors
/// When it is none.
pub fn parse(text: &str) -> Result<Duration, NotATimeSpan> {
    let fail = || NotATimeSpan(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fail());
    }
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u32 = rest[..digits].parse().map_err(|_| fail())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" | "msec" => Duration::from_millis(1),
            "" | "s" | "sec" | "second" | "seconds" => Duration::from_secs(1),
            "m" | "min" | "minute" | "minutes" => Duration::from_secs(60),
            "h" | "hr" | "hour" | "hours" => Duration::from_secs(3600),
            _ => return Err(fail()),
        };
        rest = rest[letters..].trim_start();
        sum = unit.checked_mul(number).and_then(|part| sum.checked_add(part)).ok_or_else(fail)?;
    }
    Ok(sum)
}

/// For `#[serde(with)]`: a span of time that may be left out.
pub mod optional {
    use serde::{Deserialize, Deserializer, de::Error};
    use std::time::Duration;

    /// Reads one, or nothing.
    ///
    /// # Errors
    /// When it is no span of time.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| super::parse(&text).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_systemd_reads_them() {
        for (text, milliseconds) in [
            ("90", Some(90_000)),
            ("0", Some(0)),
            ("500ms", Some(500)),
            ("2s", Some(2000)),
            ("1min 30s", Some(90_000)),
            ("1min30", Some(90_000)),
            ("2 h", Some(7_200_000)),
            ("", None),
            ("s", None),
            ("infinity", None),
            ("1.5s", None),
            ("-1", None),
            ("5x", None),
        ] {
            let span = parse(text).ok().map(|span| span.as_millis());
            assert_eq!(span, milliseconds, "{text}");
        }
    }
}
