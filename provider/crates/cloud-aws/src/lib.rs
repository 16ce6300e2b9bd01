//! AWS: a fleet is a security group and a cluster placement group in one zone of one VPC, a reserved
//! address is a network interface, and machines are EC2 instances.
//!
//! There is no record beside EC2's own objects: everything is found again by its tags. Facts of a fleet
//! that never change (its group, subnet, zone) are kept in memory for the length of a run.

mod address;
mod claim;
mod clock;
mod connect;
mod console;
mod drift;
mod egress;
mod elastic_ip;
mod error;
mod fleet;
mod image;
mod ingress;
mod instance;
mod instance_type;
mod interfaces;
mod launch;
mod placement;
mod recent;
mod security_group;
mod ssh;
mod subnet;
mod tagging;
mod tags;
mod termination;
mod user_data;

pub use connect::{AssumeRole, region_from_environment};

use crate::clock::Clock;
use crate::recent::RecentlyCreated;
use async_trait::async_trait;
use aws_sdk_ec2::Client;
use cloud::{
    Address, AddressId, AddressRequest, BootDocument, Cloud, CloudName, Console, Fleet, FleetKey,
    FleetRequest, Instance, InstanceId, LabelFilter, LaunchRequest, ObjectId, Opening, Result,
    Site, SiteFilter, SshAccess, Tags,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How to get at an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AwsConfig {
    /// A profile of the shared configuration files.
    pub profile: Option<String>,
    /// A role to take on.
    pub assume_role: Option<AssumeRole>,
    /// Another endpoint than AWS's own, for simulators and private endpoints.
    pub endpoint_url: Option<String>,
}

/// EC2 in one account.
#[derive(Debug, Default)]
pub struct AwsCloud {
    config: AwsConfig,
    clock: Clock,
    regions: Mutex<BTreeMap<String, Arc<Region>>>,
}

/// One region: its client, and what never changes about what is in it.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) ec2: Client,
    pub(crate) clock: Clock,
    pub(crate) fleets: Mutex<BTreeMap<String, security_group::FleetFacts>>,
    pub(crate) types: Mutex<BTreeMap<String, instance_type::InstanceType>>,
    pub(crate) images: Mutex<BTreeMap<String, image::Image>>,
    pub(crate) ways_out: Mutex<BTreeMap<String, subnet::WayOut>>,
    pub(crate) recent: RecentlyCreated,
    /// Held by who changes the rules of a security group.
    pub(crate) rules: Mutex<()>,
    /// What this process has done with Elastic IPs.
    pub(crate) elastic_ips: Mutex<Vec<elastic_ip::Known>>,
}

impl AwsCloud {
    /// No call is made, and no credentials are looked for, until there is something to do.
    pub fn new(config: AwsConfig) -> Self {
        Self { config, clock: Clock::default(), regions: Mutex::default() }
    }

    async fn region(&self, name: &str) -> Arc<Region> {
        let mut regions = self.regions.lock().await;
        if let Some(region) = regions.get(name) {
            return Arc::clone(region);
        }
        let region = Arc::new(Region {
            ec2: connect::client(&self.config, name, &self.clock).await,
            clock: self.clock.clone(),
            fleets: Mutex::default(),
            types: Mutex::default(),
            images: Mutex::default(),
            ways_out: Mutex::default(),
            recent: RecentlyCreated::default(),
            rules: Mutex::default(),
            elastic_ips: Mutex::default(),
        });
        regions.insert(name.to_owned(), Arc::clone(&region));
        region
    }
}

#[async_trait]
impl Cloud for AwsCloud {
    fn name(&self) -> CloudName {
        CloudName::Aws
    }

    fn now(&self) -> u64 {
        self.clock.now()
    }

    async fn find_sites(&self, region: &str, filter: &SiteFilter) -> Result<Vec<Site>> {
        fleet::find_sites(&*self.region(region).await, filter).await
    }

    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet> {
        fleet::create(&*self.region(&request.key.region).await, request).await
    }

    async fn list_fleets(&self, region: &str) -> Result<Vec<FleetKey>> {
        fleet::list(&*self.region(region).await, region).await
    }

    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>> {
        fleet::get(&*self.region(&key.region).await, key).await
    }

    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet> {
        fleet::repair(&*self.region(&key.region).await, key).await
    }

    async fn delete_fleet(&self, key: &FleetKey) -> Result<()> {
        fleet::delete(&*self.region(&key.region).await, key).await
    }

    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address> {
        address::reserve(&*self.region(&request.fleet.region).await, request).await
    }

    async fn list_addresses(&self, fleet: &FleetKey, filter: &LabelFilter) -> Result<Vec<Address>> {
        address::list(&*self.region(&fleet.region).await, fleet, filter).await
    }

    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        address::release(&*self.region(&fleet.region).await, id).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        launch::launch(&*self.region(&request.fleet.region).await, request).await
    }

    async fn check_launch(&self, request: &LaunchRequest) -> Result<()> {
        launch::check(&*self.region(&request.fleet.region).await, request).await
    }

    async fn list_instances(
        &self,
        fleet: &FleetKey,
        filter: &LabelFilter,
    ) -> Result<Vec<Instance>> {
        instance::list(&*self.region(&fleet.region).await, fleet, filter).await
    }

    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>> {
        instance::find(&*self.region(&fleet.region).await, fleet, ids).await
    }

    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        instance::start(&*self.region(&fleet.region).await, id).await
    }

    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        instance::reboot(&*self.region(&fleet.region).await, id).await
    }

    async fn repair_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        drift::repair(&*self.region(&fleet.region).await, fleet, id).await
    }

    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        termination::terminate(&*self.region(&fleet.region).await, fleet, ids).await
    }

    async fn why_ended(
        &self,
        fleet: &FleetKey,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        instance::why_ended(&*self.region(&fleet.region).await, ids).await
    }

    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console> {
        console::read(&*self.region(&fleet.region).await, id).await
    }

    async fn boot_document(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<BootDocument>> {
        user_data::read(&*self.region(&fleet.region).await, id).await
    }

    async fn set_ingress(
        &self,
        fleet: &FleetKey,
        service: &str,
        opening: Option<&Opening>,
    ) -> Result<()> {
        ingress::set(&*self.region(&fleet.region).await, fleet, service, opening).await
    }

    async fn set_ssh(&self, fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()> {
        ssh::set(&*self.region(&fleet.region).await, fleet, access).await
    }

    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        tagging::tag(&*self.region(&fleet.region).await, fleet, objects, tags).await
    }
}
