//! The router machine of a service: exactly one, at the reserved address.

use super::find::FoundService;
use super::tags;
use crate::failure::{Doing, Failure, Result};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::readiness::{self, RouterAccess};
use crate::snapshot::key;
use cloud::{
    Address, BootDocument, Cloud, Deadline, ErrorKind, FleetKey, Instance, LaunchRequest, Managed,
    ObjectId, Phase, Purchase, Tags, launch_over_offers, tag,
};
use domain::boot_document::router_document;
use domain::catalogue;
use domain::id::ServiceId;
use domain::planner::{self, RouterObserved, RouterStep};
use domain::spec::{RouterSpec, ServiceFacts};
use std::net::IpAddr;
use std::sync::Arc;

/// Makes the router be there and up: adopts, starts, reboots or launches it. Waits only for one that
/// is on its way out and still holds the address.
pub(crate) async fn ensure(
    deadline: &Deadline,
    cloud: &Managed,
    spec: &RouterSpec,
    pinned_image: Option<&str>,
    address: &Address,
    found: &FoundService,
) -> Result<Instance> {
    let fleet = key(&spec.fleet);
    let name = format!("the router of service {}", spec.id());
    let observed = found.router.as_ref().map(|router| RouterObserved { state: router.state });
    for step in planner::plan_router(observed) {
        match (step, &found.router) {
            (RouterStep::Launch, _) => {
                let is_leaving = |instance: &Instance| {
                    found.leaving.iter().any(|leaving| leaving.id == instance.id)
                };
                if !found.leaving.is_empty() {
                    readiness::gone(deadline, cloud, &fleet, &name, is_leaving).await?;
                }
                return launch(cloud, spec, pinned_image, address, &found.leaving).await;
            }
            (RouterStep::Start, Some(router)) => cloud
                .start_instance(&fleet, &router.id)
                .await
                .doing(cloud.name(), || format!("start {name}"))?,
            (RouterStep::Reboot, Some(router)) => {
                cloud
                    .reboot_instance(&fleet, &router.id)
                    .await
                    .doing(cloud.name(), || format!("reboot {name}"))?
            }
            (RouterStep::Start | RouterStep::Reboot, None) => {
                return Err(Failure::Bug(format!("{name} is not there to be started")));
            }
        }
    }
    found
        .router
        .clone()
        .ok_or_else(|| Failure::Bug(format!("{name} was neither found nor launched")))
}

/// What a router at this address boots from.
pub fn boot_document(spec: &RouterSpec, ip: IpAddr) -> Result<BootDocument> {
    let refused = |error| Failure::BootDocument { what: Object::from(&spec.id()), error };
    let document = router_document(spec, ip).map_err(refused)?;
    let limit = spec.fleet.cloud.profile().user_data_bytes;
    document.check_size(limit).map_err(|error| refused(error.into()))?;
    Ok(document)
}

async fn launch(
    cloud: &Managed,
    spec: &RouterSpec,
    pinned_image: Option<&str>,
    address: &Address,
    gone: &[Instance],
) -> Result<Instance> {
    let id = spec.id();
    let doing = || format!("launch the router of service {id}");
    let offers = catalogue::offers(spec.fleet.cloud, &spec.resources);
    let offers = offers.map_err(|error| Failure::NoOffer { service: spec.id(), error })?;
    let none = || Failure::Bug(format!("the router of service {id} has no offers"));
    let cheapest = offers.first().cloned().ok_or_else(none)?;
    let document = boot_document(spec, address.ip)?;
    // Each launch of this service has a token of its own, told by the one before it, so that a
    // repeat after a lost answer finds the same machine and a recovery gets a new one.
    for attempt in 1..=MOST_LAUNCHES {
        let token = format!("{}-router-{attempt}", spec.uid);
        // A cloud that knows late of the end of one would answer with it.
        if gone.iter().any(|router| router.tags.get(tag::LAUNCH) == Some(&token)) {
            continue;
        }
        let mut tags = tags::creating(tags::of_router(spec));
        tags.insert(tag::LAUNCH, token.clone());
        let request = LaunchRequest {
            fleet: key(&spec.fleet),
            offer: cheapest.clone(),
            count: 1,
            disk_gb: spec.resources.disk_gb.unwrap_or(DISK_GB),
            image: spec.image.as_deref().or(pinned_image).map(str::to_owned),
            purchase: Purchase::OnDemand,
            // It needs no fabric, and its type would limit where the whole placement fits.
            placed: false,
            egress: cloud::Egress::default(),
            address: Some(address.id.clone()),
            document: document.clone(),
            identity: None,
            token,
            tags,
        };
        let launched = match launch_over_offers(cloud, &offers, &request).await {
            Ok(launched) => launched,
            // The token belongs to a launch with other user data: an older release's.
            Err(error)
                if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::TokenSpent)
                    && attempt < MOST_LAUNCHES =>
            {
                continue;
            }
            Err(error) => {
                return Err(Failure::Launch { cloud: cloud.name(), doing: doing(), error });
            }
        };
        let up = launched.into_iter().find(|instance| instance.state.is_up());
        if let Some(instance) = up {
            return Ok(instance);
        }
    }
    Err(Failure::Bug(format!(
        "the router of service {id} was launched {MOST_LAUNCHES} times without effect"
    )))
}

/// The last step of a creation or a recovery: it is owned now, and live when it was healthy.
pub(crate) async fn mark(
    cloud: &dyn Cloud,
    id: &ServiceId,
    address: &Address,
    instance: &Instance,
    healthy: bool,
) -> Result<()> {
    let mut tags = Phase::Ready.tag();
    if healthy {
        tags.insert(tag::READY_AT, now());
    }
    let objects = [ObjectId::Instance(instance.id.clone()), ObjectId::Address(address.id.clone())];
    cloud
        .tag(&key(&id.fleet), &objects, &tags)
        .await
        .doing(id.fleet.cloud, || format!("mark service {id} as ready"))
}

/// Its workers have registered, so it was healthy, whether or not its own creation waited for that.
pub(crate) async fn mark_live(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    address: &Address,
) -> Result<()> {
    let tags = Tags::from([(tag::READY_AT, now())]);
    cloud
        .tag(fleet, &[ObjectId::Address(address.id.clone())], &tags)
        .await
        .doing(cloud.name(), || format!("mark the router at {} as live", address.ip))
}

/// How its watchers reach it.
pub fn access(
    orchestrator: &Orchestrator,
    cloud: Arc<Managed>,
    facts: &ServiceFacts,
    address: &Address,
    instance: &Instance,
) -> Result<RouterAccess> {
    Ok(RouterAccess {
        cloud,
        http: orchestrator.http()?,
        listings: orchestrator.listings(),
        observations: orchestrator.observations(),
        fleet: key(&facts.id.fleet),
        instance: instance.id.clone(),
        ip: address.ip,
        endpoint: endpoint(address.reachable(), i64::from(facts.port)),
        model: facts.model.clone(),
        restarted: None,
    })
}

/// `http://address:port`.
pub fn endpoint(address: IpAddr, port: i64) -> String {
    match address {
        IpAddr::V4(address) => format!("http://{address}:{port}"),
        IpAddr::V6(address) => format!("http://[{address}]:{port}"),
    }
}

/// Root disk of a router in GB, when none is asked for: etcd's data, Dynamo's packages and logs.
const DISK_GB: u32 = 50;

/// Tokens that a cloud may still know from routers that are gone.
const MOST_LAUNCHES: u32 = 50;

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
