//! The contract, examined on real machines, with and without namespaces.

use crate::harness::{self, Computer, unit};
use async_trait::async_trait;
use cloud::conformance::wait::Schedule;
use cloud::conformance::{self, Sabotage, Subject};
use cloud::{FleetKey, InstanceId};
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
    let subject = Subject {
        cloud: &cloud,
        sabotage: Some(&Accidents(&cloud, &computer)),
        region: "local".to_owned(),
        fleet: "conformance".to_owned(),
        offer: harness::offer(None),
        user_data: harness::user_data(
            &[
                ("/opt/hello", "#!/bin/sh\necho hello from a machine\nexec sleep 1000\n"),
                ("/etc/systemd/system/hello.service", &unit("/opt/hello")),
            ],
            &["hello"],
        ),
        console_line: "hello from a machine".to_owned(),
        schedule: Schedule::LOCAL,
        patience: Duration::from_secs(60),
    };
    if let Err(violation) = conformance::run(&subject).await {
        panic!("{violation}");
    }
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
