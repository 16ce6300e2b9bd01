//! What there is of a fleet, as an engineer on call asks for it. Nothing is changed here, and nothing is
//! compared with what a user has declared: only with what the machines were made from.

use crate::failure::{Failure, Result};
use crate::group::{self, Members};
use crate::inventory::{Inventory, Scope, Service, fleet_ids};
use crate::made_from::{MadeFrom, made_from};
use crate::orchestrator::Orchestrator;
use crate::readiness::{self, RouterAccess, consoles};
use crate::service::{self, FoundService};
use crate::snapshot::{Freshness, Snapshot, key};
use cloud::{
    BootDocument, CloudName, Deadline, Instance, InstanceId, InstanceState, Key, Phase, tag,
};
use domain::catalogue;
use domain::console;
use domain::finding::{Deviation, Finding, Subject, add};
use domain::id::{FleetId, GroupId, ServiceId};
use domain::made_from::{self, ForeignSpec};
use domain::scaling::Scale;
use domain::spec::ServiceFacts;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A fleet.
#[derive(Clone, Debug)]
pub struct FleetStatus {
    /// Its id.
    pub id: FleetId,
    /// The zone, in a cloud that has any.
    pub zone: Option<String>,
    /// What is not as it was made, in the cloud's words: object → finding.
    pub cloud_findings: BTreeMap<String, String>,
    /// Routers of services that no record has.
    pub findings: Vec<Finding>,
    /// Its services.
    pub services: Vec<ServiceStatus>,
    /// Machines that belong to no service, or to none of its groups: they cost as much as others.
    pub unassigned: Vec<MachineStatus>,
}

/// A fleet as its cloud lists it: no router was asked, no console read, and no deviation looked for.
#[derive(Clone, Debug)]
pub struct FleetListing {
    /// Its id.
    pub id: FleetId,
    /// The zone, in a cloud that has any.
    pub zone: Option<String>,
    /// All its machines.
    pub machines: Vec<MachineStatus>,
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
    /// Routers on their way out, and those that another one has taken the place of.
    pub leaving_routers: Vec<MachineStatus>,
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
    /// Whether its router sends it requests; none where that is not known, and of routers.
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
        let services: f64 = self.services.iter().map(ServiceStatus::hourly_cost).sum();
        services + cost(&self.unassigned)
    }
}

impl FleetListing {
    /// What all its machines cost, in dollars an hour.
    pub fn hourly_cost(&self) -> f64 {
        cost(&self.machines)
    }
}

impl ServiceStatus {
    /// What its machines cost, in dollars an hour.
    pub fn hourly_cost(&self) -> f64 {
        cost(self.machines())
    }

    /// All its machines: the router first, then the others on its place, then the groups'.
    pub fn machines(&self) -> impl Iterator<Item = &MachineStatus> {
        let workers = self.groups.iter().flat_map(|group| &group.machines);
        self.router.iter().chain(&self.leaving_routers).chain(workers)
    }
}

impl GroupStatus {
    /// How many machines count: those on their way out do not.
    pub fn count(&self) -> usize {
        self.machines.iter().filter(|machine| machine.counts()).count()
    }
}

impl MachineStatus {
    /// As its cloud lists it.
    fn listed(cloud: CloudName, instance: &Instance) -> Self {
        let offer = catalogue::find(cloud, &instance.instance_type);
        // One that is being terminated is paid for no longer.
        let offer = offer.filter(|_| instance.state != InstanceState::Terminating);
        Self {
            phase: instance.phase(),
            is_registered: None,
            hourly_cost: offer.map_or(0.0, |offer| offer.hourly_cost),
            told: None,
            lines: Vec::new(),
            instance: instance.clone(),
        }
    }

    fn counts(&self) -> bool {
        self.phase != Phase::Draining && self.instance.state != InstanceState::Terminating
    }
}

fn cost<'a>(machines: impl IntoIterator<Item = &'a MachineStatus>) -> f64 {
    machines.into_iter().map(|machine| machine.hourly_cost).sum()
}

/// The fleets of a region, ordered by name.
///
/// # Errors
/// When the cloud cannot be asked, or has no list of its fleets.
pub async fn list(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    cloud: CloudName,
    region: &str,
) -> Result<Vec<FleetListing>> {
    let mut fleets = Vec::new();
    for id in fleet_ids(orchestrator, deadline, cloud, region).await? {
        let snapshot = orchestrator.snapshot(deadline, &id, Freshness::New).await?;
        // One that was removed since is none.
        if let Some(fleet) = &snapshot.fleet {
            let machines = snapshot.instances.iter();
            fleets.push(FleetListing {
                zone: fleet.zone.clone(),
                machines: machines.map(|one| MachineStatus::listed(cloud, one)).collect(),
                id,
            });
        }
    }
    Ok(fleets)
}

/// Reads what there is of a fleet; none when there is no such fleet.
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
    let Inventory { services: found, unassigned } = Inventory::of(&snapshot, scope);
    let mut services = Vec::new();
    for service in found {
        services.push(of_service(orchestrator, deadline, scope, &snapshot, service).await?);
    }
    Ok(Some(FleetStatus {
        id: id.clone(),
        zone: fleet.zone.clone(),
        cloud_findings: fleet.findings.clone(),
        findings: service::unowned(&snapshot, id),
        services,
        unassigned: unassigned.iter().map(|one| MachineStatus::listed(id.cloud, one)).collect(),
    }))
}

async fn of_service(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    scope: &Scope,
    snapshot: &Snapshot,
    Service { id, found, leaving_routers, groups: workers }: Service,
) -> Result<ServiceStatus> {
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    let known = found.facts(&id).ok();
    let access = match (&known, &found.router) {
        (Some((facts, address)), Some(router)) => {
            Some(service::access(orchestrator, cloud, facts, address, router)?)
        }
        _ => None,
    };
    let (registered, answers) = match &access {
        Some(router) => {
            let registered = readiness::registered_addresses(router);
            let (registered, answers) =
                futures::future::join(registered, readiness::answers(router)).await;
            (registered.unwrap_or_default(), answers)
        }
        None => (None, false),
    };
    let access = access.as_ref();
    let observation = Observation { orchestrator, deadline, scope, access, registered };
    let findings = observation.findings_of_service(&found, snapshot, &id).await?;
    let (router, leaving_routers) = match scope.group {
        Some(_) => (None, Vec::new()),
        None => (
            observation.machines(found.router.as_slice(), false).await?.pop(),
            observation.machines(&leaving_routers, false).await?,
        ),
    };
    let mut groups = Vec::new();
    for (name, machines) in workers {
        let id = GroupId { service: id.clone(), name };
        groups.push(observation.group(id, &machines).await?);
    }
    let endpoint = access.map(|router| format!("{}/v1", router.endpoint));
    let facts = known.map(|(facts, _)| facts);
    Ok(ServiceStatus { id, facts, endpoint, answers, findings, router, leaving_routers, groups })
}

/// One observation of a service.
struct Observation<'a> {
    orchestrator: &'a Orchestrator,
    deadline: &'a Deadline,
    scope: &'a Scope,
    access: Option<&'a RouterAccess>,
    registered: Option<BTreeSet<IpAddr>>,
}

impl Observation<'_> {
    async fn findings_of_service(
        &self,
        found: &FoundService,
        snapshot: &Snapshot,
        id: &ServiceId,
    ) -> Result<Vec<Finding>> {
        let spec = self.spec(found.router.as_ref(), made_from::router).await?;
        Ok(match spec {
            // Made from it, it cannot differ from it; what its tags say can.
            Ok(spec) if spec.id() == *id => service::findings(found, snapshot, &spec),
            Ok(_) => service::router_findings(found),
            Err(unreadable) => {
                let mut findings = service::router_findings(found);
                let router = found.router.as_ref().map(|router| router.id.clone());
                let what = unreadable.map(|what| Finding::of(Subject::Router(router), what));
                findings.extend(what);
                findings
            }
        })
    }

    async fn group(&self, id: GroupId, machines: &[Instance]) -> Result<GroupStatus> {
        // What is not as it was made is said of those that stay.
        let staying = machines.iter().filter(|one| one.state != InstanceState::Terminating);
        let (counted, leaving) = group::counted_and_leaving(staying.cloned().collect());
        let known = BTreeMap::new();
        let slots = group::in_slots(&counted, &known);
        // A roll that was stopped leaves old ones: what is wanted is what the newest was made from.
        let newest = counted.iter().max_by_key(|machine| machine.launched_at);
        let any = newest.or(leaving.first()).or(machines.first());
        let tag_of = |key: Key| any.and_then(|one| one.tags.get(key));
        let scale: Option<Scale> = tag_of(tag::COUNT.into()).and_then(|text| text.parse().ok());
        let role = tag_of(tag::ROLE.into()).cloned().unwrap_or_default();
        let spec = self.spec(newest, made_from::worker).await?;
        let refusals = match self.access {
            Some(router) => self.orchestrator.refusals(&id.service, router).await,
            None => Default::default(),
        };
        let mut findings = match (&spec, &scale) {
            (Ok(spec), Some(scale)) => {
                let members = Members {
                    known: &known,
                    slots: &slots,
                    leaving: &leaving,
                    refusals: &refusals,
                };
                group::findings(spec, scale, members)
            }
            (Err(Some(unreadable)), _) => {
                let object = newest.map(|one| Subject::Machine(one.id.clone(), None));
                let finding = |object| Finding::of(object, unreadable.clone());
                object.map(finding).into_iter().collect()
            }
            _ => Vec::new(),
        };
        let count = counted.len();
        // Of a group that is being removed nothing stays.
        let is_going = counted.is_empty() && leaving.is_empty();
        if let Some(Scale::Fixed(wanted)) = scale
            && wanted as usize != count
            && !is_going
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
        // One that serves has nothing to tell that is worth a call, unless its lines are asked for.
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
            MachineStatus {
                is_registered: is_registered(machine),
                told: console::latest_state(console).map(|state| state.to_string()),
                lines: all[all.len().saturating_sub(self.scope.lines)..].to_vec(),
                ..MachineStatus::listed(fleet.cloud, machine)
            }
        });
        Ok(each.collect())
    }

    /// What a machine was made from, or why that cannot be read: it is shown all the same.
    async fn spec<S>(
        &self,
        machine: Option<&Instance>,
        read: fn(&BootDocument) -> Result<S, ForeignSpec>,
    ) -> Result<Result<S, Option<Deviation>>> {
        let Some(machine) = machine else { return Ok(Err(None)) };
        let fleet = &self.scope.fleet;
        let cloud = self.orchestrator.cloud(self.deadline, fleet.cloud).await?;
        match made_from(&*cloud, &key(fleet), &machine.id, read).await {
            Ok(MadeFrom::Spec(spec)) => Ok(Ok(spec)),
            Ok(MadeFrom::Gone) => Ok(Err(None)),
            Ok(MadeFrom::Unreadable(why)) => Ok(Err(Some(Deviation::Unreadable(why)))),
            Err(Failure::Cloud { error, .. }) if !error.kind.is_cut_off() => {
                Ok(Err(Some(Deviation::Unreadable(error.to_string()))))
            }
            Err(failure) => Err(failure),
        }
    }
}
