//! A service's reserved address, and who may reach it from outside.

use super::DesiredService;
use super::find::find_by_id;
use super::tags;
use crate::failure::{Doing, Failure, Result, Unrepairable};
use crate::orchestrator::Orchestrator;
use crate::snapshot::{Freshness, key};
use cloud::{Address, AddressRequest, Cloud, Deadline, Ingress};
use domain::id::ServiceId;

/// Opens the service's port to these blocks and to no others.
///
/// # Errors
/// When the cloud refuses it.
pub(crate) async fn set_ingress(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &ServiceId,
    desired: &DesiredService,
) -> Result<()> {
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    let (port, cidrs) = (desired.spec.port, desired.policy.ingress.clone());
    let rule = Ingress { service: id.label(), port, cidrs };
    let set = cloud.set_ingress(&key(&id.fleet), &rule).await;
    set.doing(id.fleet.cloud, || format!("open port {port} of service {id}"))
}

/// Gives the router's address another way from outside, or none.
///
/// # Errors
/// [`Failure::Unrepairable`] when the address is gone: another one would be no help, workers know the old one. And
/// when the cloud refuses it.
pub(crate) async fn change_endpoint(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &ServiceId,
    desired: &DesiredService,
) -> Result<Address> {
    let snapshot = orchestrator.snapshot(deadline, &id.fleet, Freshness::New).await?;
    if find_by_id(&snapshot, id).address.is_none() {
        return Err(address_gone(id));
    }
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    reserve(&*cloud, &desired.of(id)).await
}

/// Workers were told the address at their boot.
pub(crate) fn address_gone(id: &ServiceId) -> Failure {
    Failure::Unrepairable {
        what: id.into(),
        findings: vec!["its reserved address is gone".to_owned()],
        why: Unrepairable::AddressGone,
    }
}

/// The service's address: the one it has, public as it is wished for now, or a new one.
pub(crate) async fn reserve(cloud: &dyn Cloud, desired: &DesiredService) -> Result<Address> {
    let spec = &desired.spec;
    let request = AddressRequest {
        fleet: key(&spec.fleet),
        public: desired.policy.public,
        token: spec.uid.to_string(),
        tags: tags::creating(tags::of_address(spec)),
    };
    let reserved = cloud.reserve_address(&request).await;
    reserved
        .doing(cloud.name(), || format!("reserve the router's address of service {}", spec.id()))
}
