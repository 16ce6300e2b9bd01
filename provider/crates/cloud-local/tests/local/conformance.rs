//! The contract, examined on real machines, with and without namespaces.

use crate::harness::{self, Computer, unit};
use async_trait::async_trait;
use cloud::conformance::wait::{self, Schedule};
use cloud::conformance::{self, Account, Sabotage, Subject};
use cloud::{AddressId, Backoff, CloudError, ErrorKind, FleetKey, InstanceId, Managed};
use expect_test::expect;
use std::io::Write;
use std::time::Duration;

#[tokio::test]
async fn with_namespaces() {
    examine(true).await;
}

#[tokio::test]
async fn without_namespaces() {
    examine(false).await;
}

async fn examine(namespaces: bool) {
    let computer = Computer::new();
    let cloud = computer.cloud_with(|config| config.namespaces = namespaces);
    let counted = Managed::with(
        computer.cloud_with(|config| config.namespaces = namespaces),
        Backoff::NONE,
        0,
    );
    let subject = Subject {
        cloud: &counted,
        calls: counted.calls(),
        sabotage: Some(&Accidents(&cloud, &computer)),
        region: "local".to_owned(),
        fleet: "conformance".to_owned(),
        offer: harness::offer(None),
        document: harness::document(
            &[
                ("/opt/hello", "#!/bin/sh\necho hello from a machine\nexec sleep 1000\n"),
                ("/etc/systemd/system/hello.service", &unit("/opt/hello")),
            ],
            &["hello"],
        ),
        console_line: "hello from a machine".to_owned(),
        absent: (InstanceId("m-0123456789ab".to_owned()), AddressId("a-0123456789ab".to_owned())),
        account: Account::default(),
        schedule: Schedule::LOCAL,
        patience: wait::patient(Duration::from_secs(60)),
    };
    let report = conformance::run(&subject).await;
    // Past the test's own capture: what is not examined shows.
    std::io::stderr().write_all(report.to_string().as_bytes()).unwrap();
    assert!(report.is_kept(), "{report}");
    let reasons = report.not_examined().into_iter().map(|(rule, why)| format!("{rule}: {why}\n"));
    expect![[r#"
        a subnet is found with its zone, and a fleet can be in it: this cloud has no subnets, and says so
        what somebody has changed about a fleet is found and put back: a local fleet is changed by its tags alone
        an address is public as far as that is wished for: this cloud has no public addresses to be had
        what somebody has changed about an instance is found and put back: a local machine is changed by its state and its tags alone
        an instance has the identity that it was launched with: this cloud has no identities of machines, and says so
        instances are taken out of a reservation: this cloud has no reservations, and says so
        an instance is made from the image that is asked for: this cloud has no images, and says so
        instances are bought on the spot market: this cloud has no spot market, and says so
        an instance gets a public address of its own when it runs: this cloud has no public addresses of instances, and says so
        people have exactly the access that was set last: this cloud has no keys of people, and says so
        why an instance has ended is told, and nothing of one that runs: this cloud forgets what has ended
    "#]].assert_eq(&reasons.collect::<String>());
    computer.assert_nothing_left();
}

#[derive(Debug)]
struct Accidents<'a>(&'a cloud_local::LocalCloud, &'a Computer);

#[async_trait]
impl Sabotage for Accidents<'_> {
    async fn stop(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.stop(id).await
    }

    async fn impair(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.cut(id).await
    }

    async fn lose(&self, _: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
        self.0.lose(id).await
    }

    async fn alter(&self, _: &FleetKey, _: &InstanceId) -> cloud::Result<()> {
        Err(unalterable("a local machine is changed by its state and its tags alone"))
    }

    async fn alter_fleet(&self, _: &FleetKey) -> cloud::Result<()> {
        Err(unalterable("a local fleet is changed by its tags alone"))
    }

    async fn limit(&self, machines: Option<usize>) -> cloud::Result<()> {
        match machines {
            Some(machines) => {
                self.1.faults(&format!(r#"{{"no_capacity": {{"after": {machines}}}}}"#))
            }
            None => self.1.faults("{}"),
        }
        Ok(())
    }
}

fn unalterable(why: &str) -> CloudError {
    CloudError::new(ErrorKind::Unsupported, "Alter", why)
}
