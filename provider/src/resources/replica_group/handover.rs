//! A group whose resource has another address in Terraform: what is said to be removed is not to go.

use super::model;
use crate::addresses::{Addresses, Planned};
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use cloud::Deadline;
use domain::id::GroupId;
use plugin::{AttributePath, Change, Diagnostics, State};
use schemas::ReplicaGroup;
use serde_json::Value;

/// What a plan means beside the others of this run. What the removal has to know it finds in its private
/// data: the plans of an apply come when it may have begun.
pub(super) fn plan(addresses: &Addresses, change: &mut Change<ReplicaGroup>) -> Diagnostics {
    // A removal that was refused has left it.
    change.planned_private.remove(CHANGES_ADDRESS);
    let planned = Planned {
        prior: change.prior.as_ref().and_then(|group| group.id.known().cloned()),
        stays: change.planned.is_some(),
        planned: change.planned.as_ref().and_then(|group| Some(configured_id(group)?.to_string())),
    };
    let Some(twice) = addresses.plan(&planned) else { return Diagnostics::default() };
    let what = format!("replica group {twice}");
    if change.is_destroy() && addresses.is_made(&twice) {
        change.planned_private.set(CHANGES_ADDRESS, Value::Bool(true));
        return diagnose::address_changes(&what).into();
    }
    let found = diagnose::two_addresses(&what, "disagg_replica_group");
    match change.is_destroy() {
        true => found.into(),
        false => found.at(AttributePath::root("name")).into(),
    }
}

fn configured_id(group: &ReplicaGroup) -> Option<GroupId> {
    group.service_id.known().and(group.name.known())?;
    model::configured_id(group).ok()
}

/// Another address of this run makes this group.
const CHANGES_ADDRESS: &str = "changes_address";

/// Whether a group that is to go is somebody else's from now on.
pub(super) async fn hand_over(
    session: &Session,
    deadline: &Deadline,
    id: &GroupId,
    state: &State<ReplicaGroup>,
) -> Result<bool> {
    let (id, private) = (id.to_string(), state.private());
    let is_planned = private.get(CHANGES_ADDRESS).is_some();
    if !is_planned && !session.addresses().is_made(&id) {
        return Ok(false);
    }
    let Some(group) = state.get().cloned() else { return Ok(false) };
    match session.orchestrator().handovers().offer(deadline, &id, model::known(&group)).await {
        true => Ok(true),
        false => Err(Failure::TwoAddresses {
            what: format!("replica group {id}"),
            kind: "disagg_replica_group",
        }),
    }
}
