//! A group is brought to what is declared: the count by its difference, what drifted by repair, and
//! what is baked into machines by a roll, batch by batch.
//!
//! Whatever stops it, the journal has the machines that exist, and the next operation goes on from there.

use super::access::Group;
use super::launch::Launched;
use super::ownership::drop_foreign;
use super::progress::Progress;
use super::{DesiredGroup, GroupRecord, KnownGroup, members, order, switch};
use crate::failure::{FailedMachine, Failure, Fate, Result, RollOrder};
use crate::journal::{Journal, Warning};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::readiness;
use crate::snapshot::Freshness;
use cloud::{Deadline, Instance, InstanceId, Phase};
use domain::planner::{self, Batch, Count, Removal, Step, UpdateStrategy};
use std::collections::BTreeSet;

/// Brings a group to what it is to be. `has_drift` says that it was seen not to be as it was made.
///
/// # Errors
/// Whatever stops it: the journal has the machines that exist, and another operation goes on from there.
pub async fn update(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    known: &KnownGroup,
    desired: &DesiredGroup,
    has_drift: bool,
    journal: &mut dyn Journal<GroupRecord>,
) -> Result<()> {
    let id = desired.spec.id();
    let _making = orchestrator.in_flight().creating(&Object::from(&id))?;
    let going = order::begin(orchestrator, &id, desired.spec.role, &desired.policy.scale);
    let (fleet, known) = (&id.service.fleet, &known.slots);
    let snapshot =
        orchestrator.snapshot_with(deadline, fleet, Freshness::Recent, known.values()).await?;
    let group = Group::open(orchestrator, deadline, desired, &snapshot).await?;
    let machines = members::of_group(&snapshot, &id, known);
    let machines = drop_foreign(orchestrator, deadline, &id, known, machines).await?;
    let (machines, leaving) = members::counted_and_leaving(machines);
    let mut slots = members::in_slots(&machines, known);
    group.retag(&mut slots).await?;
    let mut progress = Progress::new(orchestrator, &group, going, slots, leaving, journal);
    let count = members::count(&desired.policy.scale, &progress.slots, &progress.leaving);
    let result = bring(deadline, &mut progress, count).await;
    if result.is_ok() && has_drift {
        let machines = group.refused(&progress.slots).await;
        if !machines.is_empty() {
            progress.journal.warned(Warning::WorkersRefused { group: id, machines });
        }
    }
    if result.is_err() {
        // What was launched is in the journal: whatever ended this, it is owned.
        progress.mark_unfinished(deadline).await;
    }
    result
}

/// Brings the machines to what is wanted.
pub(crate) async fn bring(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    count: Count,
) -> Result<()> {
    let is_room_taken = !progress.leaving.is_empty();
    let adjusted = adjust(deadline, progress, count).await;
    // Their successors are there as soon as can be; they go whatever became of those.
    let ended = progress.end_leaving(deadline).await;
    match adjusted {
        Err(Failure::Launch { .. }) if is_room_taken && ended.is_ok() => {
            adjust(deadline, progress, count).await?;
        }
        adjusted => adjusted?,
    }
    ended?;
    roll(deadline, progress).await?;
    progress.finish(deadline).await
}

/// Makes the count right, brings back what is stopped or impaired, and waits for what an operation that
/// did not end has launched.
async fn adjust(deadline: &Deadline, progress: &mut Progress<'_>, count: Count) -> Result<()> {
    let group = progress.group;
    let before = readiness::registrations(&group.router).await;
    remove_failed(deadline, progress).await?;
    for instance in progress.slots.values().filter(|found| !found.findings.is_empty()) {
        if group.is_current(instance) {
            group.repair(&instance.id).await?;
        }
    }
    let mut unfinished = unfinished(progress);
    let present = u32::try_from(progress.slots.len()).unwrap_or(u32::MAX);
    let wanted = count.nearest(present);
    let is_mixed = progress.slots.values().any(|instance| !group.is_current(instance));
    if present > wanted && is_mixed {
        // A surge that was stopped: those that came last may be about to serve in the place of others.
        unfinished.truncate(wanted as usize);
        let waited = group.wait(deadline, &unfinished, &unfinished, &before).await?;
        if !waited.is_empty() {
            return Err(boot_failure(deadline, progress, waited).await);
        }
        progress.tag(&unfinished, &Phase::Ready.tag()).await?;
        unfinished.clear();
    }
    let observed = group.members(&progress.slots).await?;
    let plan = planner::plan_group(count, &group.digest, &observed);
    let mut restarted: BTreeSet<InstanceId> =
        unfinished.iter().map(|instance| instance.id.clone()).collect();
    let mut launched = Vec::new();
    for step in plan.steps {
        match step {
            Step::Start(instance) => {
                group.start(&instance).await?;
                restarted.insert(instance);
            }
            Step::Reboot(instance) => {
                progress.reboot(deadline, &instance).await?;
                restarted.insert(instance);
            }
            Step::Remove(removals) => {
                // Too many may be what a switch to another namespace has left when it was stopped.
                switch::until_they_may_leave(deadline, progress, &removals).await?;
                if removals.len() == progress.slots.len() {
                    order::after_prefill(
                        progress.orchestrator,
                        deadline,
                        &group.id,
                        group.spec.role,
                    )
                    .await?;
                }
                terminate(deadline, progress, &removals).await?;
                unfinished.retain(|found| removals.iter().all(|gone| gone.id != found.id));
                gone(deadline, progress, &removals).await?;
            }
            Step::Launch { slots } => launched = launch(deadline, progress, slots).await?,
        }
        progress.save();
    }
    restarted.extend(launched.iter().map(|instance| instance.id.clone()));
    let restarted: Vec<Instance> =
        progress.slots.values().filter(|found| restarted.contains(&found.id)).cloned().collect();
    match group.wait(deadline, &restarted, &unfinished, &before).await {
        Ok(failed) if failed.is_empty() => Ok(()),
        Ok(failed) => Err(boot_failure(deadline, progress, failed).await),
        Err(failure) => Err(stop(deadline, progress, failure, &launched).await),
    }
}

/// Those that were launched for what is wanted now and not seen to the end.
fn unfinished(progress: &Progress<'_>) -> Vec<Instance> {
    let is_unfinished = |instance: &&Instance| {
        instance.state.is_up()
            && instance.phase() != Phase::Ready
            && progress.group.is_current(instance)
    };
    progress.slots.values().filter(is_unfinished).cloned().collect()
}

/// A boot that has failed for good, before this operation and kept for inspection or never read: another
/// operation is another attempt, and another machine.
async fn remove_failed(deadline: &Deadline, progress: &mut Progress<'_>) -> Result<()> {
    let group = progress.group;
    let failed = readiness::failed(&group.router, unfinished(progress)).await?;
    if failed.is_empty() {
        return Ok(());
    }
    group.remove(deadline, &failed).await?;
    progress.slots.retain(|_, instance| failed.iter().all(|failed| failed.id != instance.id));
    progress.save();
    Ok(())
}

/// Replaces the machines that something else is baked into.
async fn roll(deadline: &Deadline, progress: &mut Progress<'_>) -> Result<()> {
    let group = progress.group;
    let strategy = group.policy.update;
    let mut removed = 0;
    loop {
        let observed = group.members(&progress.slots).await?;
        let Some(batch) = planner::next_batch(strategy, &group.digest, &observed) else {
            return Ok(());
        };
        let order = order_of(strategy, &batch);
        if let Err(cause) = roll_batch(deadline, progress, batch, &mut removed).await {
            let (group, cause) = (group.id.clone(), Box::new(cause));
            let machines = progress.roll_count(removed);
            return Err(Failure::RollStopped { group, machines, order, cause });
        }
    }
}

fn order_of(strategy: UpdateStrategy, batch: &Batch) -> RollOrder {
    if !batch.remove.is_empty() {
        RollOrder::OldFirst
    } else if strategy.max_surge == 0 {
        RollOrder::NewForTheLast
    } else {
        RollOrder::NewFirst
    }
}

async fn roll_batch(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    batch: Batch,
    removed: &mut usize,
) -> Result<()> {
    let group = progress.group;
    let Batch { remove: leaving, launch: slots, replaced } = batch;
    if *removed == 0 {
        // What a launch would be refused for is known before a machine goes for it.
        group.check_launch(slots.len()).await?;
    }
    // Whatever stops the roll, the next operation knows how many there are to be.
    progress.remember_count().await?;
    switch::until_they_may_leave(deadline, progress, &leaving).await?;
    take(deadline, progress, &leaving, removed).await?;
    let before = readiness::registrations(&group.router).await;
    let launched = launch(deadline, progress, slots).await?;
    progress.save();
    let failed = match group.wait(deadline, &launched, &[], &before).await {
        Ok(failed) => failed,
        Err(failure) => return Err(stop(deadline, progress, failure, &launched).await),
    };
    if !failed.is_empty() {
        return Err(boot_failure(deadline, progress, failed).await);
    }
    progress.tag(&launched, &Phase::Ready.tag()).await?;
    switch::until_they_may_leave(deadline, progress, &replaced).await?;
    take(deadline, progress, &replaced, removed).await
}

/// Removes machines for others, and counts them as soon as the cloud has taken the order.
async fn take(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    removals: &[Removal],
    removed: &mut usize,
) -> Result<()> {
    if removals.is_empty() {
        return Ok(());
    }
    terminate(deadline, progress, removals).await?;
    *removed += removals.len();
    gone(deadline, progress, removals).await
}

/// Orders the removal, when nothing runs on these machines any more. Whatever becomes of the wait for
/// it, they count no longer.
async fn terminate(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    removals: &[Removal],
) -> Result<()> {
    let ids: Vec<InstanceId> = removals.iter().map(|removal| removal.id.clone()).collect();
    progress.let_go(deadline, &ids).await
}

async fn gone(deadline: &Deadline, progress: &Progress<'_>, removals: &[Removal]) -> Result<()> {
    let ids: Vec<InstanceId> = removals.iter().map(|removal| removal.id.clone()).collect();
    progress.group.gone(deadline, &ids).await
}

async fn launch(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    slots: Vec<u32>,
) -> Result<Vec<Instance>> {
    let count = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    let counted: Vec<Instance> = progress.slots.values().cloned().collect();
    let Launched { machines, shortfall } =
        progress.group.launch(deadline, count, progress.count_tags(), &counted).await?;
    progress.slots.extend(slots.into_iter().zip(machines.iter().cloned()));
    progress.group.announce(deadline, &machines).await?;
    match shortfall {
        Some(failure) => Err(failure),
        None => Ok(machines),
    }
}

/// A wait that ended without a verdict. Without a router no new worker can ever register: what was
/// launched for it goes; anything else is left for the next operation.
async fn stop(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    failure: Failure,
    launched: &[Instance],
) -> Failure {
    match failure {
        Failure::Boot { what, machines, .. } => {
            let fate = Fate::of_removal(progress.drop_machines(deadline, launched).await);
            Failure::Boot { what, machines, fate }
        }
        failure => failure,
    }
}

/// What becomes of machines whose boot failed, and the failure that says so.
async fn boot_failure(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    machines: Vec<FailedMachine>,
) -> Failure {
    // Who is only late stays: it is paid for, and may have loaded most of its model.
    let failed: Vec<FailedMachine> =
        machines.iter().filter(|machine| !machine.is_late()).cloned().collect();
    let fate = if failed.is_empty() {
        Fate::Late
    } else if progress.group.policy.keeps_failed {
        Fate::Kept
    } else {
        let dead = progress.chosen(&failed);
        Fate::of_removal(progress.drop_machines(deadline, &dead).await)
    };
    let what = format!("{} of the workers of replica group {}", machines.len(), progress.group.id);
    Failure::Boot { what, machines, fate }
}
