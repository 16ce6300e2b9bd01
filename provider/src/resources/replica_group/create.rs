//! A group is made. Nothing but a failed boot makes that an error, because an error would taint, and
//! so sell, machines that are healthy.

use super::launch::Launched;
use super::progress::Progress;
use super::workers::{self, GroupAccess};
use super::{handover, members, model, order, switch};
use crate::diagnose;
use crate::error::{FailedMachine, Failure, Fate, Result};
use crate::readiness;
use crate::session::Session;
use cloud::{Instance, Phase};
use domain::planner::Count;
use plugin::{Attr, Ctx, State};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let id = model::configured_id(&planned)?;
    let _claim = session.creating("replica group", id.to_string())?;
    let going = order::begin(session, &id, &planned);
    session.after_removal(ctx, "replica group", &id.to_string()).await?;
    session.forget_old(&id.service.fleet);
    let view = session.view(ctx, &id.service.fleet).await?;
    let found = members::of_group(&view, &id, &BTreeMap::new());
    // Those of a creation that has died, which may have begun to clear some of them away.
    let is_unowned =
        |machine: &Instance| matches!(Phase::of(&machine.tags), Phase::Creating | Phase::Draining);
    if !found.iter().all(is_unowned) {
        if let Some(offer) = session.handovers().find(&id.to_string()).await {
            return handover::take_over(session, ctx, &id, offer, planned, state).await;
        }
        return Err(Failure::AlreadyExists {
            what: format!("replica group {id}"),
            address: "disagg_replica_group.NAME",
            import: format!("{}/{}/{}", id.service.fleet, id.service.name, id.name),
        });
    }
    let group = workers::access(session, ctx, &planned, &id, &view).await?;
    readiness::refuse_if_failed(&group.router, &view.instances).await?;
    group.refuse_before_its_router(&view.instances).await?;
    let before = readiness::registrations(&group.router).await;
    let (adopted, Launched { machines: launched, shortfall }) =
        gather(ctx, &group, &planned, found, state).await?;
    let machines: Vec<Instance> = adopted.iter().chain(&launched).cloned().collect();
    if let Some(cause) = shortfall {
        let missing = wanted(&planned).saturating_sub(machines.len());
        state.warn_all(diagnose::workers_missing(&id.to_string(), missing, cause));
    }
    let slots = members::in_slots(&machines, &BTreeMap::new());
    let so_far = ReplicaGroup { drift: Attr::Known(BTreeMap::new()), ..planned.clone() };
    let mut progress = Progress::new(session, &group, going, so_far, slots, Vec::new(), state);
    progress.save();

    let failed = match group.wait(ctx, &planned, &machines, &adopted, &before).await {
        Ok(failed) => failed,
        // Without a router no worker can ever register: what was launched for it goes.
        Err(Failure::Boot { what, machines: routers, .. }) => {
            let fate = Fate::of_removal(progress.drop_machines(ctx, &machines).await);
            return Err(
                give_up(ctx, progress, Failure::Boot { what, machines: routers, fate }).await
            );
        }
        Err(failure) => return progress.leave_unfinished(ctx, failure).await,
    };
    // Who is only late is no failure: an error would taint, and so sell, what may have loaded most of its model.
    let (late, failed): (Vec<_>, Vec<_>) = failed.into_iter().partition(FailedMachine::is_late);
    if !late.is_empty() {
        progress.state.warn(diagnose::workers_failed(&id.to_string(), &late, Fate::Late));
        progress.unfinished.extend(late);
    }
    if !failed.is_empty() {
        let fate = match model::keeps_failed(&planned) {
            true => Fate::Kept,
            false => {
                let dead = progress.chosen(&failed);
                Fate::of_removal(progress.drop_machines(ctx, &dead).await)
            }
        };
        if failed.len() == machines.len() {
            let what = format!("every worker of replica group {id}");
            return Err(
                give_up(ctx, progress, Failure::Boot { what, machines: failed, fate }).await
            );
        }
        progress.state.warn(diagnose::workers_failed(&id.to_string(), &failed, fate));
        if fate != Fate::Removed {
            progress.unfinished.extend(failed);
        }
    }
    match progress.finish(&planned).await {
        Ok(()) => {
            if let Some(warning) = switch::warn_if_alone(&group, &view) {
                progress.state.warn(warning);
            }
            Ok(())
        }
        Err(failure) => progress.leave_unfinished(ctx, failure).await,
    }
}

/// The machines of a creation: those of one that died and that are what is wanted, and the missing
/// ones. Those that were adopted stay where no others can be had: another run may wait for them, and they
/// are paid for already.
async fn gather(
    ctx: &Ctx,
    group: &GroupAccess,
    planned: &ReplicaGroup,
    found: Vec<Instance>,
    state: &mut State<ReplicaGroup>,
) -> Result<(Vec<Instance>, Launched)> {
    let wanted = wanted(planned);
    let (mut kept, mut stale): (Vec<_>, Vec<_>) = found.into_iter().partition(|instance| {
        instance.state.is_up()
            && group.is_current(instance)
            && Phase::of(&instance.tags) == Phase::Creating
    });
    stale.extend(kept.split_off(kept.len().min(wanted)));
    // They are in no state, and may have registered all the same.
    group.draining.mark(&stale).await?;
    if let Some(said) = group.draining.wait(ctx, &stale).await? {
        state.warn(said);
    }
    group.remove(ctx, &stale).await?;
    let missing = u32::try_from(wanted - kept.len()).unwrap_or(u32::MAX);
    match group.launch(ctx, missing, model::count_tags(planned), &kept).await {
        Ok(launched) => Ok((kept, launched)),
        Err(failure) if kept.is_empty() => Err(failure),
        Err(failure) => Ok((kept, Launched { machines: Vec::new(), shortfall: Some(failure) })),
    }
}

fn wanted(planned: &ReplicaGroup) -> usize {
    match model::count(planned) {
        Count::Fixed(count) => count as usize,
        Count::Within { min, .. } => min as usize,
    }
}

/// Nothing serves. What could not be removed, or is kept for a look, stays in the state, tainted.
async fn give_up(ctx: &Ctx, mut progress: Progress<'_>, failure: Failure) -> Failure {
    if progress.slots.is_empty() {
        progress.state.remove();
    }
    progress.settle(ctx).await;
    failure
}
