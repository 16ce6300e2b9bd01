//! A group is made. Nothing but a failed boot makes that an error, because who keeps the journal would let
//! machines go that are healthy.

use super::access::Group;
use super::launch::Launched;
use super::progress::Progress;
use super::{DesiredGroup, GroupRecord, handover, members, order, switch};
use crate::failure::{FailedMachine, Failure, Fate, Result};
use crate::journal::{Journal, Warning};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::readiness;
use crate::snapshot::Freshness;
use cloud::{Deadline, Instance, Phase};
use domain::planner::{self, Found};
use std::collections::BTreeMap;

/// Makes a group, goes on with one that a creation which died has begun, or takes over one that changes hands.
///
/// # Errors
/// When its name is taken, nothing can be launched, or no machine boots.
pub async fn create(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    desired: &DesiredGroup,
    journal: &mut dyn Journal<GroupRecord>,
) -> Result<()> {
    let id = desired.spec.id();
    let what = Object::from(&id);
    let _making = orchestrator.in_flight().creating(&what)?;
    let going = order::begin(orchestrator, &id, desired.spec.role, &desired.policy.scale);
    orchestrator.in_flight().after_removal(deadline, &what).await?;
    let fleet = &id.service.fleet;
    let snapshot = orchestrator.snapshot(deadline, fleet, Freshness::Recent).await?;
    let found = members::of_group(&snapshot, &id, &BTreeMap::new());
    // Those of a creation that has died, which may have begun to clear some of them away.
    let is_unowned =
        |machine: &Instance| matches!(machine.phase(), Phase::Creating | Phase::Draining);
    if !found.iter().all(is_unowned) {
        if let Some(offer) = orchestrator.handovers().find(&id.to_string()).await {
            return handover::take_over(orchestrator, deadline, desired, offer, journal).await;
        }
        return Err(Failure::AlreadyExists(what));
    }
    let group = Group::open(orchestrator, deadline, desired, &snapshot).await?;
    readiness::refuse_if_failed(&group.router, &snapshot.instances).await?;
    group.refuse_before_its_router(&snapshot.instances).await?;
    let before = readiness::registrations(&group.router).await;
    let (adopted, Launched { machines: launched, shortfall }) =
        gather(deadline, &group, found, journal).await?;
    let machines: Vec<Instance> = adopted.iter().chain(&launched).cloned().collect();
    if let Some(cause) = shortfall {
        let wanted = group.policy.scale.least() as usize;
        let missing = wanted.saturating_sub(machines.len());
        journal.warned(Warning::WorkersMissing { group: id.clone(), missing, cause });
    }
    let slots = members::in_slots(&machines, &BTreeMap::new());
    let mut progress = Progress::new(orchestrator, &group, going, slots, Vec::new(), journal);
    progress.save();

    if let Err(failure) = group.announce(deadline, &machines).await {
        return progress.leave_unfinished(deadline, failure).await;
    }
    let failed = match group.wait(deadline, &machines, &adopted, &before).await {
        Ok(failed) => failed,
        // Without a router no worker can ever register: what was launched for it goes.
        Err(Failure::Boot { what, machines: routers, .. }) => {
            let fate = Fate::of_removal(progress.drop_machines(deadline, &machines).await);
            return Err(give_up(
                deadline,
                progress,
                Failure::Boot { what, machines: routers, fate },
            )
            .await);
        }
        Err(failure) => return progress.leave_unfinished(deadline, failure).await,
    };
    // Who is only late is no failure: an error would let go what may have loaded most of its model.
    let (late, failed): (Vec<_>, Vec<_>) = failed.into_iter().partition(FailedMachine::is_late);
    if !late.is_empty() {
        progress.journal.warned(Warning::WorkersFailed {
            group: id.clone(),
            machines: late.clone(),
            fate: Fate::Late,
        });
        progress.unfinished.extend(late);
    }
    if !failed.is_empty() {
        let fate = match group.policy.keeps_failed {
            true => Fate::Kept,
            false => {
                let dead = progress.chosen(&failed);
                Fate::of_removal(progress.drop_machines(deadline, &dead).await)
            }
        };
        if failed.len() == machines.len() {
            let what = format!("every worker of replica group {id}");
            return Err(give_up(
                deadline,
                progress,
                Failure::Boot { what, machines: failed, fate },
            )
            .await);
        }
        let machines = failed.clone();
        progress.journal.warned(Warning::WorkersFailed { group: id.clone(), machines, fate });
        if fate != Fate::Removed {
            progress.unfinished.extend(failed);
        }
    }
    match progress.finish(deadline).await {
        Ok(()) => {
            if let Some(warning) = switch::warn_if_alone(&group, &snapshot) {
                progress.journal.warned(warning);
            }
            Ok(())
        }
        Err(failure) => progress.leave_unfinished(deadline, failure).await,
    }
}

/// The machines of a creation: those of one that died and that are what is wanted, and the missing
/// ones. Those that were adopted stay where no others can be had: another run may wait for them, and they
/// are paid for already.
async fn gather(
    deadline: &Deadline,
    group: &Group,
    found: Vec<Instance>,
    journal: &mut dyn Journal<GroupRecord>,
) -> Result<(Vec<Instance>, Launched)> {
    let observed: Vec<Found> = found
        .iter()
        .map(|machine| Found {
            id: machine.id.clone(),
            is_creating: machine.state.is_up() && !machine.phase().is_owned(),
            is_current: group.is_current(machine),
            launched_at: machine.launched_at,
        })
        .collect();
    let plan = planner::plan_creation(group.policy.scale.least(), &observed);
    let (kept, stale): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|machine| plan.adopted.contains(&machine.id));
    // They are unowned, and may have registered all the same.
    group.draining.mark(&stale).await?;
    if let Some(said) = group.draining.wait(deadline, &stale).await? {
        journal.warned(said);
    }
    group.remove(deadline, &stale).await?;
    match group.launch(deadline, plan.missing, members::scale_tag(&group.policy.scale), &kept).await
    {
        Ok(launched) => Ok((kept, launched)),
        Err(failure) if kept.is_empty() => Err(failure),
        Err(failure) => Ok((kept, Launched { machines: Vec::new(), shortfall: Some(failure) })),
    }
}

/// Nothing serves. What could not be removed, or is kept for inspection, stays in the journal.
async fn give_up(deadline: &Deadline, mut progress: Progress<'_>, failure: Failure) -> Failure {
    if progress.slots.is_empty() {
        progress.journal.removed();
    }
    progress.mark_unfinished(deadline).await;
    failure
}
