//! What there is of a fleet, as an engineer on call asks for it. Nothing is changed here, and nothing is
//! compared with what somebody has declared: only with what the machines were made from.

use crate::failure::Result;
use crate::group::{self, Members};
use crate::made_from::made_from;
use crate::orchestrator::Orchestrator;
use crate::readiness::{self, RouterAccess, consoles};
use crate::service::{self, FoundService, find_by_id};
use crate::snapshot::{Freshness, Snapshot, key};
use cloud::{BootDocument, Deadline, Instance, InstanceId, InstanceState, Key, Phase, tag};
use domain::catalogue;
use domain::console;
use domain::finding::{Deviation, Finding, Subject, add};
use domain::id::{FleetId, GroupId, ServiceId};
use domain::made_from::{self, ForeignSpec};
use domain::scaling::Scale;
use domain::spec::ServiceFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

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

/// A fleet.
#[derive(Clone, Debug)]
pub struct FleetStatus {
    /// Its id.
    pub id: FleetId,
    /// The zone, in a cloud that has any.
    pub zone: Option<String>,
    /// What is not as it was made, in the cloud's words: object → finding.
    pub cloud_findings: BTreeMap<String, String>,
    /// Routers of services that nobody has in a record.
    pub findings: Vec<Finding>,
    /// Its services.
    pub services: Vec<ServiceStatus>,
}

/// A service.
#[derive(Clone, Debug)]
pub struct ServiceStatus {
    /// Its id.
    pub id: ServiceId,
    /// What its address says about it; none when that is gone.
    pub facts: Option<ServiceFacts>,
    /// Where clients reach it.
    pub endpoint: Option<String>,
    /// Whether the router answers from here. One that does not may be healthy, and let nobody in from here.
    pub answers: bool,
    /// What is not as it was made.
    pub findings: Vec<Finding>,
    /// Its router.
    pub router: Option<MachineStatus>,
    /// Its groups, as far as they have machines.
    pub groups: Vec<GroupStatus>,
}

/// A replica group.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// Its id.
    pub id: GroupId,
    /// What its workers do.
    pub role: String,
    /// How many machines it is to have, as its machines say.
    pub scale: Option<Scale>,
    /// What is not as it was made.
    pub findings: Vec<Finding>,
    /// Its machines, those on their way out too.
    pub machines: Vec<MachineStatus>,
}

/// A machine.
#[derive(Clone, Debug)]
pub struct MachineStatus {
    /// As the cloud has it.
    pub instance: Instance,
    /// How far it is in its life.
    pub phase: Phase,
    /// Whether its router sends it requests; none where nobody can tell, and of routers.
    pub is_registered: Option<bool>,
    /// What it costs, in dollars an hour.
    pub hourly_cost: f64,
    /// What its console tells last of its boot, or of its work.
    pub told: Option<String>,
    /// The last lines of its console.
    pub lines: Vec<String>,
}

impl FleetStatus {
    /// What all its machines cost, in dollars an hour.
    pub fn hourly_cost(&self) -> f64 {
        self.services.iter().map(ServiceStatus::hourly_cost).sum()
    }
}

impl ServiceStatus {
    /// What its machines cost, in dollars an hour.
    pub fn hourly_cost(&self) -> f64 {
        let workers = self.groups.iter().flat_map(|group| &group.machines);
        self.router.iter().chain(workers).map(|machine| machine.hourly_cost).sum()
    }
}

/// Looks at a fleet; none when there is no such fleet.
///
/// # Errors
/// When the cloud cannot be asked.
pub async fn status(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    scope: &Scope,
) -> Result<Option<FleetStatus>> {
    let id = &scope.fleet;
    let snapshot = orchestrator.snapshot(deadline, id, Freshness::New).await?;
    let Some(fleet) = &snapshot.fleet else { return Ok(None) };
    let mut services = Vec::new();
    for service in service::all(&snapshot, id) {
        if scope.service.as_ref().is_none_or(|name| *name == service.name) {
            services.push(of_service(orchestrator, deadline, scope, &snapshot, service).await?);
        }
    }
    Ok(Some(FleetStatus {
        id: id.clone(),
        zone: fleet.zone.clone(),
        cloud_findings: fleet.findings.clone(),
        findings: service::unowned(&snapshot, id),
        services,
    }))
}

async fn of_service(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    scope: &Scope,
    snapshot: &Snapshot,
    id: ServiceId,
) -> Result<ServiceStatus> {
    let found = find_by_id(snapshot, &id);
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    let known = found.facts(&id).ok();
    let access = match (&known, &found.router) {
        (Some((facts, address)), Some(router)) => {
            Some(service::access(orchestrator, cloud, facts, address, router)?)
        }
        _ => None,
    };
    let registered = match &access {
        Some(router) => readiness::registered_addresses(router).await.unwrap_or_default(),
        None => None,
    };
    let answers = match &access {
        Some(router) => readiness::answers(router).await,
        None => false,
    };
    let look = Look { orchestrator, deadline, scope, access: access.as_ref(), registered };
    let findings = look.findings_of_service(&found, snapshot, &id).await?;
    let router = match (&found.router, &scope.group) {
        (Some(router), None) => look.machines(std::slice::from_ref(router), false).await?.pop(),
        _ => None,
    };
    let mut by_group: BTreeMap<String, Vec<Instance>> = BTreeMap::new();
    // One that is being terminated is nobody's any more, and soon costs nothing.
    let is_there = |worker: &&Instance| worker.state != InstanceState::Terminating;
    for worker in found.workers.iter().filter(is_there) {
        let group = worker.tags.get(tag::GROUP).cloned().unwrap_or_default();
        by_group.entry(group).or_default().push(worker.clone());
    }
    let mut groups = Vec::new();
    for (name, machines) in by_group {
        if scope.group.as_ref().is_none_or(|group| *group == name) {
            let id = GroupId { service: id.clone(), name };
            groups.push(look.group(id, &machines).await?);
        }
    }
    let endpoint = access.as_ref().map(|router| format!("{}/v1", router.endpoint));
    let facts = known.map(|(facts, _)| facts);
    Ok(ServiceStatus { id, facts, endpoint, answers, findings, router, groups })
}

/// One look at a service.
struct Look<'a> {
    orchestrator: &'a Orchestrator,
    deadline: &'a Deadline,
    scope: &'a Scope,
    access: Option<&'a RouterAccess>,
    registered: Option<BTreeSet<IpAddr>>,
}

impl Look<'_> {
    async fn findings_of_service(
        &self,
        found: &FoundService,
        snapshot: &Snapshot,
        id: &ServiceId,
    ) -> Result<Vec<Finding>> {
        let spec = self.spec(found.router.as_ref(), made_from::router).await?;
        Ok(match spec {
            // Made from it, it cannot differ from it; what its tags say can.
            Some(spec) if spec.id() == *id => service::findings(found, snapshot, &spec),
            _ => service::router_findings(found),
        })
    }

    async fn group(&self, id: GroupId, machines: &[Instance]) -> Result<GroupStatus> {
        let (counted, leaving) = group::counted_and_leaving(machines.to_vec());
        let known = BTreeMap::new();
        let slots = group::in_slots(&counted, &known);
        // A roll that was stopped leaves old ones: what is wanted is what the newest was made from.
        let newest = counted.iter().max_by_key(|machine| machine.launched_at);
        let tag_of = |key: Key| newest.or(leaving.first()).and_then(|one| one.tags.get(key));
        let scale: Option<Scale> = tag_of(tag::COUNT.into()).and_then(|text| text.parse().ok());
        let role = tag_of(tag::ROLE.into()).cloned().unwrap_or_default();
        let spec = self.spec(newest, made_from::worker).await?;
        let refusals = match self.access {
            Some(router) => self.orchestrator.refusals(&id.service, router).await,
            None => Default::default(),
        };
        let mut findings = match (&spec, &scale) {
            (Some(spec), Some(scale)) => {
                let members = Members {
                    known: &known,
                    slots: &slots,
                    leaving: &leaving,
                    refusals: &refusals,
                };
                group::findings(spec, scale, members)
            }
            _ => Vec::new(),
        };
        let count = counted.len();
        if let Some(Scale::Fixed(wanted)) = scale
            && wanted as usize != count
        {
            let what = Deviation::OutsideBounds { count, min: wanted, max: wanted };
            add(&mut findings, Finding::of(Subject::Count, what));
        }
        let machines = self.machines(machines, true).await?;
        Ok(GroupStatus { id, role, scale, findings, machines })
    }

    async fn machines(
        &self,
        machines: &[Instance],
        are_workers: bool,
    ) -> Result<Vec<MachineStatus>> {
        let fleet = &self.scope.fleet;
        let cloud = self.orchestrator.cloud(self.deadline, fleet.cloud).await?;
        let registered = self.registered.as_ref().filter(|_| are_workers);
        let is_registered = |machine: &Instance| {
            registered.map(|all| machine.ip.is_some_and(|ip| all.contains(&ip)))
        };
        // Who serves has nothing to tell that is worth a call, unless its lines are asked for.
        let is_asked =
            |machine: &&Instance| self.scope.lines > 0 || is_registered(machine) != Some(true);
        let ids: Vec<InstanceId> =
            machines.iter().filter(is_asked).map(|machine| machine.id.clone()).collect();
        let texts = consoles(&*cloud, &key(fleet), &ids).await;
        let texts: BTreeMap<InstanceId, String> =
            ids.into_iter().zip(texts).filter_map(|(id, text)| Some((id, text.ok()?))).collect();
        let each = machines.iter().map(|machine| {
            // One that was launched a moment ago, or is gone, has no console.
            let console = texts.get(&machine.id).map(String::as_str).unwrap_or_default();
            let all: Vec<String> = console.lines().map(console::plain).collect();
            let offer = catalogue::find(fleet.cloud, &machine.instance_type);
            MachineStatus {
                phase: machine.phase(),
                is_registered: is_registered(machine),
                hourly_cost: offer.map_or(0.0, |offer| offer.hourly_cost),
                told: console::latest_state(console).map(|state| state.to_string()),
                lines: all[all.len().saturating_sub(self.scope.lines)..].to_vec(),
                instance: machine.clone(),
            }
        });
        Ok(each.collect())
    }

    /// What a machine was made from. One that does not say is shown all the same.
    async fn spec<S>(
        &self,
        machine: Option<&Instance>,
        read: fn(&BootDocument) -> Result<S, ForeignSpec>,
    ) -> Result<Option<S>> {
        let Some(machine) = machine else { return Ok(None) };
        let fleet = &self.scope.fleet;
        let cloud = self.orchestrator.cloud(self.deadline, fleet.cloud).await?;
        match made_from(&*cloud, &key(fleet), &machine.id, read).await {
            Ok(asked) => Ok(asked.spec()),
            Err(failure) => {
                tracing::warn!(machine = %machine.id, ?failure, "what it was made from is not known");
                Ok(None)
            }
        }
    }
}
