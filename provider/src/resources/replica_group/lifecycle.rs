//! A replica group in its cloud: create, resize, repair, delete.
//!
//! What is launched is in the state before anything is waited for. A worker that does not boot
//! never takes the group down: it is removed, said, and shows as drift. Nothing but a failed boot
//! makes a creation an error, because an error would taint, and so sell, machines that are healthy.

use super::workers::{self, GroupAccess};
use super::{members, model};
use crate::diagnose;
use crate::error::{FailedMachine, Failure, Result};
use crate::readiness;
use crate::resources::service::find_by_id;
use crate::session::{Session, key};
use cloud::{Instance, InstanceId, Phase};
use domain::id::GroupId;
use domain::planner::{self, Count, Step};
use plugin::{Attr, Ctx, State};
use schemas::ReplicaGroup;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let id = model::configured_id(&planned)?;
    let _claim = session.claim("replica group", id.to_string())?;
    session.forget(&id.service.fleet);
    let view = session.view(&id.service.fleet).await?;
    let found = members::of_group(&view, &id, &BTreeMap::new());
    if found.iter().any(|machine| Phase::of(&machine.tags) != Phase::Creating) {
        return Err(Failure::AlreadyExists {
            what: format!("replica group {id}"),
            address: "disagg_replica_group.NAME",
            import: format!("{}/{}/{}", id.service.fleet, id.service.name, id.name),
        });
    }
    let group = workers::access(session, &planned, &id, &find_by_id(&view, &id.service)).await?;
    let before = readiness::registrations(&group.router).await;
    let (adopted, launched) = gather(ctx, &group, &planned, found).await?;
    session.forget(&id.service.fleet);
    let machines: Vec<Instance> = adopted.iter().chain(&launched).cloned().collect();
    let mut slots = members::in_slots(&machines, &BTreeMap::new());
    let mut so_far = planned.clone();
    so_far.id = Attr::Known(id.to_string());
    so_far.drift = Attr::Known(BTreeMap::new());
    model::fill_members(&mut so_far, group.router.cloud.name(), &slots);
    state.save(&so_far);

    let failed = match group.wait(ctx, &planned, &machines, &adopted, &before).await {
        Ok(failed) => failed,
        // Without a router no worker can ever register: what was launched for it goes.
        Err(Failure::Boot { what, machines: routers, .. }) => {
            let kept = !drop_machines(&group, &mut slots, &machines, state).await;
            settle(&group, &slots, state).await;
            return Err(Failure::Boot { what, machines: routers, kept });
        }
        Err(failure) => {
            leave_unfinished(&group, &slots, state, failure).await;
            return Ok(());
        }
    };
    let keeps = keeps_failed(&planned);
    let is_dead = |machine: &&Instance| failed.iter().any(|failed| failed.id == machine.id.0);
    let dead: Vec<Instance> = machines.iter().filter(is_dead).cloned().collect();
    let kept = keeps || !drop_machines(&group, &mut slots, &dead, state).await;
    if !failed.is_empty() && failed.len() == machines.len() {
        settle(&group, &slots, state).await;
        let what = format!("every worker of replica group {id}");
        return Err(Failure::Boot { what, machines: failed, kept });
    }
    if !failed.is_empty() {
        state.warn(diagnose::workers_failed(&id.to_string(), &failed, kept));
    }
    if let Err(failure) = finish(session, &group, &planned, &slots, state).await {
        leave_unfinished(&group, &slots, state, failure).await;
    }
    Ok(())
}

/// The machines of a creation: those of one that died and that are what is wanted, and the missing
/// ones, launched at once or not at all.
async fn gather(
    ctx: &Ctx,
    group: &GroupAccess,
    planned: &ReplicaGroup,
    found: Vec<Instance>,
) -> Result<(Vec<Instance>, Vec<Instance>)> {
    let wanted = match model::count(planned) {
        Count::Fixed(count) => count as usize,
        Count::Within { min, .. } => min as usize,
    };
    let (mut kept, mut stale): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|instance| instance.state.is_up() && group.has_digest(instance));
    stale.extend(kept.split_off(kept.len().min(wanted)));
    group.remove(ctx, &stale).await?;
    let missing = u32::try_from(wanted - kept.len()).unwrap_or(u32::MAX);
    let launched = group.launch(missing, model::count_tags(planned)).await?;
    Ok((kept, launched))
}

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
    session.forget(&id.service.fleet);
    let view = session.view(&id.service.fleet).await?;
    let group = workers::access(session, &planned, &id, &find_by_id(&view, &id.service)).await?;
    let before = readiness::registrations(&group.router).await;
    let known = model::known_slots(prior);
    let mut slots = members::in_slots(&members::of_group(&view, &id, &known), &known);
    group.retag(&slots).await?;
    let observed = group.members(&slots).await?;
    let plan = planner::plan_group(model::count(&planned), &group.digest(), &observed);
    if !plan.outdated.is_empty() {
        return Err(outdated(&id, &slots, &plan.outdated));
    }

    // What is true so far goes into the state at each step, under the attributes of before.
    let mut so_far = prior.clone();
    // Those that an apply which did not end has launched are waited for now.
    let unfinished: Vec<Instance> = slots
        .values()
        .filter(|instance| instance.state.is_up() && Phase::of(&instance.tags) != Phase::Ready)
        .cloned()
        .collect();
    let mut woken: BTreeSet<InstanceId> =
        unfinished.iter().map(|instance| instance.id.clone()).collect();
    let mut launched_now = Vec::new();
    for step in plan.steps {
        match step {
            Step::Start(instance) => {
                group.start(&instance).await?;
                woken.insert(instance);
            }
            Step::Reboot(instance) => {
                group.reboot(&instance).await?;
                woken.insert(instance);
            }
            Step::Remove(removals) => {
                let leaving = |slot: &u32| removals.iter().any(|removal| removal.slot == *slot);
                let machines: Vec<Instance> = slots
                    .extract_if(.., |slot, _| leaving(slot))
                    .map(|(_, machine)| machine)
                    .collect();
                group.remove(ctx, &machines).await?;
            }
            Step::Launch { slots: free } => {
                let count = u32::try_from(free.len()).unwrap_or(u32::MAX);
                launched_now = group.launch(count, model::count_tags(&planned)).await?;
                woken.extend(launched_now.iter().map(|instance| instance.id.clone()));
                slots.extend(free.into_iter().zip(launched_now.iter().cloned()));
            }
        }
        session.forget(&id.service.fleet);
        save_members(&group, &mut so_far, &slots, state);
    }
    let woken: Vec<Instance> =
        slots.values().filter(|instance| woken.contains(&instance.id)).cloned().collect();
    let (failure, dead) = match group.wait(ctx, &planned, &woken, &unfinished, &before).await {
        Ok(failed) if failed.is_empty() => {
            return finish(session, &group, &planned, &slots, state).await;
        }
        Ok(failed) => {
            let keeps = keeps_failed(&planned);
            let is_dead = |machine: &&Instance| {
                !keeps && failed.iter().any(|failed| failed.id == machine.id.0)
            };
            let dead = woken.iter().filter(is_dead).cloned().collect();
            (boot_failure(&id, failed, keeps), dead)
        }
        // Without a router no new worker can ever register: what was launched for it goes.
        Err(failure @ Failure::Boot { .. }) => (failure, launched_now),
        Err(failure) => {
            settle(&group, &slots, state).await;
            return Err(failure);
        }
    };
    drop_machines(&group, &mut slots, &dead, state).await;
    session.forget(&id.service.fleet);
    save_members(&group, &mut so_far, &slots, state);
    Err(failure)
}

pub(super) async fn delete(
    session: &Session,
    ctx: &Ctx,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let Some(group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&group)?;
    let fleet = key(&id.service.fleet);
    session.forget(&id.service.fleet);
    let cloud = session.cloud(id.service.fleet.cloud).await?;
    let view = session.view(&id.service.fleet).await?;
    // Its own, and what an update that died has left. Under `create_before_destroy` the machines of
    // the new object are there by now, under the same name.
    let known = model::known_slots(&group);
    let is_own = |machine: &Instance| {
        Phase::of(&machine.tags) == Phase::Creating
            || known.values().any(|known| *known == machine.id.0)
    };
    let mut machines = members::of_group(&view, &id, &known);
    machines.retain(is_own);
    workers::remove(ctx, &*cloud, &fleet, &id, &machines).await?;
    session.forget(&id.service.fleet);
    state.remove();
    Ok(())
}

/// Tags the machines as made, and saves what there is under the attributes that were planned.
async fn finish(
    session: &Session,
    group: &GroupAccess,
    planned: &ReplicaGroup,
    slots: &BTreeMap<u32, Instance>,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let mut tags = Phase::Ready.tag();
    tags.extend(model::count_tags(planned));
    group.tag(slots.values(), &tags).await?;
    let id = group.id();
    session.forget(&id.service.fleet);
    // The machines as they are now: they have run since they were launched.
    let view = session.view(&id.service.fleet).await?;
    let ids = slots.iter().map(|(slot, instance)| (*slot, instance.id.to_string())).collect();
    let now = members::in_slots(&members::of_group(&view, id, &ids), &ids);
    let mut done = planned.clone();
    done.id = Attr::Known(id.to_string());
    done.drift = Attr::Known(BTreeMap::new());
    model::fill_members(&mut done, group.router.cloud.name(), &now);
    // What was promised as known is kept, also when a machine less came up: Terraform insists on
    // it, and the next look says what there is.
    if !planned.instance_count.is_unknown() {
        done.instance_count = planned.instance_count.clone();
    }
    if !planned.hourly_cost.is_unknown() {
        done.hourly_cost = planned.hourly_cost.clone();
    }
    state.save(&done);
    Ok(())
}

/// The machines are there and may well be healthy: the next apply sees to the rest.
async fn leave_unfinished(
    group: &GroupAccess,
    slots: &BTreeMap<u32, Instance>,
    state: &mut State<ReplicaGroup>,
    failure: Failure,
) {
    settle(group, slots, state).await;
    state.warn_all(diagnose::unfinished(&format!("replica group {}", group.id()), failure));
}

/// Marks what is in the state as somebody's, so that no other creation takes it for its own; nothing
/// in the state means that there is nothing.
async fn settle(
    group: &GroupAccess,
    slots: &BTreeMap<u32, Instance>,
    state: &mut State<ReplicaGroup>,
) {
    if slots.is_empty() {
        state.remove();
    }
    let creating = slots.values().filter(|machine| Phase::of(&machine.tags) == Phase::Creating);
    if let Err(failure) = group.tag(creating, &Phase::Unfinished.tag()).await {
        state.warn_all(diagnose::failure(failure));
    }
}

/// Removes machines after a failure, also when the operation's own time is over, and says whether
/// they are gone. What cannot be removed stays in the state, and the cause of it all is still told.
async fn drop_machines(
    group: &GroupAccess,
    slots: &mut BTreeMap<u32, Instance>,
    dead: &[Instance],
    state: &mut State<ReplicaGroup>,
) -> bool {
    match group.remove(&readiness::grace(), dead).await {
        Ok(()) => {
            slots.retain(|_, instance| dead.iter().all(|dead| dead.id != instance.id));
            true
        }
        Err(failure) => {
            state.warn_all(diagnose::failure(failure));
            false
        }
    }
}

fn save_members(
    group: &GroupAccess,
    so_far: &mut ReplicaGroup,
    slots: &BTreeMap<u32, Instance>,
    state: &mut State<ReplicaGroup>,
) {
    model::fill_members(so_far, group.router.cloud.name(), slots);
    if so_far.scaling.is_null() {
        so_far.replicas = so_far.instance_count.clone();
    }
    state.save(so_far);
}

fn boot_failure(id: &GroupId, failed: Vec<FailedMachine>, kept: bool) -> Failure {
    let what = format!("{} of the workers of replica group {id}", failed.len());
    Failure::Boot { what, machines: failed, kept }
}

fn outdated(id: &GroupId, slots: &BTreeMap<u32, Instance>, outdated: &[u32]) -> Failure {
    let machines = outdated.iter().filter_map(|slot| Some((slot, slots.get(slot)?)));
    Failure::Unrepairable {
        what: format!("replica group {id}"),
        findings: machines
            .map(|(slot, machine)| {
                format!("machine {} in slot {slot} was made from another configuration", machine.id)
            })
            .collect(),
        way_out:
            "Remove the machine by hand, and apply: a new one takes its place. Or replace the \
                  group: `terraform apply -replace=disagg_replica_group.NAME`."
                .to_owned(),
    }
}

fn keeps_failed(group: &ReplicaGroup) -> bool {
    group.on_boot_failure.known().is_some_and(|word| word == "keep")
}
