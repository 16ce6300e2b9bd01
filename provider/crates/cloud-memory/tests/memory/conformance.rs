//! The contract, examined as for every cloud.

use crate::harness::{document, offer};
use async_trait::async_trait;
use cloud::conformance::wait::Schedule;
use cloud::conformance::{self, Account, Report, Sabotage, Subject};
use cloud::{AddressId, Backoff, CloudName, Feature, Finding, FleetKey, InstanceId, Managed};
use cloud_memory::{Memory, Settings};
use expect_test::expect;
use std::time::Duration;

const TYPE: &str = "small";

#[tokio::test(start_paused = true)]
async fn strongly_consistent() {
    let report = examine(Settings::of(CloudName::Local)).await;
    assert!(report.is_kept(), "{report}");
    let reasons = report.not_examined().into_iter().map(|(rule, why)| format!("{rule}: {why}\n"));
    expect![[r#"
        a subnet is found with its zone, and a fleet can be in it: this cloud has no subnets, and says so
        an address is public as far as that is wished for: this cloud has no public addresses to be had
        an instance has the identity that it was launched with: this cloud has no identities of machines, and says so
        instances are taken out of a reservation: this cloud has no reservations, and says so
        an instance is made from the image that is asked for: this cloud has no images, and says so
        instances are bought on the spot market: this cloud has no spot market, and says so
        an instance gets a public address of its own when it runs: this cloud has no public addresses of instances, and says so
        people have exactly the access that was set last: this cloud has no keys of people, and says so
        why an instance has ended is told, and nothing of one that runs: this cloud forgets what has ended
    "#]].assert_eq(&reasons.collect::<String>());
}

/// Whoever lets so much time go by before each call that every server knows what has happened finds the
/// contract kept.
#[tokio::test(start_paused = true)]
async fn eventually_consistent() {
    let settings = Settings::of(CloudName::Aws);
    let longest = settings.lags.iter().max().copied().expect("servers that lag behind");
    assert!(!longest.is_zero());
    let report = examine(Settings { latency: longest, ..settings }).await;
    assert!(report.is_kept(), "{report}");
    assert_eq!(report.not_examined(), []);
}

#[tokio::test(start_paused = true)]
async fn as_any_cloud() {
    for cloud in CloudName::ALL {
        let settings = Settings::of(cloud);
        let latency = settings.lags.iter().max().copied().unwrap_or_default();
        let report = examine(Settings { latency, ..settings }).await;
        assert!(report.is_kept(), "{cloud}:\n{report}");
    }
}

async fn examine(settings: Settings) -> Report {
    let region = settings.region.clone();
    let has_subnets = settings.stands_for.has(Feature::Subnet);
    let cloud = Memory::new(settings);
    let managed = Managed::with(cloud.clone(), Backoff::NONE, 0);
    let subject = Subject {
        cloud: &managed,
        calls: managed.calls(),
        sabotage: Some(&Accidents(cloud.clone())),
        region,
        fleet: "conformance".to_owned(),
        offer: offer(TYPE),
        document: document("hello from a machine"),
        console_line: "hello from a machine".to_owned(),
        absent: (InstanceId("i-99999999".to_owned()), AddressId("a-99999999".to_owned())),
        account: Account {
            subnet: has_subnets.then(|| ("subnet-own".to_owned(), "zone-b".to_owned())),
            identity: Some("identity-own".to_owned()),
            reservation: Some("reservation-own".to_owned()),
            ssh_key: Some("key-own".to_owned()),
        },
        schedule: Schedule::CLOUD,
        patience: Duration::from_secs(60),
    };
    let report = conformance::run(&subject).await;
    assert_eq!(cloud.left(), Vec::<String>::new());
    report
}

#[derive(Debug)]
struct Accidents(Memory);

#[async_trait]
impl Sabotage for Accidents {
    async fn stop(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.stop(id);
        Ok(())
    }

    async fn impair(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.impair(id);
        Ok(())
    }

    async fn lose(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.lose(id);
        Ok(())
    }

    async fn alter(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.alter(id, Finding { text: "it is altered".to_owned(), repairable: true });
        Ok(())
    }

    async fn alter_fleet(&self, fleet: &FleetKey) -> cloud::Result<()> {
        self.0.alter_fleet(fleet, "its rules", "one is gone");
        Ok(())
    }

    async fn limit(&self, machines: Option<usize>) -> cloud::Result<()> {
        self.0.limit(TYPE, machines);
        Ok(())
    }
}
