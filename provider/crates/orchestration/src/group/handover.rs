//! A group changes hands: another record has it from now on.
//!
//! Nothing is launched or removed here that a change of the group would not: who takes it over takes the machines
//! as they are, and goes on with them as an update does.

use super::access::Group;
use super::ownership::drop_foreign;
use super::progress::Progress;
use super::{DesiredGroup, GroupRecord, members, order, update};
use crate::failure::Result;
use crate::handovers::Offer;
use crate::journal::Journal;
use crate::orchestrator::Orchestrator;
use crate::snapshot::Freshness;
use cloud::Deadline;

/// Goes on with the machines of whoever had it. No failure of it is an error, for which healthy machines might
/// go: what is not as it is wanted is drift, which the next operation mends.
pub(crate) async fn take_over(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    desired: &DesiredGroup,
    offer: Offer,
    journal: &mut dyn Journal<GroupRecord>,
) -> Result<()> {
    let id = desired.spec.id();
    let going = order::begin(orchestrator, &id, desired.spec.role, &desired.policy.scale);
    let known = offer.group.slots.clone();
    let (fleet, freshness) = (&id.service.fleet, Freshness::Any);
    let snapshot = orchestrator.snapshot_with(deadline, fleet, freshness, known.values()).await?;
    let mut desired = desired.clone();
    if desired.policy.image.is_none() {
        desired.policy.image.clone_from(&offer.group.image);
    }
    let group = Group::open(orchestrator, deadline, &desired, &snapshot).await?;
    let machines = members::of_group(&snapshot, &id, &known);
    let machines = drop_foreign(orchestrator, deadline, &id, &known, machines).await?;
    let (machines, leaving) = members::counted_and_leaving(machines);
    let slots = members::in_slots(&machines, &known);
    let count = members::count(&desired.policy.scale, &slots, &leaving);
    let mut progress = Progress::new(orchestrator, &group, going, slots, leaving, journal);
    progress.save();
    let done = match update::bring(deadline, &mut progress, count).await {
        Ok(()) => Ok(()),
        Err(failure) => progress.leave_unfinished(deadline, failure).await,
    };
    offer.take();
    done
}
