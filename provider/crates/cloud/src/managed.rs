//! A cloud as its callers have it: calls are bound to an operation, made again when what failed
//! passes by itself, and traced.
//!
//! Which failures pass is [`ErrorKind::retryable`](crate::ErrorKind::retryable)'s decision alone. Missing capacity is none of them:
//! the next offer is the answer to that, and an hour of patience is the user's to decide. What is traced
//! is one line per attempt, never a request's body: user data and secrets are no log's business.

use crate::exhausted::Exhausted;
use crate::{
    Address, AddressId, AddressRequest, Backoff, BootDocument, Changes, Cloud, CloudError,
    CloudName, Console, Deadline, Fleet, FleetKey, FleetPart, FleetRequest, Instance, InstanceId,
    Interrupted, LabelFilter, LaunchRequest, ObjectId, Opening, Result, Site, SiteFilter,
    SshAccess, Tags,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    fmt::Display,
    future::Future,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tracing::Instrument;

/// How often each operation was called, by its name in the contract; attempts count one by one.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<&'static str, u64>>);

impl Calls {
    /// The counts so far.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, operation: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(operation).or_default() += 1;
    }
}

/// A cloud within a deadline: after it, or after the user has stopped the run, no attempt begins and
/// none goes on.
#[derive(Clone, Debug)]
pub struct Managed {
    cloud: Arc<dyn Cloud>,
    backoff: Backoff,
    deadline: Deadline,
    random: Arc<AtomicU64>,
    calls: Arc<Calls>,
    exhausted: Arc<Exhausted>,
    changes: Option<Arc<dyn Changes>>,
}

/// What a call does to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Reads,
    Changes,
}

/// A call that the user has stopped and that changes something may answer for so long: its answer is an
/// id that the state would not have otherwise.
const LAST_ANSWER: Duration = Duration::from_millis(700);

impl Managed {
    /// With the usual patience, and no end in time yet.
    pub fn new(cloud: impl Cloud + 'static) -> Self {
        Self::with(cloud, Backoff::default(), RandomState::new().hash_one("jitter"))
    }

    /// With this patience, and jitter that follows from `seed`.
    pub fn with(cloud: impl Cloud + 'static, backoff: Backoff, seed: u64) -> Self {
        Self {
            cloud: Arc::new(cloud),
            backoff,
            deadline: Deadline::never(),
            random: Arc::new(AtomicU64::new(seed)),
            calls: Arc::default(),
            exhausted: Arc::default(),
            changes: None,
        }
    }

    /// The same cloud for the calls of an operation.
    #[must_use]
    pub fn within(&self, deadline: Deadline) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The same cloud, whose calls tell what they may have changed.
    #[must_use]
    pub fn telling(&self, changes: Arc<dyn Changes>) -> Self {
        Self { changes: Some(changes), ..self.clone() }
    }

    /// What else the operation waits for; none when it ends first.
    pub async fn bounded<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.deadline.checked(work).await.ok()
    }

    /// The counter, which goes on counting, whatever the calls are bound to.
    pub fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.calls)
    }

    /// What the cloud has no more of, whatever operation was told so.
    pub(crate) fn exhausted(&self) -> &Exhausted {
        &self.exhausted
    }

    async fn read<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        object: &(dyn Display + Sync),
        call: impl Fn() -> F,
    ) -> Result<T> {
        self.call(operation, object, Effect::Reads, call).await
    }

    async fn change<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        object: &(dyn Display + Sync),
        (fleet, part): (&FleetKey, FleetPart),
        call: impl Fn() -> F,
    ) -> Result<T> {
        // Told also when this call is dropped in the middle.
        let _told = Told { managed: self, fleet, part };
        self.call(operation, object, Effect::Changes, call).await
    }

    async fn call<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        object: &(dyn Display + Sync),
        effect: Effect,
        call: impl Fn() -> F,
    ) -> Result<T> {
        let span = tracing::debug_span!("cloud", cloud = %self.cloud.name(), operation, %object);
        let series = self.series(operation, effect, call);
        series.instrument(span).await.map_err(|end| match end {
            End::Answer(error) => error,
            End::Cut { why, attempts, latest } => {
                self.cut(why, operation, attempts, latest).object(object.to_string())
            }
        })
    }

    /// Attempts until one succeeds, none may follow, or the operation ends.
    async fn series<T, F: Future<Output = Result<T>>>(
        &self,
        operation: &'static str,
        effect: Effect,
        call: impl Fn() -> F,
    ) -> Result<T, End> {
        let (mut attempts, mut latest) = (0, None);
        loop {
            if let Some(why) = self.deadline.ended() {
                return Err(End::Cut { why, attempts, latest });
            }
            attempts += 1;
            self.calls.count(operation);
            let error = match self.attempt(effect, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => error,
                Err(why) => return Err(End::Cut { why, attempts, latest }),
            };
            if attempts >= self.backoff.attempts_for(error.kind) {
                return Err(End::Answer(error));
            }
            let pause = self.backoff.pause(attempts, self.random());
            tracing::debug!(%error, attempts, ?pause, "calling again");
            latest = Some(error);
            tokio::select! {
                () = self.deadline.cancel.cancelled() => {}
                () = tokio::time::sleep(pause.min(self.deadline.remaining())) => {}
            }
        }
    }

    /// One attempt; an error says that the operation has ended before its answer came.
    async fn attempt<T>(
        &self,
        effect: Effect,
        call: impl Future<Output = Result<T>>,
    ) -> Result<Result<T>, Interrupted> {
        let start = Instant::now();
        let stopped = async {
            self.deadline.cancel.cancelled().await;
            if effect == Effect::Changes {
                tokio::time::sleep(LAST_ANSWER).await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = call => Ok(answer),
            () = stopped => Err(Interrupted::Cancelled),
            () = tokio::time::sleep_until(self.deadline.at) => Err(self.deadline.over),
        };
        let milliseconds = start.elapsed().as_millis();
        match &answer {
            Ok(Ok(_)) => tracing::debug!(milliseconds, "done"),
            Ok(Err(error)) => {
                tracing::debug!(milliseconds, kind = ?error.kind, code = error.code, %error, "failed");
            }
            Err(why) => tracing::debug!(milliseconds, ?why, "cut off"),
        }
        answer
    }

    /// The error of a call that the operation's end has cut off, or kept from being made.
    fn cut(
        &self,
        why: Interrupted,
        operation: &'static str,
        attempts: u32,
        latest: Option<CloudError>,
    ) -> CloudError {
        let when = self.deadline.told(why);
        let message = match (attempts, &latest) {
            (0, _) => format!("{when} before it was called"),
            (1, None) => format!("{when} before there was an answer"),
            (attempts, None) => format!("{when} in attempt {attempts}, without an answer"),
            (attempts, Some(_)) => {
                format!("{when} in attempt {attempts}; the one before it failed")
            }
        };
        let error = CloudError::new(why.kind(), operation, message);
        match latest {
            Some(latest) => error.source(latest),
            None => error,
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

/// A launch at an address changes who is at it.
fn launched_part(request: &LaunchRequest) -> FleetPart {
    if request.address.is_some() { FleetPart::Addresses } else { FleetPart::Instances }
}

fn tagged_part(objects: &[ObjectId]) -> FleetPart {
    let part = |object: &ObjectId| match object {
        ObjectId::Fleet => FleetPart::Fleet,
        ObjectId::Address(_) => FleetPart::Addresses,
        ObjectId::Instance(_) => FleetPart::Instances,
    };
    objects.iter().map(part).max().unwrap_or(FleetPart::Instances)
}

/// Tells what a call may have changed, when it is over.
struct Told<'a> {
    managed: &'a Managed,
    fleet: &'a FleetKey,
    part: FleetPart,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if let Some(changes) = &self.managed.changes {
            changes.changed(self.managed.cloud.name(), self.fleet, self.part);
        }
    }
}

/// How a series of attempts fails.
enum End {
    /// By the cloud's last answer.
    Answer(CloudError),
    /// By the end of the operation.
    Cut { why: Interrupted, attempts: u32, latest: Option<CloudError> },
}

#[async_trait]
impl Cloud for Managed {
    fn name(&self) -> CloudName {
        self.cloud.name()
    }

    fn now(&self) -> u64 {
        self.cloud.now()
    }

    async fn find_sites(&self, region: &str, filter: &SiteFilter) -> Result<Vec<Site>> {
        self.read("find_sites", &region, || self.cloud.find_sites(region, filter)).await
    }

    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet> {
        request.tags.check("create_fleet")?;
        self.change("create_fleet", &request.key, (&request.key, FleetPart::Fleet), || {
            self.cloud.create_fleet(request)
        })
        .await
    }

    async fn list_fleets(&self, region: &str) -> Result<Vec<FleetKey>> {
        self.read("list_fleets", &region, || self.cloud.list_fleets(region)).await
    }

    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>> {
        self.read("get_fleet", key, || self.cloud.get_fleet(key)).await
    }

    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet> {
        self.change("repair_fleet", key, (key, FleetPart::Fleet), || self.cloud.repair_fleet(key))
            .await
    }

    async fn delete_fleet(&self, key: &FleetKey) -> Result<()> {
        self.change("delete_fleet", key, (key, FleetPart::Fleet), || self.cloud.delete_fleet(key))
            .await
    }

    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address> {
        request.tags.check("reserve_address")?;
        let call = || self.cloud.reserve_address(request);
        self.change("reserve_address", &request.token, (&request.fleet, FleetPart::Addresses), call)
            .await
    }

    async fn list_addresses(&self, fleet: &FleetKey, filter: &LabelFilter) -> Result<Vec<Address>> {
        self.read("list_addresses", fleet, || self.cloud.list_addresses(fleet, filter)).await
    }

    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        self.change("release_address", id, (fleet, FleetPart::Addresses), || {
            self.cloud.release_address(fleet, id)
        })
        .await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        request.tags.check("launch")?;
        self.change("launch", &request.token, (&request.fleet, launched_part(request)), || {
            self.cloud.launch(request)
        })
        .await
    }

    async fn check_launch(&self, request: &LaunchRequest) -> Result<()> {
        request.tags.check("check_launch")?;
        self.read("check_launch", &request.token, || self.cloud.check_launch(request)).await
    }

    async fn list_instances(
        &self,
        fleet: &FleetKey,
        filter: &LabelFilter,
    ) -> Result<Vec<Instance>> {
        self.read("list_instances", fleet, || self.cloud.list_instances(fleet, filter)).await
    }

    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>> {
        self.read("find_instances", fleet, || self.cloud.find_instances(fleet, ids)).await
    }

    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.change("start_instance", id, (fleet, FleetPart::Instances), || {
            self.cloud.start_instance(fleet, id)
        })
        .await
    }

    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.change("reboot_instance", id, (fleet, FleetPart::Instances), || {
            self.cloud.reboot_instance(fleet, id)
        })
        .await
    }

    async fn repair_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.change("repair_instance", id, (fleet, FleetPart::Instances), || {
            self.cloud.repair_instance(fleet, id)
        })
        .await
    }

    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        let names = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let call = || self.cloud.terminate_instances(fleet, ids);
        self.change("terminate_instances", &names, (fleet, FleetPart::Instances), call).await
    }

    async fn why_ended(
        &self,
        fleet: &FleetKey,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        self.read("why_ended", fleet, || self.cloud.why_ended(fleet, ids)).await
    }

    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console> {
        self.read("console", id, || self.cloud.console(fleet, id)).await
    }

    async fn boot_document(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<BootDocument>> {
        self.read("boot_document", id, || self.cloud.boot_document(fleet, id)).await
    }

    async fn set_ingress(
        &self,
        fleet: &FleetKey,
        service: &str,
        opening: Option<&Opening>,
    ) -> Result<()> {
        self.change("set_ingress", &service, (fleet, FleetPart::Fleet), || {
            self.cloud.set_ingress(fleet, service, opening)
        })
        .await
    }

    async fn set_ssh(&self, fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()> {
        self.change("set_ssh", fleet, (fleet, FleetPart::Fleet), || {
            self.cloud.set_ssh(fleet, access)
        })
        .await
    }

    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        tags.check("tag")?;
        self.change("tag", fleet, (fleet, tagged_part(objects)), || {
            self.cloud.tag(fleet, objects, tags)
        })
        .await
    }
}

#[cfg(test)]
#[path = "managed_tests.rs"]
mod tests;
