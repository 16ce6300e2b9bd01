//! A cloud for unit tests whose launches fail as scripted, or that never answers. Everything else works
//! in memory or is not needed.

use crate::{
    Address, AddressId, AddressRequest, BootDocument, Cloud, CloudError, CloudName, Console,
    ErrorKind, Fleet, FleetKey, FleetRequest, Instance, InstanceId, InstanceState, Interconnect,
    LabelFilter, LaunchRequest, ObjectId, Offer, Opening, Purchase, Result, Site, SiteFilter,
    SshAccess, Tags, tag,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The cloud.
#[derive(Debug)]
pub struct Scripted {
    name: CloudName,
    /// Whether it never answers.
    is_silent: bool,
    /// How long it takes to decide about a launch that it has accepted.
    decides_after: Duration,
    failures: Mutex<VecDeque<ErrorKind>>,
    requests: Mutex<Vec<LaunchRequest>>,
    instances: Mutex<Vec<Instance>>,
}

impl Scripted {
    /// Each launch takes the next failure; when they are used up, launches succeed.
    pub fn launches(failures: &[ErrorKind]) -> Self {
        Self {
            name: CloudName::Local,
            is_silent: false,
            decides_after: Duration::ZERO,
            failures: Mutex::new(failures.iter().copied().collect()),
            requests: Mutex::default(),
            instances: Mutex::default(),
        }
    }

    /// No call is ever answered.
    pub fn silent() -> Self {
        Self { is_silent: true, ..Self::launches(&[]) }
    }

    /// The same, as it were this cloud.
    #[must_use]
    pub fn called(self, name: CloudName) -> Self {
        Self { name, ..self }
    }

    /// The same, and it decides about each launch only so long after it has accepted it.
    #[must_use]
    pub fn deciding_after(self, decides_after: Duration) -> Self {
        Self { decides_after, ..self }
    }

    /// The launches that were asked for.
    pub fn requests(&self) -> Vec<LaunchRequest> {
        lock(&self.requests).clone()
    }

    async fn not_scripted<T>(&self) -> Result<T> {
        self.answer().await;
        Err(CloudError::new(ErrorKind::Unsupported, "Scripted", "no unit test needs this call"))
    }

    /// Whether there is one at all.
    async fn answer(&self) {
        if self.is_silent {
            std::future::pending::<()>().await;
        }
    }
}

/// An offer of this type.
pub fn offer(instance_type: &str) -> Offer {
    Offer {
        instance_type: instance_type.to_owned(),
        gpu: None,
        gpu_count: 0,
        cpu: 1,
        memory_gb: 1,
        simulated: false,
        interconnect: Interconnect::Tcp,
        fabric: None,
        hourly_cost: 0.0,
        priced_on: "2026-11-01".to_owned(),
    }
}

/// A launch of one machine.
pub fn launch_request() -> LaunchRequest {
    LaunchRequest {
        fleet: FleetKey { region: "r".to_owned(), name: "f".to_owned() },
        offer: offer("a"),
        count: 1,
        disk_gb: 10,
        image: None,
        purchase: Purchase::OnDemand,
        placed: false,
        egress: crate::Egress::default(),
        address: None,
        document: BootDocument::default(),
        identity: None,
        token: "t".to_owned(),
        tags: Tags::from([(tag::LAUNCH, "t".to_owned())]),
    }
}

#[async_trait]
impl Cloud for Scripted {
    fn name(&self) -> CloudName {
        self.name
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        lock(&self.requests).push(request.clone());
        self.answer().await;
        tokio::time::sleep(self.decides_after).await;
        if let Some(kind) = lock(&self.failures).pop_front() {
            return Err(CloudError::new(kind, "Launch", "scripted"));
        }
        let instance = Instance {
            id: InstanceId("i-1".to_owned()),
            state: InstanceState::Pending,
            ip: None,
            instance_type: request.offer.instance_type.clone(),
            image: None,
            launched_at: 0,
            tags: request.tags.clone(),
            findings: Vec::new(),
        };
        lock(&self.instances).push(instance.clone());
        Ok(vec![instance])
    }

    async fn list_instances(&self, _: &FleetKey, filter: &LabelFilter) -> Result<Vec<Instance>> {
        self.answer().await;
        let instances = lock(&self.instances);
        Ok(instances.iter().filter(|instance| filter.matches(&instance.tags)).cloned().collect())
    }

    async fn find_sites(&self, _: &str, _: &SiteFilter) -> Result<Vec<Site>> {
        self.not_scripted().await
    }

    async fn create_fleet(&self, _: &FleetRequest) -> Result<Fleet> {
        self.not_scripted().await
    }

    async fn list_fleets(&self, _: &str) -> Result<Vec<FleetKey>> {
        self.not_scripted().await
    }

    async fn get_fleet(&self, _: &FleetKey) -> Result<Option<Fleet>> {
        self.not_scripted().await
    }

    async fn repair_fleet(&self, _: &FleetKey) -> Result<Fleet> {
        self.not_scripted().await
    }

    async fn delete_fleet(&self, _: &FleetKey) -> Result<()> {
        self.not_scripted().await
    }

    async fn reserve_address(&self, _: &AddressRequest) -> Result<Address> {
        self.not_scripted().await
    }

    async fn list_addresses(&self, _: &FleetKey, _: &LabelFilter) -> Result<Vec<Address>> {
        self.not_scripted().await
    }

    async fn release_address(&self, _: &FleetKey, _: &AddressId) -> Result<()> {
        self.not_scripted().await
    }

    async fn check_launch(&self, _: &LaunchRequest) -> Result<()> {
        self.not_scripted().await
    }

    async fn find_instances(&self, _: &FleetKey, _: &[InstanceId]) -> Result<Vec<Instance>> {
        self.not_scripted().await
    }

    async fn start_instance(&self, _: &FleetKey, _: &InstanceId) -> Result<()> {
        self.not_scripted().await
    }

    async fn reboot_instance(&self, _: &FleetKey, _: &InstanceId) -> Result<()> {
        self.not_scripted().await
    }

    async fn repair_instance(&self, _: &FleetKey, _: &InstanceId) -> Result<()> {
        self.not_scripted().await
    }

    async fn terminate_instances(&self, _: &FleetKey, _: &[InstanceId]) -> Result<()> {
        self.not_scripted().await
    }

    async fn why_ended(
        &self,
        _: &FleetKey,
        _: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        self.not_scripted().await
    }

    async fn console(&self, _: &FleetKey, _: &InstanceId) -> Result<Console> {
        self.not_scripted().await
    }

    async fn boot_document(&self, _: &FleetKey, _: &InstanceId) -> Result<Option<BootDocument>> {
        self.not_scripted().await
    }

    async fn set_ingress(&self, _: &FleetKey, _: &str, _: Option<&Opening>) -> Result<()> {
        self.not_scripted().await
    }

    async fn set_ssh(&self, _: &FleetKey, _: Option<&SshAccess>) -> Result<()> {
        self.not_scripted().await
    }

    async fn tag(&self, _: &FleetKey, _: &[ObjectId], _: &Tags) -> Result<()> {
        self.not_scripted().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
