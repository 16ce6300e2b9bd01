//! The contract, examined on a datacentre that speaks EC2.

#![expect(clippy::expect_used, reason = "a test may panic")]

use async_trait::async_trait;
use cloud::conformance::{self, Sabotage, Subject};
use cloud::wait::Schedule;
use cloud::{CloudError, ErrorKind, FleetKey, InstanceId, Offer};
use cloud_aws::{AwsCloud, AwsConfig};
use cloudsim::{Datacentre, Server, Settings};
use std::time::Duration;

const ZONE: &str = "us-east-2a";
const TYPE: &str = "m7i.large";

#[tokio::test]
async fn the_contract() {
    let settings = Settings { console: "hello from a machine\n".to_owned(), ..Settings::default() };
    let server = Server::start(Datacentre::new(settings), 0).await.expect("a server");
    let cloud = connect(&server);
    let subject = Subject {
        cloud: &cloud,
        sabotage: Some(&Accidents(&server)),
        region: "us-east-2".to_owned(),
        fleet: "conformance".to_owned(),
        offer: offer(),
        user_data: b"#cloud-config\n{}\n".to_vec(),
        console_line: "hello from a machine".to_owned(),
        schedule: Schedule::LOCAL,
        patience: Duration::from_secs(20),
    };
    if let Err(violation) = conformance::run(&subject).await {
        panic!("{violation}");
    }
    assert_eq!(server.datacentre().left(), Vec::<String>::new());
}

/// Credentials are the environment's in real life; a simulator takes any.
fn connect(server: &Server) -> AwsCloud {
    let endpoint_url = Some(server.endpoint());
    AwsCloud::new(AwsConfig { endpoint_url, profile: None, assume_role: None })
}

fn offer() -> Offer {
    Offer {
        instance_type: TYPE.to_owned(),
        gpu: None,
        gpu_count: 0,
        cpu: 2,
        memory_gb: 8,
        interconnect: None,
        hourly_cost: 0.1,
        priced_on: "2026-07-20".to_owned(),
    }
}

#[derive(Debug)]
struct Accidents<'a>(&'a Server);

#[async_trait]
impl Sabotage for Accidents<'_> {
    async fn stop(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        assert!(self.0.datacentre().power_off(&id.0));
        Ok(())
    }

    async fn impair(&self, _: &FleetKey, _: &InstanceId) -> cloud::Result<()> {
        Err(CloudError::new(ErrorKind::Unsupported, "Impair", "EC2's list does not tell it"))
    }

    async fn lose(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        assert!(self.0.datacentre().lose(&id.0));
        Ok(())
    }

    async fn limit(&self, machines: Option<usize>) -> cloud::Result<()> {
        let machines = machines.map(|machines| u32::try_from(machines).expect("few"));
        self.0.datacentre().limit(ZONE, TYPE, machines);
        Ok(())
    }
}
