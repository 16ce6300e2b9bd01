//! A program that applies: what is declared, what it keeps, and one run of it, which may die.

use async_trait::async_trait;
use cloud::{
    Backoff, Cloud, CloudName, Deadline, Fleet, Instance, LabelFilter, Managed, Offer, Phase,
    PlacementStrategy, tag,
};
use cloud_memory::{Memory, Reply, Settings, Snapshot};
use domain::catalogue::{self, NoOffer, Resources};
use domain::id::{FleetId, GroupId};
use domain::planner::UpdateStrategy;
use domain::scaling::Scale;
use domain::spec::{EngineSpec, GroupSpec, RouterKind, RouterSpec, WorkerRole};
use domain::version::DynamoVersion;
use orchestration::failure::{Failure, Result};
use orchestration::fleet::{self, DesiredFleet};
use orchestration::group::{self, DesiredGroup, GroupPolicy, GroupRecord, KnownGroup};
use orchestration::http::{Http, HttpRequest, HttpResponse, NoAnswer};
use orchestration::journal::{Journal, Warning};
use orchestration::object::Object;
use orchestration::service::{
    self, DesiredService, FoundService, ServiceChange, ServicePolicy, ServiceProgress,
    ServiceRecord,
};
use orchestration::snapshot::{Freshness, key};
use orchestration::{Clouds, Orchestrator};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// What is to be.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) fleet: DesiredFleet,
    pub(crate) service: DesiredService,
    pub(crate) groups: Vec<DesiredGroup>,
}

/// What a program keeps from one run to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) fleet: Option<Fleet>,
    pub(crate) service: Option<ServiceRecord>,
    pub(crate) groups: BTreeMap<String, GroupRecord>,
}

/// One run: a process of its own, with its own calls to the cloud.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) cloud: Memory,
    pub(crate) orchestrator: Orchestrator,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) limit: Duration,
}

/// What a cloud is like. What documents take in it is no business of these tests.
pub(crate) fn settings(name: CloudName) -> Settings {
    Settings { checks_user_data: false, ..Settings::of(name) }
}

/// A service with a group of so many workers for each of these roles.
pub(crate) fn declared(name: CloudName, groups: &[(WorkerRole, u32)]) -> Declared {
    let region = name.profile().regions.only().unwrap_or("region-1").to_owned();
    let fleet = FleetId { cloud: name, region, name: "pd".to_owned() };
    let spec = RouterSpec {
        fleet: fleet.clone(),
        service: "glm".to_owned(),
        uid: "00000000".parse().expect("a uid"),
        model: "zai-org/GLM-4.5-Air-FP8".to_owned(),
        version: DynamoVersion::DEFAULT,
        port: 8000,
        kind: RouterKind::Dynamo,
        resources: RouterSpec::default_resources(),
        args: Vec::new(),
        env: BTreeMap::new(),
        commands: Vec::new(),
        image: None,
        script_version: domain::SCRIPT_VERSION,
    };
    let policy = ServicePolicy {
        public: Some(false),
        ingress: vec!["192.0.2.0/24".to_owned()],
        wait_for: service::WaitFor::Ready,
        keeps_failed: false,
        image: None,
    };
    let groups = groups.iter().map(|(role, count)| of_role(&spec, *role, *count)).collect();
    Declared {
        fleet: DesiredFleet {
            id: fleet,
            zone: None,
            subnet: None,
            placement: PlacementStrategy::Zone,
            gpus: Vec::new(),
            ssh: None,
        },
        service: DesiredService { spec, policy },
        groups,
    }
}

fn of_role(router: &RouterSpec, role: WorkerRole, count: u32) -> DesiredGroup {
    let resources = Resources { cpu: Some(4), ..Resources::default() };
    let mut offers = catalogue::offers(router.fleet.cloud, &resources).expect("offers");
    offers.truncate(2);
    let spec = GroupSpec {
        service_id: router.id(),
        group: role.to_string(),
        role,
        engine: EngineSpec {
            kind: "mocker".to_owned(),
            tensor_parallel: None,
            args: Vec::new(),
            model: None,
            image: None,
            runtime: None,
            commands: Vec::new(),
        },
        resources,
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
        identity: None,
        image: None,
        market: domain::market::Market::OnDemand,
        reservation: None,
        egress: cloud::Egress::default(),
        boot_revision: 0,
        script_version: domain::SCRIPT_VERSION,
    };
    let policy = GroupPolicy {
        scale: Scale::Fixed(count),
        update: UpdateStrategy::default(),
        wait_for: group::WaitFor::Registered,
        keeps_failed: false,
        drain_limit: 10 * MINUTE,
        image: None,
    };
    DesiredGroup { spec, policy, offers }
}

impl Declared {
    /// How many machines that are.
    pub(crate) fn machines(&self) -> usize {
        let count = |group: &DesiredGroup| group.policy.scale.least() as usize;
        1 + self.groups.iter().map(count).sum::<usize>()
    }

    /// Another count of the first group.
    #[must_use]
    pub(crate) fn scaled_to(mut self, count: u32) -> Self {
        self.groups[0].policy.scale = Scale::Fixed(count);
        self
    }

    /// The same workers, made of something else.
    #[must_use]
    pub(crate) fn rolled(mut self) -> Self {
        for group in &mut self.groups {
            group.spec.boot_revision += 1;
        }
        self
    }
}

impl Run {
    /// In this cloud, by a process of its own.
    pub(crate) fn new(cloud: &Memory) -> Self {
        let cloud = cloud.another_process();
        let orchestrator = Orchestrator::asking(Arc::new(InMemory(cloud.clone())));
        let managed = Managed::with(cloud.clone(), Backoff::default(), 7);
        orchestrator.configure(Arc::new(OneCloud(managed)));
        Self { cloud, orchestrator, warnings: Vec::new(), limit: 30 * MINUTE }
    }

    /// The end of an operation that begins now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.limit, CancellationToken::new())
    }

    /// Makes what is declared and not kept yet, and brings the rest to it. What an operation has come to is kept
    /// when it has ended, as Terraform does.
    pub(crate) async fn apply(&mut self, declared: &Declared, state: &mut State) -> Result<()> {
        if state.fleet.is_none() {
            self.create_fleet(declared, state).await?;
        }
        match state.service.clone() {
            None => self.create_service(declared, state).await?,
            Some(service) => self.repair_service(declared, &service).await?,
        }
        for desired in &declared.groups {
            self.bring_group(desired, state).await?;
        }
        Ok(())
    }

    /// The same, with an import of what was made by a run that died before it could be kept. That is what users
    /// are told to do, and there is no other way.
    pub(crate) async fn apply_with_imports(
        &mut self,
        declared: &Declared,
        state: &mut State,
    ) -> Result<()> {
        loop {
            match self.apply(declared, state).await {
                Err(Failure::AlreadyExists(what)) => {
                    assert!(self.import(&what, declared, state).await?, "{what} is imported twice");
                }
                ended => return ended,
            }
        }
    }

    /// Keeps what is there of an object, unless it is kept already.
    async fn import(&self, what: &Object, declared: &Declared, state: &mut State) -> Result<bool> {
        let (fleet, deadline) = (&declared.fleet.id, self.deadline());
        let snapshot = self.orchestrator.snapshot(&deadline, fleet, Freshness::New).await?;
        match what {
            Object::Fleet(_) => {
                let is_new = state.fleet.is_none();
                state.fleet = snapshot.fleet.clone();
                Ok(is_new)
            }
            Object::Service(_) => {
                let name = &declared.service.spec.service;
                let id = service::find_by_name(&snapshot, fleet, name).remove(0);
                let FoundService { address, router, .. } = service::find_by_id(&snapshot, &id);
                let address = address.expect("a service has an address");
                let record = ServiceRecord { id, address, router, live: Some(true) };
                Ok(state.service.replace(record).is_none())
            }
            Object::ReplicaGroup(path) => {
                let name = path.rsplit('/').next().unwrap_or_default();
                let service = state.service.as_ref().expect("a group has a service");
                let id = GroupId { service: service.id.clone(), name: name.to_owned() };
                let machines = group::of_group(&snapshot, &id, &BTreeMap::new());
                let (machines, leaving) = group::counted_and_leaving(machines);
                let slots = group::in_slots(&machines, &BTreeMap::new());
                let record = GroupRecord { id, slots, leaving, image: None, is_done: false };
                Ok(state.groups.insert(name.to_owned(), record).is_none())
            }
        }
    }

    /// Takes everything away.
    pub(crate) async fn destroy(&mut self, declared: &Declared, state: &mut State) -> Result<()> {
        for desired in declared.groups.iter().rev() {
            self.delete_group(desired, state).await?;
        }
        if let Some(service) = &state.service {
            service::delete(&self.orchestrator, &self.deadline(), &service.id).await?;
            state.service = None;
        }
        fleet::delete(&self.orchestrator, &self.deadline(), &declared.fleet.id).await?;
        state.fleet = None;
        Ok(())
    }

    pub(crate) async fn create_fleet(
        &mut self,
        declared: &Declared,
        state: &mut State,
    ) -> Result<()> {
        let mut kept = Kept::default();
        let (orchestrator, deadline) = (&self.orchestrator, self.deadline());
        let created = fleet::create(orchestrator, &deadline, &declared.fleet, &mut kept).await;
        state.fleet = kept.take(&mut self.warnings);
        created
    }

    pub(crate) async fn create_service(
        &mut self,
        declared: &Declared,
        state: &mut State,
    ) -> Result<()> {
        let mut kept = Kept::default();
        let (orchestrator, deadline) = (&self.orchestrator, self.deadline());
        let created = service::create(orchestrator, &deadline, &declared.service, &mut kept).await;
        state.service = kept.take(&mut self.warnings);
        created
    }

    /// Brings a service back to what it was made as, when something about it is not.
    async fn repair_service(&mut self, declared: &Declared, service: &ServiceRecord) -> Result<()> {
        let (orchestrator, deadline) = (&self.orchestrator, self.deadline());
        let fleet = &service.id.fleet;
        let snapshot = orchestrator.snapshot(&deadline, fleet, Freshness::Any).await?;
        let found = service::find_by_id(&snapshot, &service.id);
        let mut desired = declared.service.clone();
        desired.spec.uid = service.id.uid.clone();
        let has_drift = !service::findings(&found, &snapshot, &desired.spec).is_empty();
        let change = ServiceChange { ingress: false, endpoint: false, has_drift };
        let mut kept = Kept::default();
        let ended =
            service::update(orchestrator, &deadline, &service.id, &desired, change, &mut kept);
        let ended = ended.await;
        let _: Option<ServiceProgress> = kept.take(&mut self.warnings);
        ended
    }

    /// Makes a group, or brings one that is kept to what it is to be.
    pub(crate) async fn bring_group(
        &mut self,
        desired: &DesiredGroup,
        state: &mut State,
    ) -> Result<()> {
        let desired = &of_group(desired, state);
        let mut kept =
            Kept { record: state.groups.get(&desired.spec.group).cloned(), warnings: Vec::new() };
        let (orchestrator, deadline) = (&self.orchestrator, self.deadline());
        let ended = match kept.record.as_ref().map(known) {
            None => group::create(orchestrator, &deadline, desired, &mut kept).await,
            Some(known) => {
                group::update(orchestrator, &deadline, &known, desired, true, &mut kept).await
            }
        };
        match kept.take(&mut self.warnings) {
            Some(record) => drop(state.groups.insert(desired.spec.group.clone(), record)),
            None => drop(state.groups.remove(&desired.spec.group)),
        }
        ended
    }

    pub(crate) async fn delete_group(
        &mut self,
        desired: &DesiredGroup,
        state: &mut State,
    ) -> Result<()> {
        let Some(record) = state.groups.get(&desired.spec.group).cloned() else { return Ok(()) };
        let removal = group::Removal {
            id: record.id.clone(),
            role: desired.spec.role,
            known: known(&record).slots,
            drain_limit: desired.policy.drain_limit,
        };
        let mut kept = Kept { record: Some(record), warnings: Vec::new() };
        let (orchestrator, deadline) = (&self.orchestrator, self.deadline());
        let deleted = group::delete(orchestrator, &deadline, &removal, &mut kept).await;
        if kept.take(&mut self.warnings).is_none() {
            state.groups.remove(&desired.spec.group);
        }
        deleted
    }
}

/// The group in the service that there is.
pub(crate) fn of_group(desired: &DesiredGroup, state: &State) -> DesiredGroup {
    let mut desired = desired.clone();
    if let Some(service) = &state.service {
        desired.spec.service_id = service.id.clone();
    }
    desired
}

fn known(record: &GroupRecord) -> KnownGroup {
    let slots = record.slots.iter().map(|(slot, machine)| (*slot, machine.id.0.clone()));
    KnownGroup { slots: slots.collect(), image: record.image.clone() }
}

/// Lets everything that takes its time come to its end: no list is behind any more.
pub(crate) async fn settle() {
    tokio::time::sleep(5 * MINUTE).await;
}

/// Nothing, an empty fleet, or all that is declared: what tests begin with, from here as often as they like.
#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) snapshot: Snapshot,
    pub(crate) state: State,
    pub(crate) declared: Declared,
}

impl Stage {
    /// With nothing.
    pub(crate) fn nothing(settings: Settings, declared: &Declared) -> Self {
        let snapshot = Memory::new(settings).snapshot();
        Self { snapshot, state: State::default(), declared: declared.clone() }
    }

    /// With an empty fleet.
    pub(crate) async fn empty(settings: Settings, declared: &Declared) -> Self {
        let (cloud, mut state) = (Memory::new(settings), State::default());
        Run::new(&cloud).create_fleet(declared, &mut state).await.expect("a fleet");
        settle().await;
        Self { snapshot: cloud.snapshot(), state, declared: declared.clone() }
    }

    /// With all of it.
    pub(crate) async fn applied(settings: Settings, declared: &Declared) -> Self {
        let (cloud, mut state) = (Memory::new(settings), State::default());
        Run::new(&cloud).apply(declared, &mut state).await.expect("an apply");
        settle().await;
        Self { snapshot: cloud.snapshot(), state, declared: declared.clone() }
    }

    /// The same cloud again, and what is kept of it.
    pub(crate) fn again(&self) -> (Memory, State) {
        (Memory::from(self.snapshot.clone()), self.state.clone())
    }
}

/// The machines of a group, as the cloud has them.
pub(crate) fn workers(cloud: &Memory, role: WorkerRole) -> Vec<Instance> {
    let of_role = LabelFilter::all().and(tag::ROLE, role.as_str());
    cloud.machines().into_iter().filter(|machine| of_role.matches(&machine.tags)).collect()
}

/// What there is beside what is declared, and what of that is missing; nothing when all is well.
pub(crate) async fn amiss(cloud: &Memory, declared: &Declared) -> Vec<String> {
    let mut amiss = Vec::new();
    let mut expect = |what: &str, found: usize, wanted: usize| {
        if found != wanted {
            amiss.push(format!("{found} {what} instead of {wanted}"));
        }
    };
    expect("machines", cloud.machines().len(), declared.machines());
    expect("routers", cloud.routers().len(), 1);
    expect("addresses", cloud.addresses().len(), 1);
    for group in &declared.groups {
        let what = format!("{} workers", group.spec.group);
        expect(&what, workers(cloud, group.spec.role).len(), group.policy.scale.least() as usize);
    }
    let fleet = cloud.another_process().get_fleet(&key(&declared.fleet.id)).await;
    let fleet = fleet.ok().flatten();
    expect("rules", fleet.as_ref().map_or(0, |fleet| fleet.ingress.len()), 1);
    let machines = cloud.machines();
    let addresses = cloud.addresses();
    let tags = machines.iter().map(|machine| (&machine.id.0, &machine.tags));
    let tags = tags.chain(addresses.iter().map(|address| (&address.id.0, &address.tags)));
    let unready = tags.filter(|(_, tags)| Phase::of(tags) != Phase::Ready);
    amiss.extend(unready.map(|(id, tags)| format!("{id} is {:?}", Phase::of(tags))));
    if fleet.is_none_or(|fleet| Phase::of(&fleet.tags) != Phase::Ready) {
        amiss.push("the fleet is not ready".to_owned());
    }
    amiss
}

/// What an operation tells.
#[derive(Debug)]
struct Kept<R> {
    record: Option<R>,
    warnings: Vec<Warning>,
}

impl<R> Default for Kept<R> {
    fn default() -> Self {
        Self { record: None, warnings: Vec::new() }
    }
}

impl<R> Kept<R> {
    fn take(self, warnings: &mut Vec<Warning>) -> Option<R> {
        warnings.extend(self.warnings);
        self.record
    }
}

impl<R: Clone + Send + Sync> Journal<R> for Kept<R> {
    fn saved(&mut self, record: &R) {
        self.record = Some(record.clone());
    }

    fn removed(&mut self) {
        self.record = None;
    }

    fn warned(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

#[derive(Debug)]
struct OneCloud(Managed);

#[async_trait]
impl Clouds for OneCloud {
    async fn open(&self, _: CloudName) -> cloud::Result<Option<Managed>> {
        Ok(Some(self.0.clone()))
    }

    fn offers(&self, name: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
        catalogue::offers(name, wanted)
    }
}

#[derive(Debug)]
struct InMemory(Memory);

#[async_trait]
impl Http for InMemory {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let HttpRequest { url, body, within } = request;
        let why = |why: &str| format!("{url}: {why}");
        match tokio::time::timeout(within, self.0.http(&url, body.as_ref())).await {
            Ok(Reply::Answer { status, body }) => Ok(HttpResponse { status, body }),
            Ok(Reply::Refused) => Err(NoAnswer::Refused(why("connection refused"))),
            Ok(Reply::NoRoute) => Err(NoAnswer::Unreachable(why("no route"))),
            Err(_) => Err(NoAnswer::Broken(why("no answer"))),
        }
    }
}
