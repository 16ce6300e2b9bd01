//! How patiently a call is made again.

use crate::ErrorKind;
use std::time::Duration;

/// How often, and how long in between: exponential with full jitter, so that many callers that
/// were refused together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// Calls in all, the first one included.
    pub attempts: u32,
    /// Upper bound of the first pause; it doubles with each.
    pub first: Duration,
    /// Upper bound of any pause.
    pub longest: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { attempts: 6, first: Duration::from_millis(250), longest: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// Each call is made once.
    pub const NONE: Self = Self { attempts: 1, first: Duration::ZERO, longest: Duration::ZERO };

    /// What is too new to be known takes longer than a server that answers again.
    pub(crate) fn attempts_for(&self, kind: ErrorKind) -> u32 {
        match kind {
            ErrorKind::NotVisibleYet if self.attempts > 1 => self.attempts + 3,
            kind if kind.retryable() => self.attempts,
            _ => 1,
        }
    }

    /// The pause after the failed call number `attempt` (from 1), by a random number.
    pub(crate) fn pause(&self, attempt: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let bound = u64::try_from(doubled.min(self.longest).as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(random % bound.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_bounded() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(1, u64::MAX - 1).max(backoff.first), backoff.first);
        for attempt in [1, 5, 31, 32, 33, 1000] {
            assert!(backoff.pause(attempt, u64::MAX / 3) <= backoff.longest);
        }
    }
}
