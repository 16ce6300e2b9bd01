//! A fleet goes, when no service is left in it.

use crate::dependents;
use crate::failure::{Doing, Failure, Result};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::poll::Poll;
use crate::readiness::Pace;
use crate::service;
use crate::snapshot::{Snapshot, key};
use cloud::{Address, Cloud, Deadline, ErrorKind, tag};
use domain::id::{FleetId, ServiceId};

/// Removes a fleet, and what creations that died have left in it. What is gone already is no error.
///
/// # Errors
/// [`Failure::StillUsed`] when services are in it that this process does not remove; and whatever the cloud
/// refuses.
pub async fn delete(orchestrator: &Orchestrator, deadline: &Deadline, id: &FleetId) -> Result<()> {
    let cloud = orchestrator.cloud(deadline, id.cloud).await?;
    service::remove_unowned(orchestrator, deadline, id).await?;
    let services = |snapshot: &Snapshot| {
        snapshot.addresses.iter().map(|address| service_at(id, address)).collect()
    };
    let what = Object::from(id);
    let by = dependents::wait_until_unused(deadline, orchestrator, id, &what, services).await?;
    if !by.is_empty() {
        return Err(Failure::StillUsed { what, by });
    }
    delete_when_empty(orchestrator, deadline, &*cloud, id).await
}

/// Deletes it as soon as nothing is in it. One that is gone may still hold something, which passes by
/// itself; and a machine that a dead creation launched a moment ago may have been too new to be listed.
async fn delete_when_empty(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    cloud: &dyn Cloud,
    id: &FleetId,
) -> Result<()> {
    let mut poll = Poll::new(deadline, Pace::new(cloud), format!("fleet {id} to be empty"));
    loop {
        let deleted = cloud.delete_fleet(&key(id)).await;
        let may_be_new = poll.pace.waited() < cloud.profile().propagation.longest / 4;
        match deleted {
            Err(error)
                if error.kind.retryable() || (error.kind == ErrorKind::InUse && may_be_new) =>
            {
                poll.again(error.to_string()).await?;
                service::remove_unowned(orchestrator, deadline, id).await?;
            }
            deleted => return deleted.doing(id.cloud, || format!("delete fleet {id}")),
        }
    }
}

/// The service that an address is reserved for: path → name.
fn service_at(id: &FleetId, address: &Address) -> (String, String) {
    let label = address.tags.get(tag::SERVICE);
    match label.and_then(|label| ServiceId::of_label(id, label).ok()) {
        Some(service) => {
            (service.to_string(), format!("service {} at {}", service.short(), address.ip))
        }
        None => (address.ip.to_string(), format!("address {}", address.ip)),
    }
}
