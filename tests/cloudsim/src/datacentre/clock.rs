//! Time: the computer's, as slow as a test wants it, plus what a test adds; and it can be held.

use super::Datacentre;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The one clock of a datacentre.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    /// What it showed then.
    shown: Duration,
    slowness: f64,
    is_held: bool,
    /// How far the time of day is ahead of the computer's.
    ahead: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            shown: Duration::ZERO,
            slowness: 1.0,
            is_held: false,
            ahead: Duration::ZERO,
        }
    }

    /// Goes on, if it was held.
    pub(super) fn release(&mut self) {
        if self.is_held {
            *self = Self { started: Instant::now(), is_held: false, ..*self };
        }
    }

    fn now(&self) -> Duration {
        match self.is_held {
            true => self.shown,
            false => self.shown + self.started.elapsed().div_f64(self.slowness),
        }
    }
}

impl Datacentre {
    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The time of day, as every answer and every machine tells it.
    pub fn time_of_day(&self) -> SystemTime {
        SystemTime::now() + self.clock.ahead
    }

    /// From now on the time of day is so far ahead of the computer's.
    pub fn set_ahead(&mut self, ahead: Duration) {
        self.clock.ahead = ahead;
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.clock.shown += time;
    }

    /// From now on a second here is so many of the computer's: on a slow computer, whose clients need longer
    /// for everything, all that has to happen within a time still does.
    pub fn slow_down(&mut self, slowness: f64) {
        let shown = self.now();
        self.clock = Clock { started: Instant::now(), shown, slowness, ..self.clock };
    }

    /// Holds the clock until the next call of the API: however long it takes until somebody calls, nothing has
    /// changed meanwhile.
    pub fn hold(&mut self) {
        let shown = self.now();
        self.clock = Clock { shown, is_held: true, ..self.clock };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::Settings;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn time_is_what_passes_and_what_is_added() {
        let mut datacentre = Datacentre::new(Settings::default());
        tokio::time::advance(SECOND).await;
        datacentre.advance(10 * SECOND);
        assert_eq!(datacentre.now(), 11 * SECOND);
        datacentre.slow_down(4.0);
        assert_eq!(datacentre.now(), 11 * SECOND, "it does not jump");
        tokio::time::advance(8 * SECOND).await;
        assert_eq!(datacentre.now(), 13 * SECOND);
        datacentre.advance(SECOND);
        assert_eq!(datacentre.now(), 14 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_held_until_somebody_calls() {
        let mut datacentre = Datacentre::new(Settings::default());
        datacentre.slow_down(2.0);
        tokio::time::advance(2 * SECOND).await;
        datacentre.hold();
        tokio::time::advance(60 * SECOND).await;
        assert_eq!(datacentre.now(), SECOND);
        datacentre.advance(SECOND);
        assert_eq!(datacentre.now(), 2 * SECOND);
        datacentre.count_call("Describe");
        assert_eq!(datacentre.now(), 2 * SECOND);
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(datacentre.now(), 3 * SECOND);
    }
}
