//! A group is brought to what is declared: the count by its difference, what drifted by repair, and
//! what is baked into machines by a roll, batch by batch.
//!
//! Whatever stops it, the state has the attributes of before and the machines that there are, and the
//! next apply goes on from there.

use super::launch::Launched;
use super::progress::Progress;
use super::strangers::without_strangers;
use super::workers;
use super::{members, model, order, switch};
use crate::diagnose;
use crate::error::{FailedMachine, Failure, Fate, Result, RollOrder};
use crate::readiness;
use crate::session::Session;
use cloud::{Instance, InstanceId, Phase};
use domain::planner::{self, Batch, Count, Removal, Step, UpdateStrategy};
use plugin::{Ctx, State};
use schemas::ReplicaGroup;
use std::collections::BTreeSet;

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &ReplicaGroup,
    planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    if !planned.members.is_unknown() {
        // No machine changes: what does is the provider's own behaviour.
        state.save(&planned);
        return Ok(());
    }
    let id = model::id(prior)?;
    let _claim = session.creating("replica group", id.to_string())?;
    let going = order::begin(session, &id, &planned);
    session.forget_old(&id.service.fleet);
    let known = model::known_slots(prior);
    let view = session.view_with(ctx, &id.service.fleet, known.values()).await?;
    let group = workers::access(session, ctx, &planned, &id, &view).await?;
    let machines = members::of_group(&view, &id, &known);
    let machines = without_strangers(session, ctx, &id, &known, machines).await?;
    let (machines, leaving) = members::counted_and_leaving(machines);
    let mut slots = members::in_slots(&machines, &known);
    group.retag(&mut slots).await?;
    let mut progress = Progress::new(session, &group, going, prior.clone(), slots, leaving, state);
    let count = members::count(&planned, &progress.slots, &progress.leaving);
    let result = bring(ctx, &mut progress, &planned, count).await;
    if result.is_ok() && prior.drift.known().is_some_and(|drift| !drift.is_empty()) {
        let refused = group.refused(&progress.slots).await;
        progress.state.warn_all(diagnose::workers_refused(&id.to_string(), &refused));
    }
    if result.is_err() {
        // What was launched is in the state: whatever ended this, it is somebody's.
        progress.settle(ctx).await;
    }
    result
}

/// Brings the machines to what is planned.
pub(super) async fn bring(
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    planned: &ReplicaGroup,
    count: Count,
) -> Result<()> {
    let is_room_taken = !progress.leaving.is_empty();
    let adjusted = adjust(ctx, progress, planned, count).await;
    // Their successors are there as soon as can be; they go whatever became of those.
    let ended = progress.end_leaving(ctx).await;
    match adjusted {
        Err(Failure::Launch { .. }) if is_room_taken && ended.is_ok() => {
            adjust(ctx, progress, planned, count).await?;
        }
        adjusted => adjusted?,
    }
    ended?;
    roll(ctx, progress, planned).await?;
    progress.finish(planned).await
}

/// Makes the count right, brings back what is stopped or impaired, and waits for what an apply that
/// did not end has launched.
async fn adjust(
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    planned: &ReplicaGroup,
    count: Count,
) -> Result<()> {
    let group = progress.group;
    let before = readiness::registrations(&group.router).await;
    remove_failed(ctx, progress).await?;
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
        let waited = group.wait(ctx, planned, &unfinished, &unfinished, &before).await?;
        if !waited.is_empty() {
            return Err(boot_failure(ctx, progress, planned, waited).await);
        }
        progress.tag(&unfinished, &Phase::Ready.tag()).await?;
        unfinished.clear();
    }
    let observed = group.members(planned, &progress.slots).await?;
    let plan = planner::plan_group(count, &group.digest(), &observed);
    let mut woken: BTreeSet<InstanceId> =
        unfinished.iter().map(|instance| instance.id.clone()).collect();
    let mut launched = Vec::new();
    for step in plan.steps {
        match step {
            Step::Start(instance) => {
                group.start(&instance).await?;
                woken.insert(instance);
            }
            Step::Reboot(instance) => {
                progress.reboot(ctx, &instance).await?;
                woken.insert(instance);
            }
            Step::Remove(removals) => {
                // Too many may be what a switch to another namespace has left when it was stopped.
                switch::until_they_may_leave(ctx, progress, &removals).await?;
                if removals.len() == progress.slots.len() {
                    order::after_prefill(progress.session, ctx, group.id(), group.spec.role)
                        .await?;
                }
                terminate(ctx, progress, &removals).await?;
                unfinished.retain(|found| removals.iter().all(|gone| gone.id != found.id));
                gone(ctx, progress, &removals).await?;
            }
            Step::Launch { slots } => launched = launch(ctx, progress, planned, slots).await?,
        }
        progress.save();
    }
    woken.extend(launched.iter().map(|instance| instance.id.clone()));
    let woken: Vec<Instance> =
        progress.slots.values().filter(|found| woken.contains(&found.id)).cloned().collect();
    match group.wait(ctx, planned, &woken, &unfinished, &before).await {
        Ok(failed) if failed.is_empty() => Ok(()),
        Ok(failed) => Err(boot_failure(ctx, progress, planned, failed).await),
        Err(failure) => Err(stop(ctx, progress, failure, &launched).await),
    }
}

/// Those that were launched for what is wanted now and not seen to the end.
fn unfinished(progress: &Progress<'_>) -> Vec<Instance> {
    let is_unfinished = |instance: &&Instance| {
        instance.state.is_up()
            && Phase::of(&instance.tags) != Phase::Ready
            && progress.group.is_current(instance)
    };
    progress.slots.values().filter(is_unfinished).cloned().collect()
}

/// A boot that has failed for good, before this apply and kept for a look or seen by nobody: another
/// apply is another attempt, and another machine.
async fn remove_failed(ctx: &Ctx, progress: &mut Progress<'_>) -> Result<()> {
    let group = progress.group;
    let failed = readiness::failed(&group.router, unfinished(progress)).await?;
    if failed.is_empty() {
        return Ok(());
    }
    group.remove(ctx, &failed).await?;
    progress.slots.retain(|_, instance| failed.iter().all(|failed| failed.id != instance.id));
    progress.save();
    Ok(())
}

/// Replaces the machines that something else is baked into.
async fn roll(ctx: &Ctx, progress: &mut Progress<'_>, planned: &ReplicaGroup) -> Result<()> {
    let group = progress.group;
    let strategy = model::update_strategy(planned);
    let mut removed = 0;
    loop {
        let observed = group.members(planned, &progress.slots).await?;
        let Some(batch) = planner::next_batch(strategy, &group.digest(), &observed) else {
            return Ok(());
        };
        let order = order_of(strategy, &batch);
        if let Err(cause) = roll_batch(ctx, progress, planned, batch, &mut removed).await {
            let (group, cause) = (group.id().to_string(), Box::new(cause));
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
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    planned: &ReplicaGroup,
    batch: Batch,
    removed: &mut usize,
) -> Result<()> {
    let group = progress.group;
    let Batch { remove: leaving, launch: slots, replaced } = batch;
    if *removed == 0 {
        // What a launch would be refused for is known before a machine goes for it.
        group.check_launch(planned, slots.len()).await?;
    }
    // Whatever stops the roll, the next apply knows how many there are to be.
    progress.remember_count(planned).await?;
    switch::until_they_may_leave(ctx, progress, &leaving).await?;
    take(ctx, progress, &leaving, removed).await?;
    let before = readiness::registrations(&group.router).await;
    let launched = launch(ctx, progress, planned, slots).await?;
    progress.save();
    let failed = match group.wait(ctx, planned, &launched, &[], &before).await {
        Ok(failed) => failed,
        Err(failure) => return Err(stop(ctx, progress, failure, &launched).await),
    };
    if !failed.is_empty() {
        return Err(boot_failure(ctx, progress, planned, failed).await);
    }
    progress.tag(&launched, &Phase::Ready.tag()).await?;
    switch::until_they_may_leave(ctx, progress, &replaced).await?;
    take(ctx, progress, &replaced, removed).await
}

/// Removes machines for others, and counts them as soon as the cloud has taken the order.
async fn take(
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    removals: &[Removal],
    removed: &mut usize,
) -> Result<()> {
    if removals.is_empty() {
        return Ok(());
    }
    terminate(ctx, progress, removals).await?;
    *removed += removals.len();
    gone(ctx, progress, removals).await
}

/// Orders the removal, when nothing runs on these machines any more. Whatever becomes of the wait for
/// it, they count no longer.
async fn terminate(ctx: &Ctx, progress: &mut Progress<'_>, removals: &[Removal]) -> Result<()> {
    let ids: Vec<InstanceId> = removals.iter().map(|removal| removal.id.clone()).collect();
    progress.let_go(ctx, &ids).await
}

async fn gone(ctx: &Ctx, progress: &Progress<'_>, removals: &[Removal]) -> Result<()> {
    let ids: Vec<InstanceId> = removals.iter().map(|removal| removal.id.clone()).collect();
    progress.group.gone(ctx, &ids).await
}

async fn launch(
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    planned: &ReplicaGroup,
    slots: Vec<u32>,
) -> Result<Vec<Instance>> {
    let count = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    let counted: Vec<Instance> = progress.slots.values().cloned().collect();
    let Launched { machines, shortfall } =
        progress.group.launch(ctx, count, progress.count_tags(planned), &counted).await?;
    progress.slots.extend(slots.into_iter().zip(machines.iter().cloned()));
    match shortfall {
        Some(failure) => Err(failure),
        None => Ok(machines),
    }
}

/// A wait that ended without a verdict. Without a router no new worker can ever register: what was
/// launched for it goes; anything else is left for the next apply.
async fn stop(
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    failure: Failure,
    launched: &[Instance],
) -> Failure {
    match failure {
        Failure::Boot { what, machines, .. } => {
            let fate = Fate::of_removal(progress.drop_machines(ctx, launched).await);
            Failure::Boot { what, machines, fate }
        }
        failure => failure,
    }
}

/// What becomes of machines whose boot failed, and the failure that says so.
async fn boot_failure(
    ctx: &Ctx,
    progress: &mut Progress<'_>,
    planned: &ReplicaGroup,
    machines: Vec<FailedMachine>,
) -> Failure {
    // Who is only late stays: it is paid for, and may have loaded most of its model.
    let failed: Vec<FailedMachine> =
        machines.iter().filter(|machine| !machine.is_late()).cloned().collect();
    let fate = if failed.is_empty() {
        Fate::Late
    } else if model::keeps_failed(planned) {
        Fate::Kept
    } else {
        let dead = progress.chosen(&failed);
        Fate::of_removal(progress.drop_machines(ctx, &dead).await)
    };
    let what =
        format!("{} of the workers of replica group {}", machines.len(), progress.group.id());
    Failure::Boot { what, machines, fate }
}
