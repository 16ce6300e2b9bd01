//! Which machines there are in a fleet, and to what they belong: for those that show them.

use crate::failure::{Doing, Result};
use crate::orchestrator::Orchestrator;
use crate::service::{self, FoundService, ROUTER, find_by_id};
use crate::snapshot::Snapshot;
use cloud::{Cloud, CloudName, Deadline, FleetKey, Instance, InstanceId, tag};
use domain::id::{FleetId, ServiceId};
use std::collections::{BTreeMap, BTreeSet};

/// What is asked for: everything of a fleet, or a part of it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The fleet.
    pub fleet: FleetId,
    /// One service by its name; none is all of them.
    pub service: Option<String>,
    /// One group of it by its name; none is all of them, and the router.
    pub group: Option<String>,
    /// How many of each machine's last lines of its console.
    pub lines: usize,
}

impl Scope {
    /// All of a fleet.
    pub fn of_fleet(fleet: FleetId) -> Self {
        Self { fleet, service: None, group: None, lines: 0 }
    }

    /// Whether a machine that is in no group is asked for: of one service are those that carry its label.
    fn has_unassigned(&self, machine: &Instance) -> bool {
        let Some(name) = &self.service else { return true };
        let label = machine.tags.get(tag::SERVICE);
        let id = label.and_then(|label| ServiceId::of_label(&self.fleet, label).ok());
        self.group.is_none() && id.is_some_and(|id| id.name == *name)
    }
}

/// All machines of a fleet.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// The services, with those machines of theirs that are not their routers.
    pub(crate) services: Vec<Service>,
    /// What belongs to no service, or to none of its groups.
    pub(crate) unassigned: Vec<Instance>,
}

/// A service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) id: ServiceId,
    pub(crate) found: FoundService,
    /// Routers on their way out, and those that another one has taken the place of.
    pub(crate) leaving_routers: Vec<Instance>,
    /// Workers by the names of their groups, those on their way out too.
    pub(crate) groups: BTreeMap<String, Vec<Instance>>,
}

impl Inventory {
    /// What of a fleet is asked for. Of groups those that are not are left out too.
    pub(crate) fn of(snapshot: &Snapshot, scope: &Scope) -> Self {
        let mut services: Vec<Service> = service::all(snapshot, &scope.fleet)
            .into_iter()
            .map(|id| Service::of(snapshot, id))
            .collect();
        let assigned: BTreeSet<&InstanceId> =
            services.iter().flat_map(Service::machines).map(|one| &one.id).collect();
        let unassigned = snapshot.instances.iter().filter(|one| !assigned.contains(&one.id));
        let unassigned = unassigned.filter(|one| scope.has_unassigned(one)).cloned().collect();
        services.retain(|one| scope.service.as_ref().is_none_or(|name| *name == one.id.name));
        for one in &mut services {
            one.groups.retain(|name, _| scope.group.as_ref().is_none_or(|group| group == name));
        }
        Self { services, unassigned }
    }
}

impl Service {
    fn of(snapshot: &Snapshot, id: ServiceId) -> Self {
        let (found, label) = (find_by_id(snapshot, &id), id.label());
        let is_router = |one: &Instance| one.tags.get(tag::ROLE).is_some_and(|role| role == ROUTER);
        let is_the_router =
            |one: &Instance| found.router.as_ref().is_some_and(|router| router.id == one.id);
        let of_service = |one: &&Instance| one.tags.get(tag::SERVICE) == Some(&label);
        let routers = snapshot.instances.iter().filter(of_service).filter(|one| is_router(one));
        // One that has lost its tags is known by the address that it still holds.
        let routers: BTreeMap<&InstanceId, &Instance> =
            routers.chain(&found.leaving).map(|one| (&one.id, one)).collect();
        let leaving = routers.into_values().filter(|one| !is_the_router(one));
        let leaving_routers = leaving.cloned().collect();
        let mut groups: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
        for worker in found.workers.iter().filter(|worker| !is_router(worker)) {
            if let Some(group) = worker.tags.get(tag::GROUP) {
                groups.entry(group.clone()).or_default().push(worker.clone());
            }
        }
        Self { leaving_routers, groups, found, id }
    }

    /// All that belongs to it.
    fn machines(&self) -> impl Iterator<Item = &Instance> {
        let workers = self.groups.values().flatten();
        self.found.router.iter().chain(&self.leaving_routers).chain(workers)
    }
}

/// The ids of the fleets of a region, in that order.
///
/// # Errors
/// When the cloud cannot be asked, or has no list of its fleets.
pub async fn fleet_ids(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    cloud: CloudName,
    region: &str,
) -> Result<Vec<FleetId>> {
    let listed = orchestrator.cloud(deadline, cloud).await?.list_fleets(region).await;
    let keys = listed.doing(cloud, || format!("list the fleets of region {region}"))?;
    let id = |FleetKey { region, name }| FleetId { cloud, region, name };
    Ok(keys.into_iter().map(id).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::{Address, AddressId, InstanceState, Key, Tags};
    use expect_test::expect;

    fn machine(id: &str, launched_at: u64, tags: &[(Key, &str)]) -> Instance {
        Instance {
            id: InstanceId(id.to_owned()),
            state: InstanceState::Running,
            ip: None,
            instance_type: "cpu-1-1".to_owned(),
            image: None,
            launched_at,
            tags: tags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
            findings: Vec::new(),
        }
    }

    fn snapshot(has_address: bool) -> Snapshot {
        let (service, role) = (Key::from(tag::SERVICE), Key::from(tag::ROLE));
        let group = Key::from(tag::GROUP);
        let tiny = (service, "tiny_3f9a1c2e");
        let address = Address {
            id: AddressId("a".to_owned()),
            ip: std::net::Ipv4Addr::LOCALHOST.into(),
            public_ip: None,
            instance: Some(InstanceId("router".to_owned())),
            tags: Tags::from([(tag::SERVICE, "tiny_3f9a1c2e".to_owned())]),
        };
        Snapshot {
            fleet: None,
            addresses: if has_address { vec![address] } else { Vec::new() },
            instances: vec![
                machine("old", 1, &[tiny, (role, "router")]),
                machine("router", 2, &[tiny, (role, "router")]),
                Instance {
                    state: InstanceState::Terminating,
                    ..machine("going", 3, &[tiny, (role, "router")])
                },
                machine("decode-1", 3, &[tiny, (role, "decode"), (group, "decode")]),
                machine("prefill-1", 3, &[tiny, (role, "prefill"), (group, "prefill")]),
                machine("of-no-group", 3, &[tiny, (role, "decode")]),
                machine("other-1", 3, &[(service, "other_00000000"), (group, "decode")]),
                machine("of-no-service", 3, &[(group, "decode")]),
                machine("of-a-strange-one", 3, &[(service, "strange")]),
            ],
        }
    }

    fn shown(snapshot: &Snapshot, service: Option<&str>, group: Option<&str>) -> String {
        let (service, group) = (service.map(str::to_owned), group.map(str::to_owned));
        let fleet = "local/local/lab".parse().expect("an id");
        let Inventory { services, unassigned } =
            Inventory::of(snapshot, &Scope { fleet, service, group, lines: 0 });
        let ids = |machines: &[Instance]| {
            machines.iter().map(|one| one.id.0.clone()).collect::<Vec<_>>().join(" ")
        };
        let mut text = String::new();
        for Service { id, found, leaving_routers, groups } in services {
            let router = found.router.map_or("none".to_owned(), |router| router.id.0);
            text += &format!("{}: router {router}, old {}", id.name, ids(&leaving_routers));
            for (name, workers) in groups {
                text += &format!(", {name} {}", ids(&workers));
            }
            text += "\n";
        }
        text + &format!("unassigned: {}\n", ids(&unassigned))
    }

    #[test]
    fn every_machine_is_shown_once() {
        let all = expect![[r#"
            other: router none, old , decode other-1
            tiny: router router, old going old, decode decode-1, prefill prefill-1
            unassigned: of-no-group of-no-service of-a-strange-one
        "#]];
        all.assert_eq(&shown(&snapshot(true), None, None));
        all.assert_eq(&shown(&snapshot(false), None, None));
        expect![[r#"
            tiny: router router, old going old, decode decode-1, prefill prefill-1
            unassigned: of-no-group
        "#]]
        .assert_eq(&shown(&snapshot(true), Some("tiny"), None));
        expect![[r#"
            tiny: router router, old going old, decode decode-1
            unassigned: 
        "#]]
        .assert_eq(&shown(&snapshot(true), Some("tiny"), Some("decode")));
    }
}
