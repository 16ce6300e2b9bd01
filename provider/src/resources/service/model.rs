//! Model ↔ spec: what a service's attributes mean.

use crate::error::{Failure, Result};
use crate::resources::attributes::{from_pairs, from_texts, number, pairs, texts, word};
use cloud::{Address, Instance, Offer};
use domain::catalogue::{self, Resources};
use domain::id::{FleetId, ServiceId};
use domain::spec::{RouterKind, RouterSpec};
use orchestration::service::{DesiredService, ServicePolicy, WaitFor, endpoint};
use plugin::Attr;
use schemas::{Router, RouterResources, Service};

/// What the router machine must have, unless it is not known yet.
pub(super) fn router_resources(service: &Service) -> Option<Resources> {
    let resources = match &service.router {
        Attr::Unknown(_) => return None,
        Attr::Null => return Some(RouterSpec::default_resources()),
        Attr::Known(router) => match &router.resources {
            Attr::Unknown(_) => return None,
            Attr::Null => return Some(RouterSpec::default_resources()),
            Attr::Known(resources) => resources,
        },
    };
    let defaults = RouterSpec::default_resources();
    Some(Resources {
        gpu: None,
        cpu: number(&resources.cpu, defaults.cpu)?,
        memory_gb: number(&resources.memory_gb, defaults.memory_gb)?,
        disk_gb: number(&resources.disk_gb, defaults.disk_gb)?,
    })
}

/// The spec of the router of a service that has an id.
pub(crate) fn spec(service: &Service, id: &ServiceId) -> Result<RouterSpec> {
    let missing = |name: &str| Failure::Unreadable {
        what: format!("service {id}"),
        detail: format!("`{name}` is missing or none that a configuration could give"),
    };
    let router = service.router.known().cloned().unwrap_or_default();
    let version = service.version.known().ok_or_else(|| missing("version"))?;
    Ok(RouterSpec {
        fleet: id.fleet.clone(),
        service: id.name.clone(),
        uid: id.uid.clone(),
        model: service.model.known().cloned().ok_or_else(|| missing("model"))?,
        version: version.parse().map_err(|_| missing("version"))?,
        port: service
            .port
            .known()
            .and_then(|port| u16::try_from(*port).ok())
            .ok_or_else(|| missing("port"))?,
        kind: match router.kind.known().map(String::as_str) {
            Some("custom") => RouterKind::Custom,
            _ => RouterKind::Dynamo,
        },
        resources: router_resources(service).ok_or_else(|| missing("router.resources"))?,
        args: texts(&router.args),
        env: pairs(&router.env),
        commands: texts(&router.commands),
        image: service.image.known().cloned(),
        script_version: service
            .script_version
            .known()
            .and_then(|version| u32::try_from(*version).ok())
            .unwrap_or(domain::SCRIPT_VERSION),
    })
}

/// What a service that has an id is to be.
pub(super) fn desired(service: &Service, id: &ServiceId) -> Result<DesiredService> {
    let policy = ServicePolicy {
        public: service.public_ip.known().copied(),
        ingress: ingress(service),
        wait_for: wait_for(service),
        keeps_failed: is(&service.on_boot_failure, "keep"),
        image: service.image_id.known().cloned(),
    };
    Ok(DesiredService { spec: spec(service, id)?, policy })
}

fn wait_for(service: &Service) -> WaitFor {
    if is(&service.boot, "overlap") {
        WaitFor::Listed
    } else if is(&service.wait_for, "ready") {
        WaitFor::Ready
    } else {
        WaitFor::Running
    }
}

fn is(attribute: &Attr<String>, word: &str) -> bool {
    attribute.as_str() == Some(word)
}

/// The configuration that a router was made from; everything that it cannot know is its default.
pub(super) fn from_spec(spec: &RouterSpec) -> Service {
    let defaults = RouterSpec::default_resources();
    let resources = &spec.resources;
    let differing = |value: Option<u32>, default: Option<u32>| {
        Attr::from(value.filter(|_| value != default).map(i64::from))
    };
    let sizes = RouterResources {
        cpu: differing(resources.cpu, defaults.cpu),
        memory_gb: differing(resources.memory_gb, defaults.memory_gb),
        disk_gb: differing(resources.disk_gb, defaults.disk_gb),
    };
    let router = Router {
        kind: Attr::Known(match spec.kind {
            RouterKind::Dynamo => "dynamo".to_owned(),
            RouterKind::Custom => "custom".to_owned(),
        }),
        resources: if sizes == RouterResources::default() {
            Attr::Null
        } else {
            Attr::Known(sizes)
        },
        args: from_texts(&spec.args),
        env: from_pairs(spec.env.clone()),
        commands: from_texts(&spec.commands),
    };
    Service {
        name: word(&spec.service),
        fleet_id: Attr::Known(spec.fleet.to_string()),
        model: word(&spec.model),
        version: Attr::Known(spec.version.to_string()),
        port: Attr::Known(i64::from(spec.port)),
        image: Attr::from(spec.image.clone()),
        router: if router == default_router() { Attr::Null } else { Attr::Known(router) },
        boot: word("sequential"),
        wait_for: word("ready"),
        on_router_change: word("refuse"),
        on_boot_failure: word("remove"),
        script_version: Attr::Known(i64::from(spec.script_version)),
        ..Service::default()
    }
}

/// What a router is when the configuration says nothing of it.
fn default_router() -> Router {
    Router { kind: word("dynamo"), ..Router::default() }
}

/// The id that a service's state carries.
pub(super) fn id(service: &Service) -> Result<ServiceId> {
    let text = service.id.known().cloned().unwrap_or_default();
    text.parse().map_err(|error| Failure::Unreadable {
        what: "a service".to_owned(),
        detail: format!("Its id: {error}"),
    })
}

/// The fleet that a service is configured into.
pub(super) fn fleet_id(service: &Service) -> Result<FleetId> {
    let text = service.fleet_id.known().cloned().unwrap_or_default();
    text.parse().map_err(|error| Failure::Unreadable {
        what: "a service".to_owned(),
        detail: format!("Its `fleet_id`: {error}"),
    })
}

/// Puts what its address says into the service.
pub(super) fn fill_address(service: &mut Service, address: &Address) {
    let port = service.port.known().copied().unwrap_or_default();
    service.internal_ip = Attr::Known(address.ip.to_string());
    service.endpoint = Attr::Known(endpoint(address.reachable(), port));
}

/// Puts what its router is and costs into the service.
pub(super) fn fill_offer(service: &mut Service, instance: Option<&Instance>) {
    let found = instance.map(|instance| instance.instance_type.clone());
    let instance_type =
        found.or_else(|| service.instance_type.known().cloned()).unwrap_or_default();
    let fleet = fleet_id(service).ok();
    let price = fleet.and_then(|fleet| catalogue::find(fleet.cloud, &instance_type));
    if service.image_id.known().is_none() {
        service.image_id = Attr::from(instance.and_then(|instance| instance.image.clone()));
    }
    service.hourly_cost = Attr::Known(price.map_or(0.0, |offer| offer.hourly_cost));
    service.instance_type = Attr::Known(instance_type);
    fill_missing_cost_bounds(service);
}

/// What a plan that did not know the cloud, or an older state, has not said.
pub(super) fn fill_missing_cost_bounds(service: &mut Service) {
    let bounds = [&service.minimum_hourly_cost, &service.maximum_hourly_cost];
    if bounds.iter().all(|bound| bound.known().is_some()) {
        return;
    }
    let fleet = fleet_id(service).ok();
    let wanted = router_resources(service);
    let offers = fleet.zip(wanted).map(|(fleet, wanted)| catalogue::offers(fleet.cloud, &wanted));
    if let Some(Ok(offers)) = offers {
        fill_cost_bounds(service, &offers);
    }
}

/// What the router costs, whichever of the offers it gets.
pub(super) fn fill_cost_bounds(service: &mut Service, offers: &[Offer]) {
    let prices = || offers.iter().map(|offer| offer.hourly_cost);
    service.minimum_hourly_cost = Attr::Known(prices().reduce(f64::min).unwrap_or_default());
    service.maximum_hourly_cost = Attr::Known(prices().reduce(f64::max).unwrap_or_default());
}

/// The blocks that may reach the endpoint, sorted.
pub(super) fn ingress(service: &Service) -> Vec<String> {
    let blocks = service.ingress_cidrs.known().into_iter().flatten();
    let mut blocks: Vec<String> =
        blocks.filter_map(|block| block.known().map(|block| block.0.clone())).collect();
    blocks.sort();
    blocks
}
