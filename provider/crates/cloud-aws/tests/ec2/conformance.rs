//! The contract, examined on a datacentre that speaks EC2.

use crate::harness::{REGION, ZONE, connect, offer, serve};
use async_trait::async_trait;
use cloud::conformance::wait::Schedule;
use cloud::conformance::{self, Sabotage, Subject};
use cloud::{CloudError, ErrorKind, FleetKey, InstanceId};
use cloudsim::ec2::Region;
use cloudsim::{Server, datacentre};
use std::time::Duration;

const TYPE: &str = "m7i.large";

pub(crate) async fn the_contract() {
    let console = "hello from a machine\n".to_owned();
    let talkative = datacentre::Settings { console, ..datacentre::Settings::default() };
    let server = serve(talkative.into()).await;
    let cloud = connect(&server);
    let subject = Subject {
        cloud: &cloud,
        sabotage: Some(&Accidents(&server)),
        region: REGION.to_owned(),
        fleet: "conformance".to_owned(),
        offer: offer(TYPE, None),
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

#[derive(Debug)]
struct Accidents<'a>(&'a Server<Region>);

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
