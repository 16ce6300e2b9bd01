//! A service in its cloud: create, update, delete.
//!
//! Every id is in the state before anything is waited for, so that whatever dies, the next apply
//! finds it again. What a failed creation made is removed; what could not be, and what is kept, is
//! marked as somebody's, so that no other creation takes it for its own.

use super::claim::{self, Stake};
use super::find::{FoundService, find_by_id};
use super::record::RouterRecord;
use super::recovery::recover;
use super::{model, removal, router, tags};
use crate::diagnose;
use crate::error::{Doing, Failure, Fate, Result};
use crate::readiness::is_running;
use crate::readiness::{self, RouterAccess};
use crate::resources::users;
use crate::session::{FleetView, Session, key};
use cloud::{
    Address, AddressRequest, Cloud, ErrorKind, Ingress, InstanceState, ObjectId, Phase, tag,
};
use domain::catalogue;
use domain::id::ServiceId;
use domain::spec::{RouterSpec, ServiceFacts};
use plugin::{Attr, Ctx, State};
use schemas::Service;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    mut planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let fleet = model::fleet_id(&planned)?;
    let name = planned.name.known().cloned().unwrap_or_default();
    let _claim = session.creating("service", format!("{fleet}/{name}"))?;
    session.after_removal(ctx, "service", &format!("{fleet}/{name}")).await?;
    session.forget(&fleet);
    let Stake { id, address, is_new } = claim::stake(session, ctx, &fleet, &planned).await?;
    let spec = model::spec(&planned, &id)?;
    let cloud = session.cloud(ctx, fleet.cloud).await?;
    planned.id = Attr::Known(id.to_string());
    planned.drift = Attr::Known(BTreeMap::new());
    fill_address(&mut planned, &address);
    fill_offer(&mut planned, None);
    state.save(&planned);
    remember(state, None, &address, 0);

    let launched = launch(session, ctx, &planned, &id, &spec, &address).await;
    let instance = match launched {
        Ok(instance) => instance,
        // The run that began it, and that this one would have taken part in, goes on; or it died, and whoever
        // comes next goes on with it.
        Err(failure)
            if !is_new && (failure.is_cut_off() || has_router(session, ctx, &id).await) =>
        {
            state.remove();
            return Err(failure);
        }
        // Who does not answer is not asked to remove it either.
        Err(failure) if failure.is_cut_off() => {
            set_phase(session, ctx, &id, &address, None, Phase::Unfinished, state).await;
            return Err(failure);
        }
        Err(failure) => {
            return Err(give_up(session, ctx, &id, &address, None, state, failure).await);
        }
    };
    fill_offer(&mut planned, Some(&instance));
    state.save(&planned);

    let facts = ServiceFacts::of(&spec, address.ip);
    let access = router::access(session, Arc::clone(&cloud), &facts, &address, &instance)?;
    let waits_for = waits_for(&planned);
    match wait(ctx, waits_for, &id, &access).await {
        Ok(()) => {}
        Err(failure @ Failure::Boot { .. }) if !keeps_failed(&planned) => {
            let instance = Some(&instance);
            return Err(give_up(session, ctx, &id, &address, instance, state, failure).await);
        }
        // A verdict. Time that ran out is none: a router that is late is not sold, which an error would do.
        Err(failure @ Failure::Boot { .. }) => {
            set_phase(session, ctx, &id, &address, Some(&instance), Phase::Unfinished, state).await;
            return Err(with_fate(failure, Fate::Kept));
        }
        Err(failure) => {
            return leave_unfinished(session, ctx, &id, &address, &instance, state, failure).await;
        }
    }
    let is_ready = waits_for == WaitsFor::Ready;
    remember(state, is_ready.then_some(true), &address, 0);
    match router::mark(&*cloud, &id, &address, &instance, is_ready).await {
        Ok(()) => {
            session.forget_contents(&fleet);
            Ok(())
        }
        Err(failure) => {
            leave_unfinished(session, ctx, &id, &address, &instance, state, failure).await
        }
    }
}

/// The service's address: the one it has, public as it is wished for now, or a new one.
pub(super) async fn reserve(
    cloud: &dyn Cloud,
    service: &Service,
    spec: &RouterSpec,
    is_new: bool,
) -> Result<Address> {
    let request = AddressRequest {
        fleet: key(&spec.fleet),
        public: service.public_ip.known().copied(),
        token: spec.uid.to_string(),
        is_new,
        tags: tags::creating(tags::of_address(spec)),
    };
    let reserved = cloud.reserve_address(&request).await;
    reserved
        .doing(cloud.name(), || format!("reserve the router's address of service {}", spec.id()))
}

/// Opens the port and makes the router be there.
async fn launch(
    session: &Session,
    ctx: &Ctx,
    planned: &Service,
    id: &ServiceId,
    spec: &RouterSpec,
    address: &Address,
) -> Result<cloud::Instance> {
    let cloud = session.cloud(ctx, id.fleet.cloud).await?;
    let view = session.view(ctx, &id.fleet).await?;
    let is_closed = view.ingress(&id.tag_value()).is_none();
    if !(is_closed && model::ingress(planned).is_empty()) {
        set_ingress(&*cloud, id, planned).await?;
        session.forget(&id.fleet);
    }
    let mut looks = 0;
    loop {
        looks += 1;
        // Its address is newer than that look.
        let view = session.view(ctx, &id.fleet).await?;
        let found = FoundService { address: Some(address.clone()), ..find_by_id(&view, id) };
        let image = pinned_image(planned);
        let ensured = router::ensure(ctx, &*cloud, spec, image, address, &found).await;
        session.forget_contents(&id.fleet);
        match ensured {
            // Another run has launched it at this address, and no list has told yet.
            Err(Failure::Launch { error, .. })
                if error.kind() == ErrorKind::InUse && looks < MOST_LOOKS =>
            {
                let pause = tokio::time::sleep(LOOK_PAUSE);
                ctx.checked(pause).await.map_err(|why| Failure::Interrupted {
                    waiting_for: format!("the router of service {id} to be listed"),
                    seen: error.to_string(),
                    why,
                    kept: false,
                })?;
            }
            ensured => return ensured,
        }
    }
}

/// Whether its router is there; a look that fails finds none.
async fn has_router(session: &Session, ctx: &Ctx, id: &ServiceId) -> bool {
    session.forget(&id.fleet);
    let view = session.view(&readiness::last_words(ctx), &id.fleet).await;
    view.is_ok_and(|view| find_by_id(&view, id).router.is_some())
}

/// How often, and how long in between, a router is looked for that another run has launched.
const MOST_LOOKS: u32 = 8;
const LOOK_PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &Service,
    mut planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let id = model::id(prior)?;
    let has_drift = prior.drift.known().is_some_and(|drift| !drift.is_empty());
    if has_drift || model::ingress(prior) != model::ingress(&planned) {
        session.forget(&id.fleet);
        let cloud = session.cloud(ctx, id.fleet.cloud).await?;
        set_ingress(&*cloud, &id, &planned).await?;
        let mut done = prior.clone();
        done.ingress_cidrs = planned.ingress_cidrs.clone();
        state.save(&done);
    }
    let moves = prior.public_ip != planned.public_ip || planned.endpoint.is_unknown();
    if moves {
        move_endpoint(session, ctx, &id, &mut planned).await?;
    }
    if has_drift {
        let instance = recover(session, ctx, &id, &planned).await?;
        // What was planned as known stays: the price of another day is no change.
        if planned.instance_type.is_unknown() {
            fill_offer(&mut planned, Some(&instance));
        }
    }
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    Ok(())
}

/// Gives the router's address another way from outside, or none.
async fn move_endpoint(
    session: &Session,
    ctx: &Ctx,
    id: &ServiceId,
    planned: &mut Service,
) -> Result<()> {
    session.forget(&id.fleet);
    // Where the address itself is gone, another one would be no help: workers know the old one.
    if find_by_id(&*session.view(ctx, &id.fleet).await?, id).address.is_some() {
        let cloud = session.cloud(ctx, id.fleet.cloud).await?;
        let address = reserve(&*cloud, planned, &model::spec(planned, id)?, false).await?;
        session.forget(&id.fleet);
        fill_address(planned, &address);
    }
    Ok(())
}

pub(super) async fn delete(session: &Session, ctx: &Ctx, state: &mut State<Service>) -> Result<()> {
    let Some(service) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&service)?;
    if session.addresses().is_made(&id.path()) {
        let what = format!("service {id}");
        return Err(Failure::TwoAddresses { what, kind: "disagg_service" });
    }
    let _removing = [id.to_string(), id.path()].map(|path| session.removing(path));
    let at_work = |view: &FleetView| groups_at_work(&find_by_id(view, &id), &id);
    let what = format!("service {id}");
    let groups = users::left(ctx, session, &id.fleet, &what, at_work).await?;
    if !groups.is_empty() {
        return Err(Failure::StillUsed {
            what,
            by: groups,
            hint: "Workers without their router are paid for and do nothing. If this run removes \
                   them too, run it again: refer to the resource, as in `service_id = \
                   disagg_service.NAME.id`, and Terraform knows the order. Else remove these groups \
                   first; if another state has them, remove them there, or import them here with \
                   `terraform import disagg_replica_group.NAME cloud/region/fleet/service/group`."
                .to_owned(),
        });
    }
    removal::remove(session, ctx, &id).await?;
    state.remove();
    Ok(())
}

/// Somebody's groups that have machines: path → name.
fn groups_at_work(found: &FoundService, id: &ServiceId) -> BTreeMap<String, String> {
    let workers = found.workers.iter();
    workers
        .filter(|worker| Phase::of(&worker.tags) != Phase::Creating)
        .filter(|worker| worker.state != InstanceState::Terminating)
        .filter_map(|worker| worker.tags.get(tag::GROUP))
        .map(|group| (format!("{id}/{group}"), format!("replica group {id}/{group}")))
        .collect()
}

/// After a failed creation: removes what was made. What cannot be removed stays in the state,
/// tainted, for the next apply, and both causes are told.
async fn give_up(
    session: &Session,
    ctx: &Ctx,
    id: &ServiceId,
    address: &Address,
    instance: Option<&cloud::Instance>,
    state: &mut State<Service>,
    failure: Failure,
) -> Failure {
    let removed = removal::remove(session, &readiness::clean_up(ctx), id).await;
    let fate = match removed {
        Ok(()) => {
            state.remove();
            Fate::Removed
        }
        Err(error) => {
            state.warn_all(diagnose::failure(error));
            set_phase(session, ctx, id, address, instance, Phase::Unfinished, state).await;
            Fate::NotRemoved
        }
    };
    with_fate(failure, fate)
}

fn with_fate(failure: Failure, fate: Fate) -> Failure {
    match failure {
        Failure::Boot { what, machines, .. } => Failure::Boot { what, machines, fate },
        other => other,
    }
}

/// The router is there and may well be healthy: the next apply sees to the rest.
async fn leave_unfinished(
    session: &Session,
    ctx: &Ctx,
    id: &ServiceId,
    address: &Address,
    instance: &cloud::Instance,
    state: &mut State<Service>,
    failure: Failure,
) -> Result<()> {
    set_phase(session, ctx, id, address, Some(instance), Phase::Unfinished, state).await;
    state.warn_all(diagnose::unfinished(&format!("service {id}"), failure));
    Ok(())
}

/// Says whose it is, also when the operation's own time is over.
async fn set_phase(
    session: &Session,
    ctx: &Ctx,
    id: &ServiceId,
    address: &Address,
    instance: Option<&cloud::Instance>,
    phase: Phase,
    state: &mut State<Service>,
) {
    session.forget(&id.fleet);
    let mut objects = vec![ObjectId::Address(address.id.clone())];
    objects.extend(instance.map(|instance| ObjectId::Instance(instance.id.clone())));
    let tagged = async {
        let cloud = session.cloud(&readiness::last_words(ctx), id.fleet.cloud).await?;
        let tagged = cloud.tag(&key(&id.fleet), &objects, &phase.tag()).await;
        tagged.doing(id.fleet.cloud, || format!("mark service {id} as {}", phase.as_str()))
    };
    if let Err(failure) = tagged.await {
        state.warn_all(diagnose::failure(failure));
    }
    session.forget(&id.fleet);
}

async fn set_ingress(cloud: &dyn Cloud, id: &ServiceId, service: &Service) -> Result<()> {
    let port = service.port.known().and_then(|port| u16::try_from(*port).ok()).unwrap_or_default();
    let rule = Ingress { service: id.tag_value(), port, cidrs: model::ingress(service) };
    cloud
        .set_ingress(&key(&id.fleet), &rule)
        .await
        .doing(id.fleet.cloud, || format!("open port {port} of service {id}"))
}

/// What an operation waits for before it says that there is a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// It is healthy.
    Ready,
    /// The cloud says that it runs.
    Running,
    /// The cloud knows it. Whoever comes next waits for it: groups for their workers, which watch it too.
    Listed,
}

pub(super) fn waits_for(service: &Service) -> WaitsFor {
    let is = |attribute: &Attr<String>, word: &str| attribute.known().is_some_and(|w| w == word);
    if is(&service.boot, "overlap") {
        WaitsFor::Listed
    } else if is(&service.wait_for, "ready") {
        WaitsFor::Ready
    } else {
        WaitsFor::Running
    }
}

pub(super) async fn wait(
    ctx: &Ctx,
    waits_for: WaitsFor,
    id: &ServiceId,
    access: &RouterAccess,
) -> Result<()> {
    let machines = std::slice::from_ref(&access.instance);
    let what = format!("the router of service {id}");
    let gone = match waits_for {
        WaitsFor::Ready => return readiness::router(ctx, access).await,
        WaitsFor::Running => readiness::running(ctx, access, &what, machines, is_running).await?,
        WaitsFor::Listed => readiness::running(ctx, access, &what, machines, |_| true).await?,
    };
    match gone.is_empty() {
        true => Ok(()),
        false => Err(Failure::Boot { what, machines: gone, fate: Fate::Untouched }),
    }
}

/// The image that the router was made from, for one in its place.
pub(super) fn pinned_image(service: &Service) -> Option<&str> {
    service.image_id.as_str()
}

fn keeps_failed(service: &Service) -> bool {
    service.on_boot_failure.known().is_some_and(|word| word == "keep")
}

pub(super) fn remember(
    state: &mut State<Service>,
    live: Option<bool>,
    address: &Address,
    workers: u32,
) {
    RouterRecord { live, address: address.ip, workers }.store(state.private_mut());
}

pub(super) fn fill_address(service: &mut Service, address: &Address) {
    let port = service.port.known().copied().unwrap_or_default();
    service.internal_ip = Attr::Known(address.ip.to_string());
    service.endpoint = Attr::Known(router::endpoint(address.reachable(), port));
}

pub(super) fn fill_offer(service: &mut Service, instance: Option<&cloud::Instance>) {
    let found = instance.map(|instance| instance.instance_type.clone());
    let instance_type =
        found.or_else(|| service.instance_type.known().cloned()).unwrap_or_default();
    let fleet = model::fleet_id(service).ok();
    let price = fleet.and_then(|fleet| catalogue::find(fleet.cloud, &instance_type));
    if service.image_id.known().is_none() {
        service.image_id = Attr::from(instance.and_then(|instance| instance.image.clone()));
    }
    service.hourly_cost = Attr::Known(price.map_or(0.0, |offer| offer.hourly_cost));
    service.instance_type = Attr::Known(instance_type);
    fill_cost_bounds(service);
}

/// What a plan that did not know the cloud, or an older state, has not said.
pub(super) fn fill_cost_bounds(service: &mut Service) {
    let bounds = [&service.minimum_hourly_cost, &service.maximum_hourly_cost];
    if bounds.iter().all(|bound| bound.known().is_some()) {
        return;
    }
    let fleet = model::fleet_id(service).ok();
    let wanted = model::router_resources(service);
    let offers = fleet.zip(wanted).map(|(fleet, wanted)| catalogue::offers(fleet.cloud, &wanted));
    if let Some(Ok(offers)) = offers {
        model::fill_cost_bounds(service, &offers);
    }
}
