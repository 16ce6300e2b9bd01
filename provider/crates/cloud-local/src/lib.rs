//! The local cloud: fleets, addresses and machines on this computer, for trying things out and for
//! tests, with no account and no GPU, or with the GPUs of this computer.
//!
//! A machine is a supervised process tree at a loopback address of its own, below a root directory
//! of its own: see the crate [`machine`]. It is given the very user data a VM would get. Machines outlive the process that launched
//! them; what is gone is brought back by nothing but another launch.
//!
//! All truth is in the state directory and in the locks on it: a [`LocalCloud`] holds none, so any
//! number of them, in any number of processes, may work on one directory, and any of them may be
//! killed at any instant. Linux only.
//!
//! What it deliberately is not: an isolation of untrusted code. Machines run as the user, on the
//! computer's own file system, and whoever can log in to the computer can reach them. That a GPU is one
//! machine's alone is an agreement among machines.

#![cfg(target_os = "linux")]
mod address;
mod blocks;
mod cleanup;
mod cli;
mod config;
mod error;
mod faults;
mod fleet;
mod gpu_claims;
mod gpus;
mod instance;
mod launch;
mod lock_wait;
mod machine_record;
mod nvidia_smi;
mod program;
mod records;
mod runtime;
mod shared_file;
mod simulate;
mod spawn;
mod store;
mod tags;

pub use cli::local_main;
pub use config::LocalConfig;
pub use gpus::{DetectedGpu, DetectedGpus, GpuSource, UnknownGpuSource, detect_gpus, known_models};
pub use machine::{SecretLookup, machine_main};
pub use nvidia_smi::DetectionError;

use crate::error::During;
use crate::store::Store;
use async_trait::async_trait;
use cloud::{
    Address, AddressId, AddressRequest, BootDocument, Cloud, CloudName, Console, Fleet, FleetKey,
    FleetRequest, Instance, InstanceId, LabelFilter, LaunchRequest, ObjectId, Opening, Result,
    Site, SiteFilter, SshAccess, Tags,
};
use std::collections::BTreeMap;

/// The local cloud of one state directory.
#[derive(Debug)]
pub struct LocalCloud {
    config: LocalConfig,
    store: Store,
}

impl LocalCloud {
    /// Opens the state directory, and makes it where there is none.
    ///
    /// # Errors
    /// `PermissionDenied` when it cannot be written, `InvalidRequest` when a newer version of this
    /// program wrote it.
    pub fn open(config: LocalConfig) -> Result<Self> {
        let store = Store::open(&config.state_directory).during("OpenStateDirectory")?;
        Ok(Self { config, store })
    }
}

#[async_trait]
impl Cloud for LocalCloud {
    fn name(&self) -> CloudName {
        CloudName::Local
    }

    async fn find_sites(&self, region: &str, filter: &SiteFilter) -> Result<Vec<Site>> {
        fleet::find_sites(region, filter)
    }

    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet> {
        fleet::create(self, request).await
    }

    async fn list_fleets(&self, region: &str) -> Result<Vec<FleetKey>> {
        fleet::list(self, region)
    }

    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>> {
        fleet::get(self, key)
    }

    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet> {
        fleet::repair(self, key).await
    }

    async fn delete_fleet(&self, key: &FleetKey) -> Result<()> {
        fleet::delete(self, key).await
    }

    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address> {
        address::reserve(self, request).await
    }

    async fn list_addresses(&self, fleet: &FleetKey, filter: &LabelFilter) -> Result<Vec<Address>> {
        address::list(self, fleet, filter)
    }

    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        address::release(self, fleet, id).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        launch::launch(self, request).await
    }

    async fn check_launch(&self, request: &LaunchRequest) -> Result<()> {
        launch::check_launch(self, request)
    }

    async fn list_instances(
        &self,
        fleet: &FleetKey,
        filter: &LabelFilter,
    ) -> Result<Vec<Instance>> {
        instance::list(self, fleet, filter).await
    }

    /// Local machines are listed by their records, whatever their tags say.
    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>> {
        let mut found = instance::list(self, fleet, &LabelFilter::all()).await?;
        found.retain(|instance| ids.contains(&instance.id));
        Ok(found)
    }

    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        instance::start(self, fleet, id).await
    }

    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        instance::reboot(self, fleet, id).await
    }

    /// Nobody can change a local machine but by its state and its tags.
    async fn repair_instance(&self, _fleet: &FleetKey, _id: &InstanceId) -> Result<()> {
        Ok(())
    }

    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        instance::terminate(self, fleet, ids).await
    }

    /// A machine that has ended is forgotten.
    async fn why_ended(
        &self,
        _fleet: &FleetKey,
        _ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        Ok(BTreeMap::new())
    }

    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console> {
        instance::console(self, fleet, id)
    }

    async fn boot_document(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<BootDocument>> {
        instance::boot_document(self, fleet, id)
    }

    /// Recorded and shown again, and nothing more: a loopback address can be reached from this
    /// computer alone, and from there by everyone.
    async fn set_ingress(
        &self,
        fleet: &FleetKey,
        service: &str,
        opening: Option<&Opening>,
    ) -> Result<()> {
        fleet::set_ingress(self, fleet, service, opening).await
    }

    /// Who may use this computer has no other way to its machines.
    async fn set_ssh(&self, _fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()> {
        access.map_or(Ok(()), |access| Err(error::no_ssh(&access.key)))
    }

    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        tags::set(self, fleet, objects, tags).await
    }
}

/// The main memory of this computer in GB; 0 when the kernel does not tell.
pub fn memory_gb() -> u32 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    // To the nearest: the kernel keeps some of what is sold for itself.
    kib.map_or(0, |kib| u32::try_from((kib + (1 << 19)) >> 20).unwrap_or(u32::MAX))
}
