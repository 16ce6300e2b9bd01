//! Durations as Go and Terraform write them: `30m`, `2h45m`, `1.5s`.

use crate::text::shown;
use jiff::SignedDuration;
use std::time::Duration;
use thiserror::Error;

/// Reads a duration that is longer than nothing.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let duration = parse_with_zero(text).filter(|duration| !duration.is_zero());
    duration.ok_or_else(|| InvalidDuration(shown(text)))
}

/// Reads a duration, which may be nothing: `0s`.
pub(crate) fn parse_with_zero(text: &str) -> Option<Duration> {
    // What is read also knows words, signs, spaces and ISO 8601.
    let mut chars = text.chars();
    let begins_well = chars.next().is_some_and(|first| first.is_ascii_digit());
    if !begins_well || !chars.all(|c| c.is_ascii_digit() || ".hmsuµμn".contains(c)) {
        return None;
    }
    let duration: SignedDuration = text.parse().ok()?;
    u64::try_from(duration.as_nanos()).ok().map(Duration::from_nanos)
}

/// A text that is no duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a duration longer than nothing; right would be `90s`, `30m` or `2h45m` (units are \
     `ns`, `us`, `ms`, `s`, `m` and `h`)"
)]
pub struct InvalidDuration(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("30m", 1_800_000),
            ("2h45m", 9_900_000),
            ("90s", 90_000),
            ("1.5s", 1_500),
            ("0.5s", 500),
            ("1.5h", 5_400_000),
            ("2000us", 2),
            ("2000µs", 2),
            ("1m0.25s", 60_250),
            ("250ms", 250),
            ("1000000ns", 1),
            ("2562047h", 2_562_047 * 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refusals() {
        for text in [
            "",
            "0",
            "0s",
            "10",
            "m",
            "-1m",
            "+1m",
            "1 m",
            "1d",
            "1.s.",
            "1..5s",
            "9999999h",
            "30min",
            "PT1H",
            ".5s",
            "1m1h",
            "1m ",
            "0.0000000001ns",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
