//! Clouds that have just not answered: whoever asks next has the same failure, and not a wait of its own.
//! Of a hundred groups some are read at a time, and each would wait in its turn.

use cloud::{CloudError, CloudName, Deadline, ErrorKind, Interrupted};
use domain::id::FleetId;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What was tried last in each region of a cloud, where there was no answer.
#[derive(Debug, Default)]
pub(crate) struct Outages(Mutex<BTreeMap<(CloudName, String), Missed>>);

/// A reading that has failed.
#[derive(Clone, Debug)]
pub(crate) struct Missed {
    pub(crate) error: CloudError,
    begun: Instant,
    ended: Instant,
}

/// A snapshot that has failed is that of all who ask within this time.
pub(crate) const SHARED: Duration = Duration::from_secs(10);

impl Missed {
    /// One that began then and has ended now.
    pub(crate) fn new(error: CloudError, begun: Instant) -> Self {
        Self { error, begun, ended: Instant::now() }
    }

    /// Whether it is the answer `within` this time after it, for an operation that has so much `patience`:
    /// one that would wait for longer than this reading has may well get another.
    pub(crate) fn counts_for(&self, within: Duration, patience: Duration) -> bool {
        let taken = self.ended - self.begun;
        self.ended.elapsed() < within
            && match self.error.kind {
                ErrorKind::Cancelled => false,
                ErrorKind::Timeout => patience <= taken + taken / 10,
                _ => true,
            }
    }

    /// Whether it says something of the whole region, and nothing of what was asked.
    fn is_outage(&self) -> bool {
        matches!(self.error.kind, ErrorKind::Timeout | ErrorKind::Unavailable)
    }
}

/// The error of an operation that waited for the reading of another one, and has ended first.
pub(crate) fn ended_first(
    deadline: &Deadline,
    why: Interrupted,
    operation: &'static str,
) -> CloudError {
    let message = format!("{} before there was an answer", deadline.told(why));
    CloudError::new(why.kind(), operation, message)
}

impl Outages {
    /// The failure for an operation that has so much time, if the region has just not answered.
    pub(crate) fn of(&self, fleet: &FleetId, patience: Duration) -> Option<Missed> {
        let missed = self.lock().get(&(fleet.cloud, fleet.region.clone())).cloned();
        missed.filter(|missed| missed.counts_for(SHARED, patience))
    }

    /// Remembers a reading that has failed, if it was for want of an answer.
    pub(crate) fn remember(&self, fleet: &FleetId, missed: &Missed) {
        if missed.is_outage() {
            self.lock().insert((fleet.cloud, fleet.region.clone()), missed.clone());
        }
    }

    /// The next reading asks again.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(CloudName, String), Missed>> {
        // Nothing panics while it holds this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(path: &str) -> FleetId {
        path.parse().expect("an id")
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_shared_by_those_who_would_have_waited_no_longer_and_only_for_a_while() {
        let seconds = Duration::from_secs;
        for (kind, patience, is_shared) in [
            (ErrorKind::Timeout, 60, true),
            (ErrorKind::Timeout, 66, true),
            (ErrorKind::Timeout, 67, false),
            (ErrorKind::Unavailable, 600, true),
            (ErrorKind::PermissionDenied, 600, true),
            (ErrorKind::Cancelled, 1, false),
        ] {
            let begun = Instant::now();
            tokio::time::advance(seconds(60)).await;
            let missed = Missed::new(CloudError::new(kind, "DescribeInstances", "…"), begun);
            assert_eq!(
                missed.counts_for(SHARED, seconds(patience)),
                is_shared,
                "{kind:?} {patience}"
            );
            tokio::time::advance(SHARED).await;
            assert!(!missed.counts_for(SHARED, seconds(patience)), "{kind:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_of_the_region_and_nothing_else_is() {
        let outages = Outages::default();
        let (one, other) = (fleet("aws/us-east-1/one"), fleet("aws/us-east-1/other"));
        let denied = CloudError::new(ErrorKind::PermissionDenied, "DescribeInstances", "…");
        outages.remember(&one, &Missed::new(denied, Instant::now()));
        assert!(outages.of(&one, SHARED).is_none());
        let silent = CloudError::new(ErrorKind::Unavailable, "DescribeInstances", "…");
        outages.remember(&one, &Missed::new(silent, Instant::now()));
        assert!(outages.of(&other, SHARED).is_some());
        assert!(outages.of(&fleet("aws/us-west-2/one"), SHARED).is_none());
        outages.forget();
        assert!(outages.of(&one, SHARED).is_none());
    }
}
