//! What the machines of the tests are made of.

use domain::SCRIPT_VERSION;
use domain::boot_document::{router_document, worker_document};
use domain::catalogue::Resources;
use domain::cloud::{CloudName, Egress, Offer};
use domain::environment::Environment;
use domain::id::FleetId;
use domain::local_gpus::LocalGpus;
use domain::market::Market;
use domain::spec::{EngineSpec, GroupSpec, RouterKind, RouterSpec, ServiceFacts, WorkerRole};
use domain::version::DynamoVersion;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A model of which every image has the tokenizer.
pub const MODEL: &str = "disagg/tiny";

/// A router of Dynamo's newest version.
pub fn router(cloud: CloudName) -> RouterSpec {
    let region = if cloud == CloudName::Local { "local" } else { "us-east-2" };
    RouterSpec {
        fleet: FleetId { cloud, region: region.to_owned(), name: "hosts".to_owned() },
        service: "tiny".to_owned(),
        uid: "3f9a1c2e".parse().expect("it is a uid"),
        model: MODEL.to_owned(),
        version: DynamoVersion::DEFAULT,
        port: 8000,
        kind: RouterKind::Dynamo,
        resources: RouterSpec::default_resources(),
        args: Vec::new(),
        env: Environment::new(),
        commands: Vec::new(),
        image: None,
        script_version: SCRIPT_VERSION,
    }
}

/// A group of that router's workers, which has the name of its role.
pub fn group(router: &RouterSpec, engine: &str, role: WorkerRole) -> GroupSpec {
    GroupSpec {
        service_id: router.id(),
        group: role.to_string(),
        role,
        engine: EngineSpec {
            kind: engine.to_owned(),
            tensor_parallel: None,
            args: Vec::new(),
            model: None,
            image: None,
            runtime: None,
            commands: Vec::new(),
        },
        resources: Resources::default(),
        env: Environment::new(),
        secret_env: BTreeMap::new(),
        identity: None,
        image: None,
        market: Market::OnDemand,
        reservation: None,
        egress: Egress::default(),
        boot_revision: 0,
        script_version: SCRIPT_VERSION,
    }
}

/// The user data of a router at this address.
///
/// # Panics
/// When the spec cannot be carried out.
pub fn render_router(spec: &RouterSpec, router_ip: IpAddr) -> Vec<u8> {
    let document = router_document(spec, router_ip);
    document.expect("there is a document for the router").to_cloud_config()
}

/// The user data of the workers of a group, on the cheapest machine that fits.
///
/// # Panics
/// When the spec cannot be carried out.
pub fn render_worker(spec: &GroupSpec, router: &RouterSpec, router_ip: IpAddr) -> Vec<u8> {
    let facts = ServiceFacts::of(router, router_ip);
    let offer = offer(router.fleet.cloud, &spec.resources);
    let document = worker_document(spec, &facts, &offer);
    document.expect("there is a document for the worker").to_cloud_config()
}

/// On the local cloud GPUs are those of a computer that has them.
fn offer(cloud: CloudName, resources: &Resources) -> Offer {
    let gpus = resources.gpu.as_ref().map(LocalGpus::as_asked_for).unwrap_or_default();
    gpus.offers(cloud, resources).expect("the cloud has such a machine").remove(0)
}
