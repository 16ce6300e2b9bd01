//! What a group looks like in its cloud: read and import. Nothing is changed here.

use super::strangers::without_strangers;
use super::{members, model};
use crate::error::{Doing, Failure, Result};
use crate::resources::service::{find_by_id, router_access};
use crate::session::{FleetView, Refusals, Session, key};
use cloud::{Cloud, Phase, tag};
use domain::id::{GroupId, ImportPath};
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::ReplicaGroup;

pub(super) async fn read(
    session: &Session,
    ctx: &Ctx,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let Some(mut group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&group)?;
    let known = model::known_slots(&group);
    let view = session.view_with(ctx, &id.service.fleet, known.values()).await?;
    let machines = members::of_group(&view, &id, &known);
    let machines = without_strangers(session, ctx, &id, &known, machines).await?;
    if machines.is_empty() && find_by_id(&view, &id.service).is_gone() {
        state.remove();
        return Ok(());
    }
    let (machines, leaving) = members::counted_and_leaving(machines);
    let slots = members::in_slots(&machines, &known);
    let refusals = refusals(session, ctx, &view, &id).await;
    group.drift = Attr::Known(members::drift(&group, &id, &slots, &leaving, &refusals)?);
    if group.scaling.is_null() {
        group.replicas = Attr::Known(i64::try_from(slots.len()).unwrap_or(i64::MAX));
    }
    let cloud = id.service.fleet.cloud;
    model::fill_members(&mut group, cloud, &slots, &leaving);
    model::mark_refused(&mut group, &refusals);
    if let (true, Some(resources)) = (group.minimum_hourly_cost.is_null(), model::resources(&group))
        && let Ok(offers) = model::offers(&session.local_gpus(cloud), cloud, &resources)
    {
        model::fill_cost_bounds(&mut group, &offers);
    }
    state.save(&group);
    Ok(())
}

/// The workers of the service that its router refuses, where it answers: one look for all groups.
async fn refusals(session: &Session, ctx: &Ctx, view: &FleetView, id: &GroupId) -> Refusals {
    let service = find_by_id(view, &id.service);
    let access = async {
        let (facts, address) = service.facts(&id.service).ok()?;
        let router = service.router.as_ref().filter(|_| service.was_ready())?;
        let cloud = session.cloud(ctx, id.service.fleet.cloud).await.ok()?;
        router_access(session, cloud, &facts, &address, router).ok()
    };
    match access.await {
        Some(router) => session.refusals(&id.service, &router).await,
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
    let view = session.view(ctx, &fleet).await?;
    let machine = view
        .instances
        .iter()
        .filter(|instance| instance.tags.get(tag::GROUP) == Some(&name))
        .filter(|instance| {
            let tag = instance.tags.get(tag::SERVICE).and_then(|tag| tag.split_once('@'));
            tag.is_some_and(|(found, _)| found == service)
        })
        // One on its way out may be made from what was wanted before.
        .min_by_key(|instance| Phase::of(&instance.tags) == Phase::Draining)
        .ok_or_else(|| missing("The fleet has no machine of such a group."))?;
    let cloud = session.cloud(ctx, fleet.cloud).await?;
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
    read(session, ctx, state).await
}
