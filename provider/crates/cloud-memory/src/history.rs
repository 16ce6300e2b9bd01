//! What a thing was like and is: who asks a server that lags behind sees it as it was.

use std::sync::Arc;
use std::time::Duration;

/// A time in the cloud's own counting, from the moment when it was made.
pub type Moment = Duration;

/// For so long it is known what something was like before; no server lags behind further.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The versions of one thing, each from its moment on; none is that it was gone.
#[derive(Clone, Debug)]
pub(crate) struct History<T>(Vec<(Moment, Option<Arc<T>>)>);

impl<T> History<T> {
    /// Of something that is there from now on.
    pub(crate) fn begin(now: Moment, value: T) -> Self {
        Self(vec![(now, Some(Arc::new(value)))])
    }

    /// As it is.
    pub(crate) fn now(&self) -> Option<&Arc<T>> {
        self.0.last()?.1.as_ref()
    }

    /// As it was then.
    pub(crate) fn at(&self, moment: Moment) -> Option<&Arc<T>> {
        let (_, value) = self.0.iter().rfind(|(since, _)| *since <= moment)?;
        value.as_ref()
    }

    /// It is gone.
    pub(crate) fn end(&mut self, now: Moment) {
        self.set(now, None);
    }

    /// Whether nobody can see it any more.
    pub(crate) fn is_forgotten(&self, now: Moment) -> bool {
        let is_old = |since: Moment| since + REMEMBERED < now;
        self.0.last().is_none_or(|(since, value)| value.is_none() && is_old(*since))
    }

    fn set(&mut self, now: Moment, value: Option<Arc<T>>) {
        // The last of those that are too old is what it was like when the others begin.
        let old = self.0.iter().filter(|(since, _)| *since + REMEMBERED < now).count();
        self.0.drain(..old.saturating_sub(1));
        match self.0.last_mut() {
            Some((since, latest)) if *since == now => *latest = value,
            _ => self.0.push((now, value)),
        }
    }
}

impl<T: Clone> History<T> {
    /// Changes it, if it is there.
    pub(crate) fn change(&mut self, now: Moment, change: impl FnOnce(&mut T)) {
        let Some(latest) = self.now() else { return };
        let mut value = T::clone(latest);
        change(&mut value);
        self.set(now, Some(Arc::new(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_was_is_remembered_for_a_while() {
        let mut history = History::begin(SECOND, 1);
        history.change(3 * SECOND, |value| *value = 2);
        history.change(3 * SECOND, |value| *value += 1);
        history.end(5 * SECOND);
        let seen = |history: &History<i32>, at: u32| history.at(at * SECOND).map(|value| **value);
        let all: Vec<_> = (0..6).map(|at| seen(&history, at)).collect();
        assert_eq!(all, [None, Some(1), Some(1), Some(3), Some(3), None]);
        assert_eq!(history.now(), None);
        assert!(!history.is_forgotten(10 * SECOND) && history.is_forgotten(1000 * SECOND));

        let mut long = History::begin(SECOND, 0);
        for minute in 1..100 {
            long.change(minute * 60 * SECOND, |value| *value = minute);
        }
        assert!(long.0.len() < 15, "{}", long.0.len());
        assert_eq!(long.at((99 * 60 - 600) * SECOND).map(|value| **value), Some(89));
    }
}
