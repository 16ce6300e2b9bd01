//! How long a drain may take, as a configuration says it.

use crate::duration;
use crate::text::shown;
use std::time::Duration;
use thiserror::Error;

/// Nobody watches an apply for longer, and an answer that takes longer has long lost its client.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the longest time that a drain may take: `0s` is none.
///
/// # Errors
/// Says what would be right.
pub fn parse_limit(text: &str) -> Result<Duration, InvalidLimit> {
    let limit =
        duration::parse_with_zero(text).ok_or_else(|| InvalidLimit::NoDuration(shown(text)))?;
    if limit > LONGEST { Err(InvalidLimit::TooLong(shown(text))) } else { Ok(limit) }
}

/// A text that is no time for a drain.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidLimit {
    /// Not a duration.
    #[error(
        "`{0}` is not a duration; right would be `90s`, `10m` or `1h30m`, or `0s`, with which no running \
         answer is waited for"
    )]
    NoDuration(String),
    /// Above what makes sense.
    #[error("`{0}` is longer than a day; a drain may take 24 hours at most")]
    TooLong(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (text, seconds) in [("0s", 0), ("0m", 0), ("0h0s", 0), ("10m", 600), ("24h", 86_400)] {
            assert_eq!(parse_limit(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "0", "10", "-1s", "-0s", "1d", "soon", "s", "0.s.", " 1s"] {
            assert!(matches!(parse_limit(text), Err(InvalidLimit::NoDuration(_))), "{text}");
        }
        for text in ["24h1s", "2562047h"] {
            assert!(matches!(parse_limit(text), Err(InvalidLimit::TooLong(_))), "{text}");
        }
    }
}
