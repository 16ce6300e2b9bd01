//! The contract, examined on a datacentre that speaks EC2.

use crate::harness::{REGION, ZONE, connect, document, offer, serve};
use async_trait::async_trait;
use cloud::conformance::wait::{self, Schedule};
use cloud::conformance::{self, Sabotage, Subject};
use cloud::{
    AddressId, Backoff, CloudError, ErrorKind, FleetKey, InstanceId, Interconnect, Managed,
};
use cloudsim::Server;
use cloudsim::datacentre::{self, WayOut};
use cloudsim::ec2::{Account, Region, Reservation, Settings, Subnet};
use std::io::Write;
use std::time::Duration;

const TYPE: &str = "m7i.large";
const OWN: &str = "conformance";
const RESERVATION: &str = "cr-0123456789abcdef0";
const SUBNET: (&str, &str) = ("subnet-0123456789abcdef0", "us-east-2b");

pub(crate) async fn the_contract() {
    let server = serve(settings()).await;
    let cloud = Managed::with(connect(&server), Backoff::NONE, 0);
    let absent = ("i-0123456789abcdef0".to_owned(), "eni-0123456789abcdef0".to_owned());
    let subject = Subject {
        cloud: &cloud,
        calls: cloud.calls(),
        sabotage: Some(&Accidents(&server)),
        region: REGION.to_owned(),
        fleet: "conformance".to_owned(),
        offer: offer(TYPE, Interconnect::Tcp),
        document: document(),
        console_line: "hello from a machine".to_owned(),
        absent: (InstanceId(absent.0), AddressId(absent.1)),
        account: conformance::Account {
            subnet: Some((SUBNET.0.to_owned(), SUBNET.1.to_owned())),
            identity: Some(OWN.to_owned()),
            reservation: Some(RESERVATION.to_owned()),
            ssh_key: Some(OWN.to_owned()),
        },
        schedule: Schedule::LOCAL,
        patience: wait::patient(Duration::from_secs(20)),
    };
    let report = conformance::run(&subject).await;
    // Past the test's own capture: what is not examined shows.
    std::io::stderr().write_all(report.to_string().as_bytes()).expect("stderr can be written");
    assert!(report.is_kept(), "{report}");
    let impaired = "EC2's list does not tell it";
    assert_eq!(report.not_examined(), [("a reboot mends an impaired instance", impaired)]);
    assert_eq!(server.datacentre().left(), Vec::<String>::new());
}

/// An account that has one of everything that machines may use.
fn settings() -> Settings {
    let reservation = Reservation {
        zone: ZONE.to_owned(),
        instance_type: TYPE.to_owned(),
        machines: 1,
        block: false,
    };
    let subnet =
        Subnet { zone: SUBNET.1.to_owned(), vpc: "vpc-own".to_owned(), way_out: WayOut::Nat };
    let datacentre = datacentre::Settings {
        console: "hello from a machine\n".to_owned(),
        ..datacentre::Settings::default()
    };
    let account = Account {
        subnets: [(SUBNET.0.to_owned(), subnet)].into(),
        reservations: [(RESERVATION.to_owned(), reservation)].into(),
        profiles: vec![OWN.to_owned()],
        key_pairs: vec![OWN.to_owned()],
        ..Account::default()
    };
    Settings { datacentre, account }
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

    async fn alter(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.datacentre().set_metadata_tokens(&id.0, "optional");
        Ok(())
    }

    async fn alter_fleet(&self, fleet: &FleetKey) -> cloud::Result<()> {
        let group = format!("disagg-{}", fleet.name);
        self.0.datacentre().open_port(&group, 22, "0.0.0.0/0", "for a while");
        Ok(())
    }

    async fn limit(&self, machines: Option<usize>) -> cloud::Result<()> {
        let machines = machines.map(|machines| u32::try_from(machines).expect("few"));
        self.0.datacentre().limit(ZONE, TYPE, machines);
        Ok(())
    }
}
