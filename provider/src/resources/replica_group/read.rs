//! What a group looks like in its cloud: read and import. Nothing is changed here.

use super::model;
use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use cloud::{Deadline, Phase, tag};
use domain::id::{GroupId, ImportPath, ServiceId};
use domain::scaling::Scale;
use orchestration::Refusals;
use orchestration::group::{self, Members};
use orchestration::made_from::{MadeFrom, made_from};
use orchestration::service::{self, find_by_id};
use orchestration::snapshot::{Freshness, Snapshot, key};
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::ReplicaGroup;

pub(super) async fn read(
    session: &Session,
    ctx: &Ctx,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let Some(mut replica_group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&replica_group)?;
    let known = model::known_slots(&replica_group);
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let (fleet, freshness) = (&id.service.fleet, Freshness::Any);
    let snapshot = orchestrator.snapshot_with(deadline, fleet, freshness, known.values()).await?;
    let machines = group::of_group(&snapshot, &id, &known);
    let machines = group::drop_foreign(orchestrator, deadline, &id, &known, machines).await?;
    if machines.is_empty() && find_by_id(&snapshot, &id.service).is_gone() {
        state.remove();
        return Ok(());
    }
    let (machines, leaving) = group::counted_and_leaving(machines);
    let slots = group::in_slots(&machines, &known);
    let refusals = refusals(session, deadline, &snapshot, &id).await;
    let members = Members { known: &known, slots: &slots, leaving: &leaving, refusals: &refusals };
    let spec = model::spec(&replica_group, &id)?;
    // After an import of machines that tell no size, it is what there is.
    let count = u32::try_from(slots.len()).unwrap_or(u32::MAX);
    let scale = model::scale(&replica_group).unwrap_or(Scale::Fixed(count));
    replica_group.drift = Attr::Known(diagnose::drift(&group::findings(&spec, &scale, members)));
    if replica_group.scaling.is_null() {
        replica_group.replicas = Attr::Known(i64::try_from(slots.len()).unwrap_or(i64::MAX));
    }
    let cloud = id.service.fleet.cloud;
    model::fill_members(&mut replica_group, cloud, &slots, &leaving);
    model::mark_refused(&mut replica_group, &refusals);
    if let (true, Some(resources)) =
        (replica_group.minimum_hourly_cost.is_null(), model::resources(&replica_group))
        && let Ok(offers) = model::offers(&session.local_gpus(cloud), cloud, &resources)
    {
        model::fill_cost_bounds(&mut replica_group, &offers);
    }
    state.save(&replica_group);
    Ok(())
}

/// The workers of the service that its router refuses, where it answers: one look for all groups.
async fn refusals(
    session: &Session,
    deadline: &Deadline,
    snapshot: &Snapshot,
    id: &GroupId,
) -> Refusals {
    let orchestrator = session.orchestrator();
    let service = find_by_id(snapshot, &id.service);
    let access = async {
        let (facts, address) = service.facts(&id.service).ok()?;
        let router = service.router.as_ref().filter(|_| service.was_ready())?;
        let cloud = orchestrator.cloud(deadline, id.service.fleet.cloud).await.ok()?;
        service::access(orchestrator, cloud, &facts, &address, router).ok()
    };
    match access.await {
        Some(router) => orchestrator.refusals(&id.service, &router).await,
        None => Refusals::default(),
    }
}

pub(super) async fn import(
    session: &Session,
    ctx: &Ctx,
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
        attribute: Some(AttributePath::root("id")),
        hint: hint.to_owned(),
    };
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let snapshot = orchestrator.snapshot(deadline, &fleet, Freshness::Any).await?;
    let machine = snapshot
        .instances
        .iter()
        .filter(|instance| instance.tags.get(tag::GROUP) == Some(&name))
        .filter(|instance| {
            let label = instance.tags.get(tag::SERVICE);
            let found = label.and_then(|label| ServiceId::of_label(&fleet, label).ok());
            found.is_some_and(|found| found.name == service)
        })
        // One on its way out may be made from what was wanted before.
        .min_by_key(|instance| Phase::of(&instance.tags) == Phase::Draining)
        .ok_or_else(|| missing("The fleet has no machine of such a group."))?;
    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let asked = made_from(&*cloud, &key(&fleet), &machine.id, domain::made_from::worker).await?;
    let spec = match asked {
        MadeFrom::Spec(spec) => spec,
        MadeFrom::Gone => return Err(missing("Its machines have gone meanwhile.")),
        MadeFrom::Unreadable(why) => {
            return Err(missing(&format!(
                "What machine {} was made from cannot be read: {why}.",
                machine.id
            )));
        }
    };
    let mut group = model::from_spec(&spec);
    if let Some(count) = machine.tags.get(tag::COUNT) {
        model::scale_from_tag(&mut group, count);
    }
    state.save(&group);
    read(session, ctx, state).await
}
