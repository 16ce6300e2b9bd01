//! `render-user-data COUNT`: renders the user data of a worker COUNT times, each time for another
//! group, and prints one line of JSON: `cpu_seconds` of this thread, the first group's `name`, and its
//! `document` as it is before gzip. A benchmark reads it; see the README beside this crate.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::boot_document::worker_document;
use domain::catalogue::{self, Resources};
use domain::cloud::{BootDocument, CloudName, Egress, Offer};
use domain::environment::Environment;
use domain::id::FleetId;
use domain::market::Market;
use domain::spec::{EngineSpec, GroupSpec, RouterKind, RouterSpec, ServiceFacts, WorkerRole};
use domain::version::DynamoVersion;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::net::Ipv4Addr;

fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = std::env::args().nth(1).ok_or("usage: render-user-data COUNT")?.parse()?;
    let router = router()?;
    let facts = ServiceFacts::of(&router, Ipv4Addr::new(10, 0, 0, 5).into());
    let offers = catalogue::offers(CloudName::Aws, &group(&router, 0).resources)?;
    let offer = offers.first().ok_or("no machine of the catalogue has eight H200")?;

    let first = render(&router, &facts, offer, 0)?;
    let began = cpu_seconds();
    let mut characters = 0;
    for index in 0..count {
        // What is sent to a cloud is text: base64 is part of the work.
        let document = render(&router, &facts, offer, index)?;
        characters += BASE64_STANDARD.encode(document.to_cloud_config()).len();
    }
    let cpu_seconds = cpu_seconds() - began;

    let report = serde_json::json!({
        "cpu_seconds": cpu_seconds,
        "characters": characters,
        "name": group(&router, 0).group,
        "document": first.cloud_config_text(),
    });
    Ok(writeln!(std::io::stdout(), "{report}")?)
}

fn render(
    router: &RouterSpec,
    facts: &ServiceFacts,
    offer: &Offer,
    index: u32,
) -> Result<BootDocument, Box<dyn Error>> {
    Ok(worker_document(&group(router, index), facts, offer)?)
}

fn router() -> Result<RouterSpec, Box<dyn Error>> {
    let fleet =
        FleetId { cloud: CloudName::Aws, region: "us-east-2".to_owned(), name: "pd".to_owned() };
    Ok(RouterSpec {
        fleet,
        service: "glm".to_owned(),
        uid: "3f9a1c2e".parse()?,
        model: "zai-org/GLM-4.5-Air-FP8".to_owned(),
        version: DynamoVersion::DEFAULT,
        port: 8000,
        kind: RouterKind::Dynamo,
        resources: RouterSpec::default_resources(),
        args: Vec::new(),
        env: Environment::new(),
        commands: Vec::new(),
        image: None,
        script_version: domain::SCRIPT_VERSION,
    })
}

/// The groups differ in their names, which are all of one length.
fn group(router: &RouterSpec, index: u32) -> GroupSpec {
    GroupSpec {
        service_id: router.id(),
        group: format!("decode-{index:06}"),
        role: WorkerRole::Decode,
        engine: EngineSpec {
            kind: "sglang".to_owned(),
            tensor_parallel: None,
            args: Vec::new(),
            model: None,
            image: None,
            runtime: None,
            commands: Vec::new(),
        },
        resources: Resources { gpu: "H200:8".parse().ok(), ..Resources::default() },
        env: Environment::new(),
        secret_env: BTreeMap::new(),
        identity: None,
        image: None,
        market: Market::OnDemand,
        reservation: None,
        egress: Egress::default(),
        boot_revision: 0,
        script_version: domain::SCRIPT_VERSION,
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a benchmark")]
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
