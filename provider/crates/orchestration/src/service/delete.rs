//! A service goes, unless workers still need its router.

use super::find::{FoundService, find_by_id};
use super::removal;
use crate::dependents;
use crate::failure::{Failure, Result};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::snapshot::Snapshot;
use cloud::{Deadline, InstanceState, tag};
use domain::id::ServiceId;
use std::collections::BTreeMap;

/// Removes a service: its machines, its rule and its address. What is gone already is no error.
///
/// # Errors
/// [`Failure::StillUsed`] when groups have machines that this process does not remove; and whatever the cloud
/// refuses.
pub async fn delete(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &ServiceId,
) -> Result<()> {
    let in_flight = orchestrator.in_flight();
    let _removing = [id.to_string(), id.path()].map(|path| in_flight.removing(path));
    let at_work = |snapshot: &Snapshot| groups_at_work(&find_by_id(snapshot, id), id);
    let what = Object::from(id);
    let by =
        dependents::wait_until_unused(deadline, orchestrator, &id.fleet, &what, at_work).await?;
    if !by.is_empty() {
        return Err(Failure::StillUsed { what, by });
    }
    removal::remove(orchestrator, deadline, id).await
}

/// Owned groups that have machines: path → name.
fn groups_at_work(found: &FoundService, id: &ServiceId) -> BTreeMap<String, String> {
    let workers = found.workers.iter();
    workers
        .filter(|worker| worker.phase().is_owned())
        .filter(|worker| worker.state != InstanceState::Terminating)
        .filter_map(|worker| worker.tags.get(tag::GROUP))
        .map(|group| (format!("{id}/{group}"), format!("replica group {id}/{group}")))
        .collect()
}
