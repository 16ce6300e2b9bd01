//! Specs for tests: one service on AWS, one on the local cloud, and their groups.

use crate::catalogue::{self, Resources};
use crate::environment::Environment;
use crate::id::{FleetId, ServiceId};
use crate::market::Market;
use crate::spec::{EngineSpec, GroupSpec, RouterKind, RouterSpec, ServiceFacts, WorkerRole};
use crate::{SCRIPT_VERSION, version::DynamoVersion};
use cloud::{CloudName, Offer};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) const ROUTER_IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));

pub(crate) fn router(cloud: CloudName) -> RouterSpec {
    let region = cloud.profile().regions.only().unwrap_or("us-east-2");
    let fleet = FleetId { cloud, region: region.to_owned(), name: "pd".to_owned() };
    RouterSpec {
        fleet,
        service: "glm".to_owned(),
        uid: "3f9a1c2e".parse().unwrap(),
        model: "zai-org/GLM-4.5-Air-FP8".to_owned(),
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

pub(crate) fn facts(cloud: CloudName) -> ServiceFacts {
    ServiceFacts::of(&router(cloud), ROUTER_IP)
}

pub(crate) fn service_id() -> ServiceId {
    router(CloudName::Aws).id()
}

pub(crate) fn group(engine: &str, role: WorkerRole, gpu: Option<&str>) -> GroupSpec {
    GroupSpec {
        service_id: service_id(),
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
        resources: Resources { gpu: gpu.map(|gpu| gpu.parse().unwrap()), ..Resources::default() },
        env: Environment::new(),
        secret_env: BTreeMap::new(),
        identity: None,
        image: None,
        market: Market::OnDemand,
        reservation: None,
        egress: cloud::Egress::default(),
        boot_revision: 0,
        script_version: SCRIPT_VERSION,
    }
}

/// The cheapest machine for a group.
pub(crate) fn offer(cloud: CloudName, group: &GroupSpec) -> Offer {
    catalogue::offers(cloud, &group.resources).unwrap().remove(0)
}
