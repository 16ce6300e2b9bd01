//! EC2's token buckets: how many calls an account may make at once, and how fast it may go on. The figures
//! are those that AWS documents; what it does not name counts as a mutating call.

use super::{Datacentre, Refusal};
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

struct Size {
    name: &'static str,
    most: f64,
    per_second: f64,
}

const DESCRIBE: Size = Size { name: "describe", most: 100.0, per_second: 20.0 };
const MUTATE: Size = Size { name: "mutate", most: 50.0, per_second: 5.0 };
const RUN_REQUESTS: Size = Size { name: "RunInstances", most: 5.0, per_second: 2.0 };
const RUN_INSTANCES: Size = Size { name: "instances", most: 1000.0, per_second: 2.0 };

impl Datacentre {
    /// Takes what a call costs out of the account's buckets, unless one of them has too little.
    pub(crate) fn admit(&mut self, operation: &str, instances: u32) -> Result<(), Refusal> {
        if !self.settings.throttles {
            return Ok(());
        }
        let costs: &[(Size, f64)] = match operation {
            "RunInstances" => &[(RUN_REQUESTS, 1.0), (RUN_INSTANCES, f64::from(instances))],
            _ if operation.starts_with("Describe") || operation.starts_with("Get") => {
                &[(DESCRIBE, 1.0)]
            }
            _ => &[(MUTATE, 1.0)],
        };
        let now = self.now();
        if costs.iter().all(|(size, cost)| self.buckets.level(size, now) >= *cost) {
            for (size, cost) in costs {
                self.buckets.take(size, *cost);
            }
            return Ok(());
        }
        Err(Refusal::server(503, "RequestLimitExceeded", "Request limit exceeded."))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[test]
    fn a_bucket_is_emptied_and_fills_up_again() {
        let mut datacentre = Datacentre::new(Settings { throttles: true, ..Settings::default() });
        let admitted = |datacentre: &mut Datacentre, calls: u32, instances: u32| {
            (0..calls).filter(|_| datacentre.admit("RunInstances", instances).is_ok()).count()
        };
        assert_eq!(admitted(&mut datacentre, 10, 1), 5);
        datacentre.advance(Duration::from_secs(1));
        assert_eq!(admitted(&mut datacentre, 10, 1), 2);
        datacentre.advance(Duration::from_secs(10));
        assert_eq!(admitted(&mut datacentre, 1, 999), 1);
        assert_eq!(admitted(&mut datacentre, 1, 999), 0);
        assert!(datacentre.admit("DescribeInstances", 0).is_ok(), "it has a bucket of its own");
    }
}
