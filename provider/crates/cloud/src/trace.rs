//! One line per call: what, about which object, how long, how it ended. Never a request's body:
//! user data and secrets are no log's business.

use crate::{
    Address, AddressId, AddressRequest, Cloud, CloudName, Console, Fleet, FleetKey, FleetRequest,
    Ingress, Instance, InstanceId, LaunchRequest, ObjectId, Result, SshAccess, TagFilter, Tags,
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    fmt::Display,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;
use tracing::Instrument;

/// How often each operation was called, by its name in the contract.
#[derive(Debug, Default)]
pub struct Calls(Mutex<BTreeMap<&'static str, u64>>);

impl Calls {
    /// The counts so far.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, operation: &'static str) -> u64 {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(operation).or_default();
        *count += 1;
        *count
    }
}

/// A cloud whose calls are traced and counted.
#[derive(Debug)]
pub struct Traced<C> {
    cloud: C,
    calls: Arc<Calls>,
}

impl<C: Cloud> Traced<C> {
    /// Counts from zero.
    pub fn new(cloud: C) -> Self {
        Self { cloud, calls: Arc::default() }
    }

    /// The counter, which goes on counting.
    pub fn calls(&self) -> Arc<Calls> {
        Arc::clone(&self.calls)
    }

    async fn trace<T>(
        &self,
        operation: &'static str,
        object: &(dyn Display + Sync),
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let count = self.calls.count(operation);
        let cloud = self.cloud.name();
        let span = tracing::debug_span!("cloud", %cloud, operation, %object, count);
        async {
            let start = Instant::now();
            let result = call.await;
            let milliseconds = start.elapsed().as_millis();
            match &result {
                Ok(_) => tracing::debug!(milliseconds, "done"),
                Err(error) => {
                    tracing::debug!(milliseconds, kind = ?error.kind, code = error.code, %error, "failed");
                }
            }
            result
        }
        .instrument(span)
        .await
    }
}

#[async_trait]
impl<C: Cloud> Cloud for Traced<C> {
    fn name(&self) -> CloudName {
        self.cloud.name()
    }

    async fn list_zones(&self, region: &str, instance_types: &[String]) -> Result<Vec<String>> {
        let call = self.cloud.list_zones(region, instance_types);
        self.trace("list_zones", &region, call).await
    }

    async fn subnet_zone(&self, region: &str, subnet: &str) -> Result<String> {
        self.trace("subnet_zone", &subnet, self.cloud.subnet_zone(region, subnet)).await
    }

    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet> {
        self.trace("create_fleet", &request.key, self.cloud.create_fleet(request)).await
    }

    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet> {
        self.trace("repair_fleet", key, self.cloud.repair_fleet(key)).await
    }

    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>> {
        self.trace("get_fleet", key, self.cloud.get_fleet(key)).await
    }

    async fn delete_fleet(&self, key: &FleetKey) -> Result<()> {
        self.trace("delete_fleet", key, self.cloud.delete_fleet(key)).await
    }

    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address> {
        let call = self.cloud.reserve_address(request);
        self.trace("reserve_address", &request.fleet, call).await
    }

    async fn list_addresses(&self, fleet: &FleetKey, filter: &TagFilter) -> Result<Vec<Address>> {
        self.trace("list_addresses", fleet, self.cloud.list_addresses(fleet, filter)).await
    }

    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        self.trace("release_address", id, self.cloud.release_address(fleet, id)).await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        self.trace("launch", &request.token, self.cloud.launch(request)).await
    }

    async fn check_launch(&self, request: &LaunchRequest) -> Result<()> {
        self.trace("check_launch", &request.token, self.cloud.check_launch(request)).await
    }

    async fn list_instances(&self, fleet: &FleetKey, filter: &TagFilter) -> Result<Vec<Instance>> {
        self.trace("list_instances", fleet, self.cloud.list_instances(fleet, filter)).await
    }

    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>> {
        self.trace("find_instances", fleet, self.cloud.find_instances(fleet, ids)).await
    }

    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.trace("start_instance", id, self.cloud.start_instance(fleet, id)).await
    }

    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.trace("reboot_instance", id, self.cloud.reboot_instance(fleet, id)).await
    }

    async fn repair_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        self.trace("repair_instance", id, self.cloud.repair_instance(fleet, id)).await
    }

    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        let names = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let call = self.cloud.terminate_instances(fleet, ids);
        self.trace("terminate_instances", &names, call).await
    }

    async fn why_ended(
        &self,
        fleet: &FleetKey,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        self.trace("why_ended", fleet, self.cloud.why_ended(fleet, ids)).await
    }

    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console> {
        self.trace("console", id, self.cloud.console(fleet, id)).await
    }

    async fn user_data(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Option<Vec<u8>>> {
        self.trace("user_data", id, self.cloud.user_data(fleet, id)).await
    }

    async fn set_ingress(&self, fleet: &FleetKey, rule: &Ingress) -> Result<()> {
        self.trace("set_ingress", &rule.service, self.cloud.set_ingress(fleet, rule)).await
    }

    async fn set_ssh(&self, fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()> {
        self.trace("set_ssh", fleet, self.cloud.set_ssh(fleet, access)).await
    }

    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        self.trace("tag", fleet, self.cloud.tag(fleet, objects, tags)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::scripted::{Scripted, launch_request};

    #[tokio::test]
    async fn calls_are_counted_whatever_becomes_of_them() {
        let cloud = Traced::new(Scripted::launches(&[ErrorKind::QuotaExceeded]));
        let calls = cloud.calls();
        let request = launch_request();
        assert!(cloud.launch(&request).await.is_err());
        assert!(cloud.launch(&request).await.is_ok());
        let listed = cloud.list_instances(&request.fleet, &TagFilter::all()).await;
        assert_eq!(listed.map(|instances| instances.len()).ok(), Some(1));
        assert_eq!(calls.counts(), BTreeMap::from([("launch", 2), ("list_instances", 1)]));
    }
}
