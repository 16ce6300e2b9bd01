//! A cloud for unit tests whose launches fail as scripted. Everything else works in memory or is
//! not needed.

use crate::{
    Address, AddressId, AddressRequest, Cloud, CloudError, CloudName, Console, ErrorKind, Fleet,
    FleetKey, FleetRequest, Ingress, Instance, InstanceId, InstanceState, LaunchRequest, Market,
    ObjectId, Offer, Result, SshAccess, TagFilter, Tags, tag,
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Mutex,
};

#[derive(Debug)]
pub(crate) struct Scripted {
    failures: Mutex<VecDeque<ErrorKind>>,
    requests: Mutex<Vec<LaunchRequest>>,
    instances: Mutex<Vec<Instance>>,
}

impl Scripted {
    /// Each launch takes the next failure; when they are used up, launches succeed.
    pub(crate) fn launches(failures: &[ErrorKind]) -> Self {
        Self {
            failures: Mutex::new(failures.iter().copied().collect()),
            requests: Mutex::default(),
            instances: Mutex::default(),
        }
    }

    pub(crate) fn requests(&self) -> Vec<LaunchRequest> {
        self.requests.lock().unwrap().clone()
    }
}

pub(crate) fn offer(instance_type: &str) -> Offer {
    Offer {
        instance_type: instance_type.to_owned(),
        gpu: None,
        gpu_count: 0,
        cpu: 1,
        memory_gb: 1,
        simulated: false,
        interconnect: None,
        hourly_cost: 0.0,
        priced_on: "2026-11-01".to_owned(),
    }
}

pub(crate) fn launch_request() -> LaunchRequest {
    LaunchRequest {
        fleet: FleetKey { region: "r".to_owned(), name: "f".to_owned() },
        offer: offer("a"),
        count: 1,
        disk_gb: 10,
        image: None,
        market: Market::OnDemand,
        reservation: None,
        egress: crate::Egress::default(),
        address: None,
        user_data: Vec::new(),
        identity: None,
        token: "t".to_owned(),
        tags: Tags::from([(tag::LAUNCH.to_owned(), "t".to_owned())]),
    }
}

#[async_trait]
impl Cloud for Scripted {
    fn name(&self) -> CloudName {
        CloudName::Local
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        self.requests.lock().unwrap().push(request.clone());
        if let Some(kind) = self.failures.lock().unwrap().pop_front() {
            return Err(CloudError::new(kind, "Launch", "scripted"));
        }
        let instance = Instance {
            id: InstanceId("i-1".to_owned()),
            state: InstanceState::Pending,
            ip: None,
            instance_type: request.offer.instance_type.clone(),
            zone: "z".to_owned(),
            image: None,
            launched_at: 0,
            tags: request.tags.clone(),
            findings: Vec::new(),
        };
        self.instances.lock().unwrap().push(instance.clone());
        Ok(vec![instance])
    }

    async fn list_instances(&self, _: &FleetKey, filter: &TagFilter) -> Result<Vec<Instance>> {
        let instances = self.instances.lock().unwrap();
        Ok(instances.iter().filter(|instance| filter.matches(&instance.tags)).cloned().collect())
    }

    async fn list_zones(&self, _: &str, _: &[String]) -> Result<Vec<String>> {
        not_scripted()
    }

    async fn subnet_zone(&self, _: &str, _: &str) -> Result<String> {
        not_scripted()
    }

    async fn create_fleet(&self, _: &FleetRequest) -> Result<Fleet> {
        not_scripted()
    }

    async fn get_fleet(&self, _: &FleetKey) -> Result<Option<Fleet>> {
        not_scripted()
    }

    async fn repair_fleet(&self, _: &FleetKey) -> Result<Fleet> {
        not_scripted()
    }

    async fn delete_fleet(&self, _: &FleetKey) -> Result<()> {
        not_scripted()
    }

    async fn reserve_address(&self, _: &AddressRequest) -> Result<Address> {
        not_scripted()
    }

    async fn list_addresses(&self, _: &FleetKey, _: &TagFilter) -> Result<Vec<Address>> {
        not_scripted()
    }

    async fn release_address(&self, _: &FleetKey, _: &AddressId) -> Result<()> {
        not_scripted()
    }

    async fn check_launch(&self, _: &LaunchRequest) -> Result<()> {
        not_scripted()
    }

    async fn find_instances(&self, _: &FleetKey, _: &[InstanceId]) -> Result<Vec<Instance>> {
        not_scripted()
    }

    async fn start_instance(&self, _: &FleetKey, _: &InstanceId) -> Result<()> {
        not_scripted()
    }

    async fn reboot_instance(&self, _: &FleetKey, _: &InstanceId) -> Result<()> {
        not_scripted()
    }

    async fn repair_instance(&self, _: &FleetKey, _: &InstanceId) -> Result<()> {
        not_scripted()
    }

    async fn terminate_instances(&self, _: &FleetKey, _: &[InstanceId]) -> Result<()> {
        not_scripted()
    }

    async fn why_ended(
        &self,
        _: &FleetKey,
        _: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        not_scripted()
    }

    async fn console(&self, _: &FleetKey, _: &InstanceId) -> Result<Console> {
        not_scripted()
    }

    async fn user_data(&self, _: &FleetKey, _: &InstanceId) -> Result<Option<Vec<u8>>> {
        not_scripted()
    }

    async fn set_ingress(&self, _: &FleetKey, _: &Ingress) -> Result<()> {
        not_scripted()
    }

    async fn set_ssh(&self, _: &FleetKey, _: Option<&SshAccess>) -> Result<()> {
        not_scripted()
    }

    async fn tag(&self, _: &FleetKey, _: &[ObjectId], _: &Tags) -> Result<()> {
        not_scripted()
    }
}

fn not_scripted<T>() -> Result<T> {
    Err(CloudError::new(ErrorKind::Unsupported, "Scripted", "no unit test needs this call"))
}
