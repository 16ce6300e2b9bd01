//! A service in its cloud: create, read, recover, remove, import.
//!
//! Every id is in the state before anything is waited for, so that whatever dies, the next apply
//! finds it again.

use super::find::{FoundService, find_by_id, find_by_name};
use super::record::RouterRecord;
use super::{model, router};
use crate::diagnose;
use crate::error::{Doing, Failure, Result};
use crate::readiness;
use crate::session::{Session, key};
use cloud::{Address, AddressRequest, Cloud, Ingress, InstanceState, Phase, Tags, tag};
use domain::id::{FleetId, ImportPath, ServiceId, Uid};
use domain::spec::{RouterSpec, ServiceFacts};
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::Service;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    mut planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let fleet = model::fleet_id(&planned)?;
    let name = planned.name.known().cloned().unwrap_or_default();
    session.forget(&fleet);
    let id = claim(session, &fleet, &name).await?;
    let spec = model::spec(&planned, &id)?;
    let cloud = session.cloud(fleet.cloud).await?;
    let address = cloud
        .reserve_address(&AddressRequest {
            fleet: key(&fleet),
            token: id.uid.to_string(),
            tags: address_tags(&spec),
        })
        .await
        .doing(fleet.cloud, || format!("reserve the router's address of service {id}"))?;
    planned.id = Attr::Known(id.to_string());
    planned.drift = Attr::Known(BTreeMap::new());
    fill_address(&mut planned, &address);
    fill_offer(&mut planned, None);
    state.save(&planned);
    remember(state, false, &address, 0);

    set_ingress(&*cloud, &fleet, &id, &planned).await?;
    session.forget(&fleet);
    let found = find_by_id(&*session.view(&fleet).await?, &id);
    let instance = router::ensure(&*cloud, &spec, &address, &found).await?;
    fill_offer(&mut planned, Some(&instance));
    state.save(&planned);
    session.forget(&fleet);

    let healthy = waits_until_ready(&planned);
    let access = router::access(Arc::clone(&cloud), &fleet, spec.port, &address, &instance);
    if healthy && let Err(failure) = readiness::router(ctx, &access).await {
        return Err(give_up(session, &planned, state, failure).await);
    }
    router::mark(&*cloud, &fleet, &id, &address, &instance, healthy).await?;
    remember(state, healthy, &address, 0);
    session.forget(&fleet);
    Ok(())
}

pub(super) async fn read(session: &Session, state: &mut State<Service>) -> Result<()> {
    let Some(mut service) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&service)?;
    let view = session.view(&id.fleet).await?;
    let found = find_by_id(&view, &id);
    if found.is_gone() {
        state.remove();
        return Ok(());
    }
    let rule = view.ingress.iter().find(|rule| rule.service == service_tag(&id));
    let cidrs = rule.map(|rule| rule.cidrs.clone()).unwrap_or_default();
    if model::ingress(&service) != cidrs {
        service.ingress_cidrs =
            Attr::Known(cidrs.into_iter().map(|block| Attr::Known(schemas::Cidr(block))).collect());
    }
    service.drift = Attr::Known(drift(&found));
    if let Some(address) = &found.address {
        fill_address(&mut service, address);
    }
    if let Some(instance) = &found.router {
        service.instance_type = Attr::Known(instance.instance_type.clone());
    }
    state.save(&service);
    if let Some(address) = &found.address {
        let workers = u32::try_from(found.workers.len()).unwrap_or(u32::MAX);
        let was_live = RouterRecord::load(state.private()).is_some_and(|record| record.live);
        let live = was_live || found.was_ready() || says_ready(session, &id, &found).await?;
        remember(state, live, address, workers);
    }
    Ok(())
}

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &Service,
    mut planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let id = model::id(prior)?;
    if model::ingress(prior) != model::ingress(&planned) {
        session.forget(&id.fleet);
        let cloud = session.cloud(id.fleet.cloud).await?;
        set_ingress(&*cloud, &id.fleet, &id, &planned).await?;
        let mut done = prior.clone();
        done.ingress_cidrs = planned.ingress_cidrs.clone();
        state.save(&done);
    }
    if prior.drift.known().is_some_and(|drift| !drift.is_empty()) {
        recover(session, ctx, &id, &planned).await?;
    }
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    Ok(())
}

/// Brings the router back at its address, under its name.
async fn recover(session: &Session, ctx: &Ctx, id: &ServiceId, planned: &Service) -> Result<()> {
    session.forget(&id.fleet);
    let cloud = session.cloud(id.fleet.cloud).await?;
    let found = find_by_id(&*session.view(&id.fleet).await?, id);
    let spec = model::spec(planned, id)?;
    let (_, address) = found.facts(id)?;
    let woken = found.router.as_ref().filter(|router| router.state != InstanceState::Running);
    let past_boot = match woken {
        Some(router) => readiness::latest_boot(&*cloud, &key(&id.fleet), &router.id).await?,
        None => None,
    };
    let instance = router::ensure(&*cloud, &spec, &address, &found).await?;
    session.forget(&id.fleet);
    let healthy = waits_until_ready(planned);
    if healthy {
        let mut access =
            router::access(Arc::clone(&cloud), &id.fleet, spec.port, &address, &instance);
        access.past_boot = past_boot;
        readiness::router(ctx, &access).await?;
    }
    router::mark(&*cloud, &id.fleet, id, &address, &instance, healthy).await?;
    session.forget(&id.fleet);
    Ok(())
}

pub(super) async fn delete(session: &Session, ctx: &Ctx, state: &mut State<Service>) -> Result<()> {
    let Some(service) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&service)?;
    session.forget(&id.fleet);
    let found = find_by_id(&*session.view(&id.fleet).await?, &id);
    let groups: BTreeSet<String> = found
        .workers
        .iter()
        .filter(|worker| Phase::of(&worker.tags) == Phase::Ready)
        .filter(|worker| worker.state != InstanceState::Terminating)
        .filter_map(|worker| worker.tags.get(tag::GROUP))
        .map(|group| format!("replica group {id}/{group}"))
        .collect();
    if !groups.is_empty() {
        return Err(Failure::StillUsed {
            what: format!("service {id}"),
            by: groups.into_iter().collect(),
            hint: "Workers without their router are paid for and do nothing. Remove these groups \
                   first; if another state has them, remove them there, or import them here with \
                   `terraform import disagg_replica_group.NAME cloud/region/fleet/service/group`."
                .to_owned(),
        });
    }
    remove(session, ctx, &id).await?;
    state.remove();
    Ok(())
}

pub(super) async fn import(
    session: &Session,
    path: &str,
    state: &mut State<Service>,
) -> Result<()> {
    let ImportPath::Service { fleet, service: name } =
        path.parse().map_err(|error| Failure::import_id(format!("{error}.")))?
    else {
        return Err(Failure::import_id(format!("`{path}` is not `cloud/region/fleet/service`.")));
    };
    let view = session.view(&fleet).await?;
    let missing = |hint: String| Failure::Missing {
        what: format!("service {path}"),
        attribute: AttributePath::root("id"),
        hint,
    };
    let [id] = &find_by_name(&view, &fleet, &name)[..] else {
        return Err(missing(format!("Fleet {fleet} has no service of this name.")));
    };
    let found = find_by_id(&view, id);
    let router = found.router.as_ref().ok_or_else(|| {
        missing("Its router is gone, and with it what it was made from.".to_owned())
    })?;
    let cloud = session.cloud(fleet.cloud).await?;
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
    read(session, state).await
}

/// The id under which the service is made: a new one, or that of a creation that died.
async fn claim(session: &Session, fleet: &FleetId, name: &str) -> Result<ServiceId> {
    let view = session.view(fleet).await?;
    if view.fleet.is_none() {
        return Err(Failure::Missing {
            what: format!("fleet {fleet}"),
            attribute: AttributePath::root("fleet_id"),
            hint: format!(
                "The cloud `{}` has no fleet `{}` in region `{}`. Refer to the fleet's resource, as \
                 in `fleet_id = disagg_fleet.NAME.id`, so that it is created first.",
                fleet.cloud, fleet.name, fleet.region
            ),
        });
    }
    let existing = find_by_name(&view, fleet, name);
    let is_unfinished = |id: &&ServiceId| {
        let found = find_by_id(&view, id);
        found.address.is_some() && found.phase() == Phase::Creating
    };
    if let Some(id) = existing.iter().find(is_unfinished) {
        return Ok(id.clone());
    }
    if let Some(id) = existing.first() {
        return Err(Failure::AlreadyExists {
            what: format!("service {id}"),
            address: "disagg_service.NAME",
            import: format!("{fleet}/{name}"),
        });
    }
    let random = uuid::Uuid::new_v4().as_u64_pair().0;
    Ok(ServiceId { fleet: fleet.clone(), name: name.to_owned(), uid: Uid::from_random(random) })
}

/// A router whose creation did not wait for it says on its console whether it has become healthy.
async fn says_ready(session: &Session, id: &ServiceId, found: &FoundService) -> Result<bool> {
    let Some(router) = &found.router else { return Ok(false) };
    let cloud = session.cloud(id.fleet.cloud).await?;
    let console = cloud
        .console(&key(&id.fleet), &router.id)
        .await
        .doing(id.fleet.cloud, || format!("read the console of {}", router.id))?;
    Ok(domain::console::latest_state(&console.text).is_some_and(|state| state.is_ready()))
}

/// What is not as it was made: object → finding.
fn drift(found: &FoundService) -> BTreeMap<String, String> {
    let mut drift = BTreeMap::new();
    match (&found.router, &found.address) {
        (_, None) => {
            drift.insert(
                "address".to_owned(),
                "gone; the workers cannot find a router at another one".to_owned(),
            );
        }
        (None, Some(address)) => {
            drift.insert(
                "router".to_owned(),
                format!(
                    "gone; a new one will be launched at {}; workers restart when their lease runs \
                     out, register again and load the model again",
                    address.ip
                ),
            );
        }
        (Some(router), Some(_)) => {
            let finding = match router.state {
                InstanceState::Pending | InstanceState::Running => {
                    if Phase::of(&router.tags) == Phase::Ready {
                        return drift;
                    }
                    "launched by an apply that did not end; it will be waited for"
                }
                InstanceState::Impaired => "impaired; it will be rebooted",
                InstanceState::Stopping | InstanceState::Stopped => "stopped; it will be started",
                InstanceState::Terminating => "on its way out",
            };
            drift.insert(format!("router {}", router.id), finding.to_owned());
        }
    }
    drift
}

/// After a failed creation: removes what was made, unless it is to be kept, and says which.
async fn give_up(
    session: &Session,
    service: &Service,
    state: &mut State<Service>,
    failure: Failure,
) -> Failure {
    let keep = service.on_boot_failure.known().is_some_and(|word| word == "keep");
    let Failure::Boot { what, machines, .. } = failure else { return failure };
    if !keep {
        let removed = match model::id(service) {
            Ok(id) => remove(session, &readiness::grace(), &id).await,
            Err(failure) => Err(failure),
        };
        match removed {
            Ok(()) => state.remove(),
            // What could not be removed stays in the state, tainted, for the next apply.
            Err(failure) => state.warn_all(diagnose::failure(failure)),
        }
    }
    Failure::Boot { what, machines, kept: keep }
}

/// Removes router, address and rule, and what a creation of a group may have left.
async fn remove(session: &Session, ctx: &Ctx, id: &ServiceId) -> Result<()> {
    let fleet = key(&id.fleet);
    let cloud = session.cloud(id.fleet.cloud).await?;
    session.forget(&id.fleet);
    let tag = service_tag(id);
    let ours = |tags: &Tags| tags.get(tag::SERVICE) == Some(&tag);
    let view = session.view(&id.fleet).await?;
    let machines: Vec<_> = view
        .instances
        .iter()
        .filter(|instance| ours(&instance.tags))
        .map(|instance| instance.id.clone())
        .collect();
    if !machines.is_empty() {
        cloud
            .terminate_instances(&fleet, &machines)
            .await
            .doing(id.fleet.cloud, || format!("terminate the router of service {id}"))?;
        let what = format!("the router of service {id}");
        readiness::gone(ctx, &*cloud, &fleet, &what, |instance| ours(&instance.tags)).await?;
    }
    let closed = Ingress { service: tag.clone(), port: 0, cidrs: Vec::new() };
    if view.ingress.iter().any(|rule| rule.service == tag) {
        cloud
            .set_ingress(&fleet, &closed)
            .await
            .doing(id.fleet.cloud, || format!("close the port of service {id}"))?;
    }
    for address in view.addresses.iter().filter(|address| ours(&address.tags)) {
        cloud
            .release_address(&fleet, &address.id)
            .await
            .doing(id.fleet.cloud, || format!("release address {} of service {id}", address.ip))?;
    }
    session.forget(&id.fleet);
    Ok(())
}

async fn set_ingress(
    cloud: &dyn Cloud,
    fleet: &FleetId,
    id: &ServiceId,
    service: &Service,
) -> Result<()> {
    let port = service.port.known().and_then(|port| u16::try_from(*port).ok()).unwrap_or_default();
    let rule = Ingress { service: service_tag(id), port, cidrs: model::ingress(service) };
    cloud
        .set_ingress(&key(fleet), &rule)
        .await
        .doing(fleet.cloud, || format!("open port {port} of service {id}"))
}

fn waits_until_ready(service: &Service) -> bool {
    let is = |attribute: &Attr<String>, word: &str| attribute.known().is_some_and(|w| w == word);
    is(&service.wait_for, "ready") && is(&service.boot, "sequential")
}

fn remember(state: &mut State<Service>, live: bool, address: &Address, workers: u32) {
    RouterRecord { live, address: address.ip, workers }.store(state.private_mut());
}

fn fill_address(service: &mut Service, address: &Address) {
    let port = service.port.known().copied().unwrap_or_default();
    let reachable = address.public_ip.unwrap_or(address.ip);
    service.internal_ip = Attr::Known(address.ip.to_string());
    service.endpoint = Attr::Known(router::endpoint(reachable, port));
}

fn fill_offer(service: &mut Service, instance: Option<&cloud::Instance>) {
    let found = instance.map(|instance| instance.instance_type.clone());
    let instance_type =
        found.or_else(|| service.instance_type.known().cloned()).unwrap_or_default();
    let fleet = model::fleet_id(service).ok();
    let price = fleet.and_then(|fleet| domain::catalogue::find(fleet.cloud, &instance_type));
    service.hourly_cost = Attr::Known(price.map_or(0.0, |offer| offer.hourly_cost));
    service.instance_type = Attr::Known(instance_type);
}

fn address_tags(spec: &RouterSpec) -> Tags {
    let mut tags = router::tags(spec);
    tags.extend(ServiceFacts::tags_of(spec));
    tags
}

/// The value of the service's tag on everything that is its own.
fn service_tag(id: &ServiceId) -> String {
    format!("{}@{}", id.name, id.uid)
}
