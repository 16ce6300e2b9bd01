//! Calls again what the cloud could not answer just now.
//!
//! Which failures those are is [`ErrorKind::retryable`](crate::ErrorKind::retryable)'s decision
//! alone. Missing capacity is none of them: the next offer is the answer to that, and an hour of
//! patience is the user's to decide.

use crate::{
    Address, AddressId, AddressRequest, Cloud, CloudName, Console, ErrorKind, Fleet, FleetKey,
    FleetRequest, Ingress, Instance, InstanceId, LaunchRequest, ObjectId, Result, SshAccess,
    TagFilter, Tags,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

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
    /// What is too new to be known takes longer than a server that answers again.
    fn attempts_for(&self, kind: ErrorKind) -> u32 {
        match kind {
            ErrorKind::NotFound => self.attempts + 3,
            kind if kind.retryable() => self.attempts,
            _ => 1,
        }
    }

    /// The pause after the failed call number `attempt` (from 1), by a random number.
    fn pause(&self, attempt: u32, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        let bound = u64::try_from(doubled.min(self.longest).as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(random % bound.saturating_add(1))
    }
}

/// A cloud whose passing failures are retried.
#[derive(Debug)]
pub struct Retrying<C> {
    cloud: C,
    backoff: Backoff,
    random: AtomicU64,
}

impl<C: Cloud> Retrying<C> {
    /// With the usual patience.
    pub fn new(cloud: C) -> Self {
        Self::with(cloud, Backoff::default(), RandomState::new().hash_one("jitter"))
    }

    /// With this patience, and jitter that follows from `seed`.
    pub fn with(cloud: C, backoff: Backoff, seed: u64) -> Self {
        Self { cloud, backoff, random: AtomicU64::new(seed) }
    }

    async fn retry<T, F>(&self, call: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut attempt = 1;
        loop {
            match call().await {
                Err(error) if attempt < self.backoff.attempts_for(error.kind) => {
                    let pause = self.backoff.pause(attempt, self.random());
                    tracing::debug!(%error, attempt, ?pause, "calling again");
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                }
                settled => return settled,
            }
        }
    }

    /// SplitMix64: jitter needs no better.
    fn random(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.random.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[async_trait]
impl<C: Cloud> Cloud for Retrying<C> {
    fn name(&self) -> CloudName {
        self.cloud.name()
    }

    async fn list_zones(&self, region: &str, instance_types: &[String]) -> Result<Vec<String>> {
        self.retry(|| self.cloud.list_zones(region, instance_types)).await
    }

    async fn subnet_zone(&self, region: &str, subnet: &str) -> Result<String> {
        self.retry(|| self.cloud.subnet_zone(region, subnet)).await
    }

    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet> {
        self.retry(|| self.cloud.create_fleet(request)).await
    }

    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet> {
        self.retry(|| self.cloud.repair_fleet(key)).await
    }

    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>> {
        self.retry(|| self.cloud.get_fleet(key)).await
    }

    async fn delete_fleet(&self, key: &FleetKey) -> Result<()> {
        self.retry(|| self.cloud.delete_fleet(key)).await
    }

    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address> {
        if request.is_new {
            match self.cloud.reserve_address(request).await {
                Err(error) if error.kind.retryable() => {}
                settled => return settled,
            }
        }
        // What the first attempt may have reserved is there now.
        let request = AddressRequest { is_new: false, ..request.clone() };
        self.retry(|| self.cloud.reserve_address(&request)).await
    }

    async fn list_addresses(&self, fleet: &FleetKey, filter: &TagFilter) -> Result<Vec<Address>> {
        self.retry(|| self.cloud.list_addresses(fleet, filter)).await
    }

    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        self.retry(|| self.cloud.release_address(fleet, id)).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        self.retry(|| self.cloud.launch(request)).await
    }

    async fn check_launch(&self, request: &LaunchRequest) -> Result<()> {
        self.retry(|| self.cloud.check_launch(request)).await
    }

    async fn list_instances(&self, fleet: &FleetKey, filter: &TagFilter) -> Result<Vec<Instance>> {
        self.retry(|| self.cloud.list_instances(fleet, filter)).await
    }

    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>> {
        self.retry(|| self.cloud.find_instances(fleet, ids)).await
    }

    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.retry(|| self.cloud.start_instance(fleet, id)).await
    }

    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.retry(|| self.cloud.reboot_instance(fleet, id)).await
    }

    async fn repair_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.retry(|| self.cloud.repair_instance(fleet, id)).await
    }

    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        self.retry(|| self.cloud.terminate_instances(fleet, ids)).await
    }

    async fn why_ended(
        &self,
        fleet: &FleetKey,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        self.retry(|| self.cloud.why_ended(fleet, ids)).await
    }

    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console> {
        self.retry(|| self.cloud.console(fleet, id)).await
    }

    async fn user_data(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Option<Vec<u8>>> {
        self.retry(|| self.cloud.user_data(fleet, id)).await
    }

    async fn set_ingress(&self, fleet: &FleetKey, rule: &Ingress) -> Result<()> {
        self.retry(|| self.cloud.set_ingress(fleet, rule)).await
    }

    async fn set_ssh(&self, fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()> {
        self.retry(|| self.cloud.set_ssh(fleet, access)).await
    }

    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        self.retry(|| self.cloud.tag(fleet, objects, tags)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Scripted, launch_request};
    use tokio::time::Instant;

    /// Launches against a script of failures; answers the calls made, the result's kind and the
    /// time it took.
    async fn launch(script: &[ErrorKind]) -> (usize, Option<ErrorKind>, Duration) {
        let cloud = Retrying::with(Scripted::launches(script), Backoff::default(), 7);
        let start = Instant::now();
        let result = cloud.launch(&launch_request()).await;
        (cloud.cloud.requests().len(), result.err().map(|error| error.kind), start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_called_again() {
        let (calls, error, waited) = launch(&[ErrorKind::Throttled, ErrorKind::Unavailable]).await;
        assert_eq!((calls, error), (3, None));
        assert!(waited > Duration::ZERO && waited <= Duration::from_millis(750), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let (calls, error, waited) = launch(&[ErrorKind::Throttled; 20]).await;
        assert_eq!((calls, error), (6, Some(ErrorKind::Throttled)));
        assert!(waited <= Duration::from_secs(8), "{waited:?}");
        let (calls, error, waited) = launch(&[ErrorKind::NotFound; 20]).await;
        assert_eq!((calls, error), (9, Some(ErrorKind::NotFound)));
        assert!(waited <= Duration::from_secs(36), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_stays_is_not_called_again() {
        for kind in [
            ErrorKind::InsufficientCapacity,
            ErrorKind::QuotaExceeded,
            ErrorKind::PermissionDenied,
            ErrorKind::Conflict,
        ] {
            assert_eq!(launch(&[kind]).await, (1, Some(kind), Duration::ZERO));
        }
    }

    #[test]
    fn pauses_are_bounded_and_follow_from_the_seed() {
        let backoff = Backoff::default();
        assert_eq!(backoff.pause(1, u64::MAX - 1).max(backoff.first), backoff.first);
        for attempt in [1, 5, 31, 32, 33, 1000] {
            assert!(backoff.pause(attempt, u64::MAX / 3) <= backoff.longest);
        }
        let randoms = |seed| {
            let cloud = Retrying::with(Scripted::launches(&[]), backoff, seed);
            [cloud.random(), cloud.random()]
        };
        assert_eq!(randoms(1), randoms(1));
        assert_ne!(randoms(1), randoms(2));
    }
}
