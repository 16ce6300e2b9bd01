//! What a service looks like in its cloud: read and import. Nothing is changed here.

use super::find::{FoundService, find_by_id, find_by_name};
use super::lifecycle::{fill_address, fill_cost_bounds, fill_offer, remember};
use super::record::RouterRecord;
use super::removal::finding_of_nobodys;
use super::{model, tags};
use crate::error::{Doing, Failure, Result};
use crate::resources::drift::{changed_settings, changed_tag};
use crate::session::{Session, key};
use cloud::{Cloud, Ingress, tag};
use domain::id::{ImportPath, ServiceId};
use domain::spec::RouterSpec;
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::Service;
use std::collections::BTreeMap;

pub(super) async fn read(session: &Session, ctx: &Ctx, state: &mut State<Service>) -> Result<()> {
    let Some(mut service) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&service)?;
    let view = session.view(ctx, &id.fleet).await?;
    let found = find_by_id(&view, &id);
    if found.is_gone() {
        state.remove();
        return Ok(());
    }
    let rule = view.ingress(&id.tag_value());
    let cidrs = rule.map(|rule| rule.cidrs.clone()).unwrap_or_default();
    if model::ingress(&service) != cidrs {
        service.ingress_cidrs =
            Attr::Known(cidrs.into_iter().map(|block| Attr::Known(schemas::Cidr(block))).collect());
    }
    fill_cost_bounds(&mut service);
    let spec = model::spec(&service, &id)?;
    let mut drift = drift(&found, &spec);
    if let Some(Ingress { port, .. }) = rule.filter(|rule| rule.port != spec.port) {
        let finding = format!("for port {port}; it will be for port {} again", spec.port);
        drift.insert("ingress rule".to_owned(), finding);
    }
    if let Some(address) = &found.address {
        let before = service.endpoint.clone();
        fill_address(&mut service, address);
        if let (Some(was), Some(is)) = (before.known(), service.endpoint.known())
            && was != is
        {
            drift.insert(
                PUBLIC_ADDRESS.to_owned(),
                format!("clients reach it at {is} and no longer at {was}"),
            );
        }
    }
    service.drift = Attr::Known(drift);
    if let Some(instance) = &found.router {
        service.instance_type = Attr::Known(instance.instance_type.clone());
        if service.image_id.is_null() {
            service.image_id = Attr::from(instance.image.clone());
        }
    }
    state.save(&service);
    if let Some(address) = &found.address {
        let workers = u32::try_from(found.workers.len()).unwrap_or(u32::MAX);
        let was = RouterRecord::load(state.private()).and_then(|record| record.live);
        let live = was == Some(true)
            || found.was_ready()
            || found.has_somebodys_workers()
            || has_said_ready(session, ctx, &id, &found).await?;
        remember(state, Some(live), address, workers);
    }
    Ok(())
}

/// The finding that clients' way to the router has changed.
pub(super) const PUBLIC_ADDRESS: &str = "public address";

/// What is not as it was made: object → finding.
fn drift(found: &FoundService, spec: &RouterSpec) -> BTreeMap<String, String> {
    let mut drift = found.router_findings();
    if let Some(address) = &found.address
        && let Some(finding) = changed_tag(&address.tags, &tags::of_address(spec))
    {
        drift.entry(format!("address {}", address.ip)).or_insert(finding);
    }
    if let Some(router) = &found.router
        && let Some(finding) = changed_tag(&router.tags, &tags::of_router(spec))
    {
        drift.entry(format!("router {}", router.id)).or_insert(finding);
    }
    if let Some(router) = &found.router
        && let Some(finding) =
            changed_settings(router, "only another service brings another router")
    {
        drift.entry(format!("router {}", router.id)).or_insert(finding);
    }
    for worker in found.nobodys_workers() {
        let group = worker.tags.get(tag::GROUP).map_or("", String::as_str);
        let object = format!("machine {} of replica group {group}", worker.id);
        drift.insert(object, finding_of_nobodys());
    }
    drift
}

pub(super) async fn import(
    session: &Session,
    ctx: &Ctx,
    path: &str,
    state: &mut State<Service>,
) -> Result<()> {
    let ImportPath::Service { fleet, service: name } =
        path.parse().map_err(|error| Failure::import_id(format!("{error}.")))?
    else {
        return Err(Failure::import_id(format!("`{path}` is not `cloud/region/fleet/service`.")));
    };
    let view = session.view(ctx, &fleet).await?;
    let missing = |hint: String| Failure::Missing {
        what: format!("service {path}"),
        attribute: Some(AttributePath::root("id")),
        hint,
    };
    if view.fleet.is_none() {
        return Err(missing(format!("There is no fleet {fleet}.")));
    }
    let ids = find_by_name(&view, &fleet, &name);
    let id = match &ids[..] {
        [id] => id,
        [] => return Err(missing(format!("Fleet {fleet} has no service of this name."))),
        several => {
            let several: Vec<_> = several.iter().map(|id| format!("`{id}`")).collect();
            return Err(missing(format!(
                "Fleet {fleet} has several of this name: {}. Two runs created them at the same time. \
                 Destroy one of them with the state that has it.",
                several.join(", ")
            )));
        }
    };
    let found = find_by_id(&view, id);
    let router = found.router.as_ref().ok_or_else(|| {
        missing("Its router is gone, and with it what it was made from.".to_owned())
    })?;
    let cloud = session.cloud(ctx, fleet.cloud).await?;
    let user_data = cloud
        .user_data(&key(&fleet), &router.id)
        .await
        .doing(fleet.cloud, || format!("read the user data of {}", router.id))?
        .ok_or_else(|| missing(format!("The cloud has no user data for {}.", router.id)))?;
    let spec = domain::user_data::parse_router(&user_data).map_err(|error| {
        missing(format!("The user data of {} is not ours: {error}.", router.id))
    })?;
    let mut service = model::from_spec(&spec);
    service.id = Attr::Known(id.to_string());
    fill_offer(&mut service, Some(router));
    state.save(&service);
    read(session, ctx, state).await
}

/// A router whose creation did not wait for it says on its console whether it was ever healthy.
async fn has_said_ready(
    session: &Session,
    ctx: &Ctx,
    id: &ServiceId,
    found: &FoundService,
) -> Result<bool> {
    let Some(router) = &found.router else { return Ok(false) };
    let cloud = session.cloud(ctx, id.fleet.cloud).await?;
    let console = cloud
        .console(&key(&id.fleet), &router.id)
        .await
        .doing(id.fleet.cloud, || format!("read the console of {}", router.id))?;
    Ok(domain::console::was_ready(&console.text))
}
