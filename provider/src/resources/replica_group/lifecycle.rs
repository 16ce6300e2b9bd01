//! A replica group in its cloud: create, read, resize, remove, import.
//!
//! What is launched is in the state before anything is waited for. A worker that does not boot
//! never takes the group down: it is removed, said, and shows as drift.

use super::model;
use super::workers::{self, GroupAccess};
use crate::diagnose;
use crate::error::{Doing, FailedMachine, Failure, Result};
use crate::readiness;
use crate::resources::service::{FoundService, find_by_id};
use crate::session::{Session, key};
use cloud::{Instance, InstanceState, ObjectId, Phase, Tags, tag};
use domain::id::{GroupId, ImportPath};
use domain::planner::{self, Count, Step};
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let id = model::configured_id(&planned)?;
    session.forget(&id.service.fleet);
    let view = session.view(&id.service.fleet).await?;
    let service = find_by_id(&view, &id.service);
    let adopted = adoptable(&id, &service)?;
    let group = workers::access(session, &planned, &id, &service).await?;

    let wanted = match model::count(&planned) {
        Count::Fixed(count) => count,
        Count::Within { min, .. } => min,
    };
    let before = readiness::registrations(&group.router).await?;
    let (kept, stale): (Vec<_>, Vec<_>) = adopted
        .into_iter()
        .partition(|instance| instance.state.is_up() && group.has_digest(instance));
    group.remove(ctx, &stale).await?;
    let missing = wanted.saturating_sub(u32::try_from(kept.len()).unwrap_or(u32::MAX));
    let surplus = kept.len().saturating_sub(wanted as usize);
    group.remove(ctx, &kept[..surplus]).await?;
    let kept = &kept[surplus..];
    let mut machines: Vec<Instance> = kept.to_vec();
    machines.extend(group.launch(missing, model::count_tags(&planned)).await?);
    session.forget(&id.service.fleet);
    let mut slots = number(&machines, &BTreeMap::new());
    let mut so_far = planned.clone();
    so_far.id = Attr::Known(id.to_string());
    model::fill_members(&mut so_far, group.router.cloud.name(), &slots);
    state.save(&so_far);

    let failed = match group.wait(ctx, &planned, &machines, kept, &before).await {
        Ok(failed) => failed,
        // Without a router no worker can ever register: what was launched for it goes.
        Err(Failure::Boot { what, machines: routers, .. }) => {
            group.remove(&readiness::grace(), &machines).await?;
            state.remove();
            return Err(Failure::Boot { what, machines: routers, kept: false });
        }
        Err(failure) => return Err(failure),
    };
    let keep = keeps_failed(&planned);
    if !failed.is_empty() && !keep {
        let dead = chosen(&machines, &failed);
        group.remove(&readiness::grace(), &dead).await?;
        slots.retain(|_, instance| !dead.iter().any(|dead| dead.id == instance.id));
    }
    if !failed.is_empty() && failed.len() == machines.len() {
        if !keep {
            state.remove();
        }
        return Err(Failure::Boot {
            what: format!("every worker of replica group {id}"),
            machines: failed,
            kept: keep,
        });
    }
    if !failed.is_empty() {
        state.warn(diagnose::workers_failed(&id.to_string(), &failed, keep));
    }
    finish(session, &group, &id, &planned, &slots, state).await
}

pub(super) async fn read(session: &Session, state: &mut State<ReplicaGroup>) -> Result<()> {
    let Some(mut group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&group)?;
    let view = session.view(&id.service.fleet).await?;
    let service = find_by_id(&view, &id.service);
    let machines = of_group(&service, &id);
    if machines.is_empty() && service.is_gone() {
        state.remove();
        return Ok(());
    }
    let slots = number(&machines, &model::known_slots(&group));
    let had = group.members.known().map(BTreeMap::len).unwrap_or_default();
    group.drift = Attr::Known(drift(&group, &slots, had));
    if group.scaling.is_null() {
        group.replicas = Attr::Known(i64::try_from(slots.len()).unwrap_or(i64::MAX));
    }
    model::fill_members(&mut group, id.service.fleet.cloud, &slots);
    state.save(&group);
    Ok(())
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
    let service = find_by_id(&*session.view(&id.service.fleet).await?, &id.service);
    let group = workers::access(session, &planned, &id, &service).await?;
    let before = readiness::registrations(&group.router).await?;
    let mut slots = number(&of_group(&service, &id), &model::known_slots(prior));
    let members = group.members(&slots).await?;
    let plan = planner::plan_group(model::count(&planned), &group.digest(), &members);

    // What is true so far goes into the state at each step, under the attributes of before.
    let mut so_far = prior.clone();
    // Those that an apply which did not end has launched are waited for now.
    let unfinished: Vec<Instance> = slots
        .values()
        .filter(|instance| instance.state.is_up() && Phase::of(&instance.tags) == Phase::Creating)
        .cloned()
        .collect();
    let mut woken = unfinished.clone();
    let mut launched_now = Vec::new();
    for step in plan.steps {
        match step {
            Step::Start(instance) => {
                group.start(&instance).await?;
                woken.extend(slots.values().find(|found| found.id == instance).cloned());
            }
            Step::Reboot(instance) => {
                group.reboot(&instance).await?;
                woken.extend(slots.values().find(|found| found.id == instance).cloned());
            }
            Step::Remove { slot, .. } => {
                if let Some(instance) = slots.get(&slot).cloned() {
                    group.remove(ctx, &[instance]).await?;
                    slots.remove(&slot);
                }
            }
            Step::Launch { slots: free } => {
                let count = u32::try_from(free.len()).unwrap_or(u32::MAX);
                let launched = group.launch(count, model::count_tags(&planned)).await?;
                slots.extend(free.into_iter().zip(launched.iter().cloned()));
                launched_now.extend(launched.iter().cloned());
                woken.extend(launched);
            }
        }
        session.forget(&id.service.fleet);
        model::fill_members(&mut so_far, group.router.cloud.name(), &slots);
        if so_far.scaling.is_null() {
            so_far.replicas = so_far.instance_count.clone();
        }
        state.save(&so_far);
    }
    woken.retain(|woken| slots.values().any(|instance| instance.id == woken.id));
    let keep = keeps_failed(&planned);
    let (failure, dead) = match group.wait(ctx, &planned, &woken, &unfinished, &before).await {
        Ok(failed) if failed.is_empty() => {
            return finish(session, &group, &id, &planned, &slots, state).await;
        }
        Ok(failed) => {
            let what = format!("{} of the workers of replica group {id}", failed.len());
            let dead = if keep { Vec::new() } else { chosen(&woken, &failed) };
            (Failure::Boot { what, machines: failed, kept: keep }, dead)
        }
        // Without a router no new worker can ever register: what was launched for it goes.
        Err(failure @ Failure::Boot { .. }) => (failure, launched_now),
        Err(failure) => return Err(failure),
    };
    match group.remove(&readiness::grace(), &dead).await {
        Ok(()) => slots.retain(|_, instance| dead.iter().all(|dead| dead.id != instance.id)),
        // What could not be removed stays in the state, and the cause is still told.
        Err(error) => state.warn_all(diagnose::failure(error)),
    }
    session.forget(&id.service.fleet);
    model::fill_members(&mut so_far, group.router.cloud.name(), &slots);
    if so_far.scaling.is_null() {
        so_far.replicas = so_far.instance_count.clone();
    }
    state.save(&so_far);
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
    let machines = of_group(&find_by_id(&view, &id.service), &id);
    workers::remove(ctx, &*cloud, &fleet, &id, &machines).await?;
    session.forget(&id.service.fleet);
    state.remove();
    Ok(())
}

pub(super) async fn import(
    session: &Session,
    path: &str,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let ImportPath::Group { fleet, service, group: name } =
        path.parse().map_err(|error| Failure::import_id(format!("{error}.")))?
    else {
        return Err(Failure::import_id(format!(
            "`{path}` is not `cloud/region/fleet/service/group`."
        )));
    };
    let missing = |hint: &str| Failure::Missing {
        what: format!("replica group {path}"),
        attribute: AttributePath::root("id"),
        hint: hint.to_owned(),
    };
    let view = session.view(&fleet).await?;
    let machine = view
        .instances
        .iter()
        .filter(|instance| instance.tags.get(tag::GROUP) == Some(&name))
        .find(|instance| {
            let tag = instance.tags.get(tag::SERVICE).and_then(|tag| tag.split_once('@'));
            tag.is_some_and(|(found, _)| found == service)
        })
        .ok_or_else(|| missing("The fleet has no machine of such a group."))?;
    let cloud = session.cloud(fleet.cloud).await?;
    let user_data = cloud
        .user_data(&key(&fleet), &machine.id)
        .await
        .doing(fleet.cloud, || format!("read the user data of {}", machine.id))?
        .ok_or_else(|| missing("The cloud has no user data for its machines."))?;
    let spec = domain::user_data::parse_worker(&user_data).map_err(|error| {
        missing(&format!("The user data of {} is not ours: {error}.", machine.id))
    })?;
    let mut group = model::from_spec(&spec);
    if let Some(count) = machine.tags.get(tag::COUNT) {
        model::count_from_tag(&mut group, count);
    }
    state.save(&group);
    read(session, state).await
}

/// Tags the machines as made, and saves what there is under the attributes that were planned.
async fn finish(
    session: &Session,
    group: &GroupAccess,
    id: &GroupId,
    planned: &ReplicaGroup,
    slots: &BTreeMap<u32, Instance>,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let mut tags = Tags::from([(tag::PHASE.to_owned(), Phase::Ready.as_str().to_owned())]);
    tags.extend(model::count_tags(planned));
    let objects: Vec<_> =
        slots.values().map(|instance| ObjectId::Instance(instance.id.clone())).collect();
    let cloud = &group.router.cloud;
    if !objects.is_empty() {
        cloud
            .tag(&group.router.fleet, &objects, &tags)
            .await
            .doing(cloud.name(), || format!("mark the machines of {id} as ready"))?;
    }
    session.forget(&id.service.fleet);
    // The machines as they are now: they have run since they were launched.
    let service = find_by_id(&*session.view(&id.service.fleet).await?, &id.service);
    let ids = slots.iter().map(|(slot, instance)| (*slot, instance.id.to_string())).collect();
    let mut done = planned.clone();
    done.id = Attr::Known(id.to_string());
    done.drift = Attr::Known(BTreeMap::new());
    model::fill_members(&mut done, cloud.name(), &number(&of_group(&service, id), &ids));
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

/// Machines that a creation that died has left, unless the group is somebody's.
fn adoptable(id: &GroupId, service: &FoundService) -> Result<Vec<Instance>> {
    let machines = of_group(service, id);
    if machines.iter().any(|machine| Phase::of(&machine.tags) == Phase::Ready) {
        return Err(Failure::AlreadyExists {
            what: format!("replica group {id}"),
            address: "disagg_replica_group.NAME",
            import: format!("{}/{}/{}", id.service.fleet, id.service.name, id.name),
        });
    }
    Ok(machines)
}

/// The group's machines that count: those on their way out do not.
fn of_group(service: &FoundService, id: &GroupId) -> Vec<Instance> {
    let machines = service.workers.iter();
    machines
        .filter(|machine| machine.tags.get(tag::GROUP) == Some(&id.name))
        .filter(|machine| machine.state != InstanceState::Terminating)
        .cloned()
        .collect()
}

fn number(machines: &[Instance], known: &BTreeMap<u32, String>) -> BTreeMap<u32, Instance> {
    planner::assign_slots(known, machines)
}

/// What is not as it was made: object → finding.
fn drift(
    group: &ReplicaGroup,
    slots: &BTreeMap<u32, Instance>,
    had: usize,
) -> BTreeMap<String, String> {
    let mut drift = BTreeMap::new();
    for (slot, instance) in slots {
        let finding = match instance.state {
            InstanceState::Pending | InstanceState::Running | InstanceState::Terminating => {
                continue;
            }
            InstanceState::Impaired => "impaired; it will be rebooted",
            InstanceState::Stopping | InstanceState::Stopped => "stopped; it will be started",
        };
        drift.insert(format!("machine {} in slot {slot}", instance.id), finding.to_owned());
    }
    match model::count(group) {
        Count::Within { min, max } => {
            let count = slots.len();
            if count < min as usize || count > max as usize {
                drift.insert("count".to_owned(), format!("{count} machines, outside {min}..{max}"));
            }
        }
        Count::Fixed(_) => {
            for (slot, id) in model::known_slots(group) {
                if !slots.values().any(|instance| instance.id.0 == id) && slots.len() < had {
                    drift.insert(format!("machine {id} in slot {slot}"), "gone".to_owned());
                }
            }
        }
    }
    drift
}

fn keeps_failed(group: &ReplicaGroup) -> bool {
    group.on_boot_failure.known().is_some_and(|word| word == "keep")
}

fn chosen(machines: &[Instance], failed: &[FailedMachine]) -> Vec<Instance> {
    let is_failed = |machine: &&Instance| failed.iter().any(|failed| failed.id == machine.id.0);
    machines.iter().filter(is_failed).cloned().collect()
}
