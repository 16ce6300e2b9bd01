//! Token buckets: how many calls an account may make at once, and how fast it may go on. Which there are, and
//! what a call costs, is the cloud's.

use super::Datacentre;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is left in each bucket.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<&'static str, Bucket>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    pub(crate) most: f64,
    pub(crate) per_second: f64,
}

impl Datacentre {
    /// Takes what a call costs out of the account's buckets, and answers whether each has enough; else none
    /// is touched. Where nothing is throttled, it costs nothing.
    pub(crate) fn charge(&mut self, costs: &[(Size, f64)]) -> bool {
        if !self.settings.throttles {
            return true;
        }
        let now = self.now();
        let is_enough = costs.iter().all(|(size, cost)| self.buckets.level(size, now) >= *cost);
        if is_enough {
            for (size, cost) in costs {
                self.buckets.take(size, *cost);
            }
        }
        is_enough
    }
}

impl Buckets {
    /// Fills it up to now, and says how much it holds.
    fn level(&mut self, size: &Size, now: Duration) -> f64 {
        let full = Bucket { left: size.most, at: now };
        let bucket = self.0.entry(size.name).or_insert(full);
        let since = now.saturating_sub(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * size.per_second).min(size.most);
        bucket.at = now;
        bucket.left
    }

    fn take(&mut self, size: &Size, cost: f64) {
        if let Some(bucket) = self.0.get_mut(size.name) {
            bucket.left -= cost;
        }
    }
}
