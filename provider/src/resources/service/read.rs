//! What a service looks like in its cloud: read and import. Nothing is changed here.

use super::model;
use super::record::{RouterRecord, remember};
use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use cloud::Cloud;
use domain::id::{ImportPath, ServiceId};
use orchestration::failure::Failure as Ended;
use orchestration::made_from::{MadeFrom, made_from};
use orchestration::service::{self, FoundService, find_by_id, find_by_name};
use orchestration::snapshot::{Freshness, key};
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::Service;

pub(super) async fn read(session: &Session, ctx: &Ctx, state: &mut State<Service>) -> Result<()> {
    let Some(mut service) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&service)?;
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let snapshot = orchestrator.snapshot(deadline, &id.fleet, Freshness::Any).await?;
    let found = find_by_id(&snapshot, &id);
    if found.is_gone() {
        state.remove();
        return Ok(());
    }
    let rule = snapshot.ingress(&id.label());
    let cidrs = rule.map(|rule| rule.cidrs.clone()).unwrap_or_default();
    if model::ingress(&service) != cidrs {
        service.ingress_cidrs =
            Attr::Known(cidrs.into_iter().map(|block| Attr::Known(schemas::Cidr(block))).collect());
    }
    model::fill_missing_cost_bounds(&mut service);
    let spec = model::spec(&service, &id)?;
    let mut findings = service::findings(&found, &snapshot, &spec);
    let before = service.endpoint.known().cloned();
    let moved = before.and_then(|before| service::moved(&found, &spec, &before));
    let has_moved = moved.is_some();
    findings.extend(moved);
    if let Some(address) = &found.address {
        model::fill_address(&mut service, address);
    }
    service.drift = Attr::Known(diagnose::drift(&findings));
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
            || found.has_owned_workers()
            || has_said_ready(session, ctx, &id, &found).await?;
        let (live, address) = (Some(live), address.ip);
        let record = RouterRecord { live, address, workers, moved: has_moved };
        remember(state, &record);
    }
    Ok(())
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
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let snapshot = orchestrator.snapshot(deadline, &fleet, Freshness::Any).await?;
    let missing = |hint: String| Failure::Missing {
        what: format!("service {path}"),
        attribute: Some(AttributePath::root("id")),
        hint,
    };
    if snapshot.fleet.is_none() {
        return Err(missing(format!("There is no fleet {fleet}.")));
    }
    let ids = find_by_name(&snapshot, &fleet, &name);
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
    let found = find_by_id(&snapshot, id);
    let router = found.router.as_ref().ok_or_else(|| {
        missing("Its router is gone, and with it what it was made from.".to_owned())
    })?;
    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let asked = made_from(&*cloud, &key(&fleet), &router.id, domain::made_from::router).await?;
    let spec = match asked {
        MadeFrom::Spec(spec) => spec,
        MadeFrom::Gone => return Err(missing("Its router has gone meanwhile.".to_owned())),
        MadeFrom::Unreadable(why) => {
            return Err(missing(format!(
                "What router {} was made from cannot be read: {why}.",
                router.id
            )));
        }
    };
    let mut service = model::from_spec(&spec);
    service.id = Attr::Known(id.to_string());
    model::fill_offer(&mut service, Some(router));
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
    let cloud = session.orchestrator().cloud(&deadline(ctx), id.fleet.cloud).await?;
    let console =
        cloud.console(&key(&id.fleet), &router.id).await.map_err(|error| Ended::Cloud {
            cloud: id.fleet.cloud,
            doing: format!("read the console of {}", router.id),
            error,
        })?;
    Ok(domain::console::was_ready(&console.text))
}
