//! A cloud in memory, for tests. It keeps the contract like any other, which the conformance suite says, and it
//! stands for a cloud that there is: its profile is that one's, and where that one lags behind, so does this.
//!
//! Time is tokio's: paused, an hour takes no time. Nothing is left to chance: what goes wrong is a script
//! ([`Fault`]), what machines come to is told beforehand ([`Course`]) or follows from their boot documents, and
//! the same calls at the same times have the same answers. Machines run no program: what stands on their
//! consoles, who is registered with which router and what is answered over HTTP follows from the records.
//!
//! One [`Memory`] is one process that calls the cloud. [`Memory::another_process`] is another one, with faults
//! of its own, in the same cloud; [`Memory::snapshot`] keeps everything for another beginning from there.
//!
//! | to change | look in |
//! |---|---|
//! | what a call does | `change.rs`, `address.rs`, `launch.rs`, `machine.rs` |
//! | what a call that reads tells | `view.rs` |
//! | what runs on machines, and tells of itself | `guest.rs`, `programs.rs`, `console.rs`, `http.rs` |
//! | what goes wrong with calls | `fault.rs`, `process.rs` |
//! | what happens to machines by itself | `accidents.rs` |

mod accidents;
mod address;
mod change;
mod console;
mod fault;
mod guest;
mod history;
mod http;
mod launch;
mod machine;
mod process;
mod programs;
mod settings;
mod state;
mod view;

pub use fault::{Effect, Fault, When};
pub use guest::Course;
pub use history::Moment;
pub use http::Reply;
pub use process::Call;
pub use settings::Settings;

use crate::change::Change;
use crate::process::Process;
use crate::state::State;
use crate::view::View;
use async_trait::async_trait;
use cloud::{
    Address, AddressId, AddressRequest, BootDocument, Cloud, CloudError, CloudName, Console,
    ErrorKind, Fleet, FleetKey, FleetRequest, Instance, InstanceId, LabelFilter, LaunchRequest,
    ObjectId, Opening, Result, Site, SiteFilter, SshAccess, Tags,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The cloud, as one process calls it. Clones are the same process.
#[derive(Clone, Debug)]
pub struct Memory {
    world: Arc<World>,
    process: Arc<Process>,
}

/// What all processes share.
struct World {
    settings: Settings,
    begun: Instant,
    /// What time it was when it began.
    offset: Moment,
    state: Mutex<State>,
}

impl fmt::Debug for World {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.debug_struct("World").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Everything that there is at one moment.
#[derive(Clone)]
pub struct Snapshot {
    settings: Settings,
    at: Moment,
    state: State,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.debug_struct("Snapshot").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Memory {
    /// An empty cloud.
    pub fn new(settings: Settings) -> Self {
        Self::from(Snapshot { settings, at: Moment::ZERO, state: State::default() })
    }

    /// Another process in the same cloud.
    #[must_use]
    pub fn another_process(&self) -> Self {
        Self { world: Arc::clone(&self.world), process: Arc::default() }
    }

    /// Everything as it is now.
    pub fn snapshot(&self) -> Snapshot {
        let World { settings, .. } = &*self.world;
        Snapshot { settings: settings.clone(), at: self.moment(), state: self.state().clone() }
    }

    /// From now on this goes wrong too; of several faults of one call the first that was added counts.
    pub fn goes_wrong(&self, when: When, effect: Effect) {
        self.process.add(Fault { when, effect });
    }

    /// Nothing goes wrong any more.
    pub fn goes_right(&self) {
        self.process.clear();
    }

    /// The calls of this process so far.
    pub fn calls(&self) -> Vec<Call> {
        self.process.log()
    }

    /// How many those are.
    pub fn count_calls(&self) -> usize {
        self.process.count()
    }

    /// Waits until the process dies. Whatever it does is to be dropped then.
    pub async fn death(&self) {
        self.process.death.cancelled().await;
    }

    /// What a machine answers over HTTP, as a process outside of the fleet asks it.
    pub async fn http(&self, url: &str, body: Option<&serde_json::Value>) -> Reply {
        let Some(target) = http::Target::parse(url) else { return Reply::NoRoute };
        if self.process.death.is_cancelled() {
            return std::future::pending().await;
        }
        let reply = {
            let (now, mut state) = (self.moment(), self.state());
            let view = View { state: &state, settings: &self.world.settings, now, at: now };
            let reply = http::answer(&view, &target, body);
            if matches!(reply, Reply::Answer { .. }) {
                http::take_out(&mut state, now, &target, body);
            }
            reply
        };
        if reply == Reply::NoRoute {
            tokio::time::sleep(self.world.settings.connects).await;
        }
        reply
    }

    pub(crate) fn moment(&self) -> Moment {
        self.world.offset + self.world.begun.elapsed()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.world.settings
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No test goes on with what a panic has left.
        self.world.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        object: impl fmt::Display,
        read: impl FnOnce(View<'_>) -> Result<T>,
    ) -> Result<T> {
        let (place, effect) = self.arrive(operation, object).await?;
        if let Some(Effect::DecidedAfter(time)) = effect {
            tokio::time::sleep(time).await;
        }
        let answer = {
            let (now, mut state) = (self.moment(), self.state());
            state.calls += 1;
            let lag = match effect {
                Some(Effect::Stale(lag)) => lag,
                _ => self.settings().lag(state.calls),
            };
            let at = now.saturating_sub(lag);
            read(View { state: &state, settings: self.settings(), now, at })
        };
        self.leave(operation, place, effect, answer).await
    }

    /// What has arrived is done, also when the caller does not wait for it.
    async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        object: impl fmt::Display,
        change: impl FnOnce(&mut Change<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (place, effect) = self.arrive(operation, object).await?;
        let cloud = self.clone();
        let apply = move || {
            let (now, mut state) = (cloud.moment(), cloud.state());
            state.calls += 1;
            let lag = cloud.settings().lag(state.calls);
            let seen = now.saturating_sub(lag);
            change(&mut Change { state: &mut state, settings: cloud.settings(), now, seen })
        };
        let answer = match effect {
            Some(Effect::DecidedAfter(time)) => {
                let decided = tokio::spawn(async move {
                    tokio::time::sleep(time).await;
                    apply()
                });
                decided.await.unwrap_or_else(|error| {
                    Err(CloudError::new(ErrorKind::Other, operation, error.to_string()))
                })
            }
            _ => apply(),
        };
        self.leave(operation, place, effect, answer).await
    }

    /// A call is made, and is at the cloud when this is done.
    async fn arrive(
        &self,
        operation: &'static str,
        object: impl fmt::Display,
    ) -> Result<(usize, Option<Effect>)> {
        if self.process.death.is_cancelled() {
            return std::future::pending().await;
        }
        let (place, effect) = self.process.begin(operation, object.to_string());
        if effect == Some(Effect::DiesBefore) {
            self.process.death.cancel();
        }
        if let Some(Effect::DiesBefore | Effect::NeverAnswers) = effect {
            return std::future::pending().await;
        }
        sleep(self.settings().latency).await;
        if let Some(Effect::Fails(kind)) = effect {
            self.process.end(place, Err(kind));
            return Err(CloudError::new(kind, operation, "it was made to fail"));
        }
        Ok((place, effect))
    }

    /// A call has had its effect, and is answered.
    async fn leave<T>(
        &self,
        operation: &'static str,
        place: usize,
        effect: Option<Effect>,
        answer: Result<T>,
    ) -> Result<T> {
        let answer = match effect {
            Some(Effect::AnswerLost(kind)) => {
                Err(CloudError::new(kind, operation, "its answer was lost"))
            }
            Some(Effect::DiesAfter) => {
                self.process.death.cancel();
                return std::future::pending().await;
            }
            Some(Effect::AnswerNeverComes) => return std::future::pending().await,
            Some(Effect::AnsweredAfter(time)) => {
                tokio::time::sleep(time).await;
                answer
            }
            _ => answer,
        };
        self.process.end(place, answer.as_ref().map(drop).map_err(|error| error.kind));
        answer
    }
}

impl From<Snapshot> for Memory {
    fn from(Snapshot { settings, at, state }: Snapshot) -> Self {
        let world = World { settings, begun: Instant::now(), offset: at, state: Mutex::new(state) };
        Self { world: Arc::new(world), process: Arc::default() }
    }
}

/// Not even a turn of others where it takes no time.
async fn sleep(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn listed<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[async_trait]
impl Cloud for Memory {
    fn name(&self) -> CloudName {
        self.settings().stands_for
    }

    fn now(&self) -> u64 {
        view::BEGIN + self.moment().as_secs()
    }

    async fn find_sites(&self, region: &str, filter: &SiteFilter) -> Result<Vec<Site>> {
        self.read("find_sites", region, |view| view.find_sites(region, filter)).await
    }

    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet> {
        let (name, request) = (request.key.name.clone(), request.clone());
        self.change("create_fleet", name, |change| change.create_fleet(request)).await
    }

    async fn list_fleets(&self, region: &str) -> Result<Vec<FleetKey>> {
        self.read("list_fleets", region, |view| Ok(view.fleets(region))).await
    }

    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>> {
        self.read("get_fleet", &key.name, |view| Ok(view.fleet(key))).await
    }

    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet> {
        let (name, key) = (key.name.clone(), key.clone());
        self.change("repair_fleet", name, move |change| change.repair_fleet(&key)).await
    }

    async fn delete_fleet(&self, key: &FleetKey) -> Result<()> {
        let (name, key) = (key.name.clone(), key.clone());
        self.change("delete_fleet", name, move |change| change.delete_fleet(&key)).await
    }

    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address> {
        let (token, request) = (request.token.clone(), request.clone());
        self.change("reserve_address", token, |change| change.reserve_address(request)).await
    }

    async fn list_addresses(&self, fleet: &FleetKey, filter: &LabelFilter) -> Result<Vec<Address>> {
        let read = |view: View<'_>| Ok(view.addresses(fleet, filter));
        self.read("list_addresses", &fleet.name, read).await
    }

    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()> {
        let (name, fleet, id) = (id.clone(), fleet.clone(), id.clone());
        self.change("release_address", name, move |change| change.release_address(&fleet, &id))
            .await
    }

    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>> {
        request.check("Launch", self.settings().user_data_bytes())?;
        let (token, request) = (request.token.clone(), Arc::new(request.clone()));
        self.change("launch", token, move |change| change.launch(&request)).await
    }

    async fn check_launch(&self, request: &LaunchRequest) -> Result<()> {
        const OPERATION: &str = "CheckLaunch";
        request.check(OPERATION, self.settings().user_data_bytes())?;
        let (token, request) = (request.token.clone(), Arc::new(request.clone()));
        self.change("check_launch", token, move |change| change.check_launch(OPERATION, &request))
            .await
    }

    async fn list_instances(
        &self,
        fleet: &FleetKey,
        filter: &LabelFilter,
    ) -> Result<Vec<Instance>> {
        let read = |view: View<'_>| Ok(view.instances(fleet, filter));
        self.read("list_instances", &fleet.name, read).await
    }

    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>> {
        self.read("find_instances", listed(ids), |view| Ok(view.find(fleet, ids))).await
    }

    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        let (name, fleet, id) = (id.clone(), fleet.clone(), id.clone());
        self.change("start_instance", name, move |change| change.start(&fleet, &id)).await
    }

    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        let (name, fleet, id) = (id.clone(), fleet.clone(), id.clone());
        self.change("reboot_instance", name, move |change| change.reboot(&fleet, &id)).await
    }

    async fn repair_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()> {
        let (name, fleet, id) = (id.clone(), fleet.clone(), id.clone());
        self.change("repair_instance", name, move |change| change.repair(&fleet, &id)).await
    }

    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()> {
        let (names, fleet, ids) = (listed(ids), fleet.clone(), ids.to_vec());
        self.change("terminate_instances", names, move |change| change.terminate(&fleet, &ids))
            .await
    }

    async fn why_ended(
        &self,
        _: &FleetKey,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>> {
        self.read("why_ended", listed(ids), |view| Ok(view.why_ended(ids))).await
    }

    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console> {
        self.read("console", id, |view| {
            let is_there = view.known_machine("GetConsole", fleet, id)?.is_some();
            let history = view.state.instances.get(id).filter(|_| is_there);
            let lag = self.settings().console_lag;
            let view = View { at: view.now.saturating_sub(lag).min(view.at), ..view };
            Ok(Console { text: history.map_or(String::new(), |found| console::text(&view, found)) })
        })
        .await
    }

    async fn boot_document(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<BootDocument>> {
        self.read("boot_document", id, |view| {
            let found = view.known_machine("GetUserData", fleet, id)?;
            Ok(found.map(|machine| machine.request.document.clone()))
        })
        .await
    }

    async fn set_ingress(
        &self,
        fleet: &FleetKey,
        service: &str,
        opening: Option<&Opening>,
    ) -> Result<()> {
        let (fleet, name, opening) = (fleet.clone(), service.to_owned(), opening.cloned());
        let service = service.to_owned();
        self.change("set_ingress", service, move |change| change.set_ingress(&fleet, name, opening))
            .await
    }

    async fn set_ssh(&self, fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()> {
        let (name, fleet, access) = (fleet.name.clone(), fleet.clone(), access.cloned());
        self.change("set_ssh", name, move |change| change.set_ssh(&fleet, access)).await
    }

    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()> {
        let names: Vec<&str> = objects.iter().map(name_of).collect();
        let (names, fleet) = (names.join(","), fleet.clone());
        let (objects, tags) = (objects.to_vec(), tags.clone());
        self.change("tag", names, move |change| change.tag(&fleet, &objects, &tags)).await
    }
}

fn name_of(object: &ObjectId) -> &str {
    match object {
        ObjectId::Fleet => "fleet",
        ObjectId::Address(id) => &id.0,
        ObjectId::Instance(id) => &id.0,
    }
}
