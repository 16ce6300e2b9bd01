//! Eventual consistency: what was made or changed a moment ago is not known to every server of the API.
//!
//! For the first half of [`Settings::known_after_seconds`](super::Settings) no server knows a new object,
//! for the second half every other call meets one that does. Changes of what exists show at once, unless a
//! cloud keeps a [`History`] of them.

use super::Datacentre;
use std::time::Duration;

impl Datacentre {
    /// Whether the server that answers this call knows the object.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let Some(made_at) = self.births.get(id) else { return true };
        let age = self.now().saturating_sub(*made_at);
        let known_after = Duration::from_secs_f64(self.settings.known_after_seconds);
        let is_ahead = self.calls.values().sum::<u64>() % 2 == 0;
        age >= known_after || (age >= known_after / 2 && is_ahead)
    }
}

/// What an object was like before its last changes: while a change is new, the first, the third… call after
/// it meets a server that does not know it.
#[derive(Clone, Debug)]
pub(crate) struct History<T>(Vec<Earlier<T>>);

#[derive(Clone, Debug)]
struct Earlier<T> {
    changed_at: Duration,
    /// How many of the calls that show such objects there had been.
    calls: u64,
    value: T,
}

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> History<T> {
    /// Keeps what an object is like that is about to be changed.
    pub(crate) fn keep(&mut self, value: T, now: Duration, known_after: Duration, calls: u64) {
        self.0.retain(|earlier| now < earlier.changed_at + known_after);
        self.0.push(Earlier { changed_at: now, calls, value });
    }

    /// What the object is like to the server that answers this call, if that does not know its last changes:
    /// who does not know a change does not know what came after it.
    pub(crate) fn shown(&self, now: Duration, known_after: Duration, calls: u64) -> Option<&T> {
        let is_unknown = |earlier: &&Earlier<T>| {
            now < earlier.changed_at + known_after && (calls - earlier.calls) % 2 == 1
        };
        self.0.iter().find(is_unknown).map(|earlier| &earlier.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_by_and_by() {
        const LATE: Duration = Duration::from_secs(1000);
        let mut history = History::default();
        history.keep("first", Duration::ZERO, LATE, 0);
        let shown = |history: &History<_>, calls| history.shown(LATE / 2, LATE, calls).copied();
        assert_eq!(
            [1, 2, 3].map(|calls| shown(&history, calls)),
            [Some("first"), None, Some("first")]
        );
        history.keep("second", LATE / 2, LATE, 2);
        let both = [3, 4].map(|calls| shown(&history, calls));
        assert_eq!(both, [Some("first"), None]);
        assert_eq!(history.shown(2 * LATE, LATE, 5), None, "everybody knows it now");
    }
}
