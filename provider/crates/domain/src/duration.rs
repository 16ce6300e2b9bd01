//! Durations as Go and Terraform write them: `30m`, `2h45m`, `1.5s`.

use crate::text::shown;
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
    let mut rest = Some(text).filter(|text| !text.is_empty())?;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let part = unit_nanos(unit).and_then(|unit| multiplied(number, unit))?;
        nanos = nanos.checked_add(part)?;
        rest = after;
    }
    u64::try_from(nanos).ok().map(Duration::from_nanos)
}

/// A text that is no duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a duration longer than nothing; right would be `90s`, `30m` or `2h45m` (units are \
     `ns`, `us`, `ms`, `s`, `m` and `h`)"
)]
pub struct InvalidDuration(String);

fn unit_nanos(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number of units in nanoseconds; what is below one nanosecond is cut off.
fn multiplied(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = digits(whole)?.checked_mul(unit)?;
    whole.checked_add(digits(fraction)? * unit / scale)
}

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
            (".5s", 500),
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
            "1m ",
            "0.0000000001ns",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
