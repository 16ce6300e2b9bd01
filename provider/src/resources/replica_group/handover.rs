//! A group whose resource has another address in Terraform: what is said to be removed is not to go.
//!
//! Nothing is launched or removed here that a change of the group would not: the new address takes the machines
//! as they are, and goes on with them as an update does.

use super::progress::Progress;
use super::strangers::without_strangers;
use super::{members, model, order, update, workers};
use crate::addresses::{Addresses, Planned};
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::handovers::Offer;
use crate::session::Session;
use domain::id::GroupId;
use plugin::{Attr, AttributePath, Change, Ctx, Diagnostics, State};
use schemas::ReplicaGroup;
use serde_json::Value;
use std::collections::BTreeMap;

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
    ctx: &Ctx,
    id: &GroupId,
    state: &State<ReplicaGroup>,
) -> Result<bool> {
    let (id, private) = (id.to_string(), state.private());
    let is_planned = private.get(CHANGES_ADDRESS).is_some();
    if !is_planned && !session.addresses().is_made(&id) {
        return Ok(false);
    }
    let Some(group) = state.get().cloned() else { return Ok(false) };
    match session.handovers().offer(ctx, &id, group).await {
        true => Ok(true),
        false => Err(Failure::TwoAddresses {
            what: format!("replica group {id}"),
            kind: "disagg_replica_group",
        }),
    }
}

/// Goes on with the machines of the old address. No failure of it is an error, which would taint, and so sell,
/// machines that serve: what is not as it is wanted is drift, which the next apply mends.
pub(super) async fn take_over(
    session: &Session,
    ctx: &Ctx,
    id: &GroupId,
    offer: Offer,
    mut planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let going = order::begin(session, id, &planned);
    let known = model::known_slots(&offer.group);
    let view = session.view_with(ctx, &id.service.fleet, known.values()).await?;
    if planned.image_id.is_unknown() {
        planned.image_id = offer.group.image_id.clone();
    }
    let group = workers::access(session, ctx, &planned, id, &view).await?;
    let machines = members::of_group(&view, id, &known);
    let machines = without_strangers(session, ctx, id, &known, machines).await?;
    let (machines, leaving) = members::counted_and_leaving(machines);
    let slots = members::in_slots(&machines, &known);
    let count = members::count(&planned, &slots, &leaving);
    let so_far = ReplicaGroup { drift: Attr::Known(BTreeMap::new()), ..planned.clone() };
    let mut progress = Progress::new(session, &group, going, so_far, slots, leaving, state);
    progress.save();
    let done = match update::bring(ctx, &mut progress, &planned, count).await {
        Ok(()) => Ok(()),
        Err(failure) => progress.leave_unfinished(ctx, failure).await,
    };
    offer.take();
    done
}
