//! How often to ask, and for how long a cloud may not know yet what it has just launched.

use cloud::{Cloud, Deadline, Interrupted};
use std::time::Duration;
use tokio::time::Instant;

/// Early first rounds, then fewer: as a rule not later after the event than a share of what the wait has
/// taken, within a shortest and a longest pause, as the cloud's profile says.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    shortest: Duration,
    longest: Duration,
    /// Of the time since the start.
    share: f64,
    listing_lag: Duration,
    lists: Due,
    consoles: Due,
}

/// What the cloud's lists have shown of a machine since a wait began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sightings {
    was_listed: bool,
    /// So many of the latest lists were without it.
    missed: u32,
}

impl Sightings {
    /// One more list, with it or without.
    pub(crate) fn add(&mut self, is_listed: bool) {
        self.missed = if is_listed { 0 } else { self.missed + 1 };
        self.was_listed |= is_listed;
    }
}

/// When something is read that changes seldom: after some time, and then each time that the wait
/// has taken twice as long; each time if it is after no time.
#[derive(Clone, Copy, Debug)]
struct Due(Duration);

impl Due {
    fn is_due(&mut self, waited: Duration) -> bool {
        let is_due = waited >= self.0;
        if is_due && !self.0.is_zero() {
            self.0 = (waited * 2).min(waited + Duration::from_secs(60));
        }
        is_due
    }
}

impl Pace {
    pub(crate) fn new(cloud: &dyn Cloud) -> Self {
        let (polling, propagation) = (cloud.profile().polling, cloud.profile().propagation);
        Self {
            start: Instant::now(),
            shortest: polling.shortest,
            longest: polling.longest,
            share: polling.share,
            listing_lag: propagation.longest,
            lists: Due(polling.first_list),
            consoles: Due(polling.first_consoles),
        }
    }

    /// With the same pause each time.
    pub(crate) fn every(pause: Duration) -> Self {
        Self {
            start: Instant::now(),
            shortest: pause,
            longest: pause,
            share: 0.0,
            listing_lag: Duration::ZERO,
            lists: Due(Duration::ZERO),
            consoles: Due(Duration::ZERO),
        }
    }

    /// The time since the wait began.
    pub(crate) fn waited(&self) -> Duration {
        self.start.elapsed()
    }

    /// For rounds that ask the router itself, or its console where it cannot be reached: what they wait
    /// for is what all others wait for.
    pub(crate) fn tight(mut self) -> Self {
        self.share = self.share.min(0.06);
        self
    }

    /// Whether it is time to ask the cloud what machines there are.
    pub(crate) fn lists_due(&mut self) -> bool {
        self.lists.is_due(self.start.elapsed())
    }

    /// Whether it is time to read the console of every machine that is waited for.
    pub(crate) fn consoles_due(&mut self) -> bool {
        self.consoles.is_due(self.start.elapsed())
    }

    /// Asks at least this often.
    pub(crate) fn at_most(mut self, pause: Duration) -> Self {
        self.longest = self.longest.min(pause);
        self
    }

    /// Whether a machine that the cloud does not list is gone, and not only too new to be listed. Two
    /// servers may differ about a new one, so that one list without it says nothing.
    pub(crate) fn absence_counts(&self, sightings: Sightings) -> bool {
        let Sightings { was_listed, missed } = sightings;
        self.start.elapsed() >= self.listing_lag || (was_listed && missed > 1)
    }

    /// Lets the next pause go by, unless the operation ends before.
    pub(crate) async fn next(&self, deadline: &Deadline) -> Result<(), Interrupted> {
        let pause = self.start.elapsed().mul_f64(self.share);
        let pause = pause.max(self.shortest).min(self.longest);
        deadline.checked(tokio::time::sleep(pause)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seldom_is_read_when_the_wait_has_doubled() {
        let mut due = Due(Duration::from_secs(10));
        let rounds = (0..400).filter(|second| due.is_due(Duration::from_secs(*second)));
        assert_eq!(rounds.collect::<Vec<_>>(), [10, 20, 40, 80, 140, 200, 260, 320, 380]);
        let mut always = Due(Duration::ZERO);
        assert!((0..5).all(|second| always.is_due(Duration::from_secs(second))));
    }
}
