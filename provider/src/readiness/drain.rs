//! Draining workers: their router is told to choose them no longer, and what runs on them is waited for.
//!
//! Nothing is removed here, and nothing is tagged. It is asked from the machine that runs Terraform: where
//! that has no route to the router, the machines drain themselves.

use super::engine_load::{Look, look};
use super::listings::Listings;
use super::machines::is_gone;
use super::pace::{Pace, Sightings};
use super::reason;
use crate::error::{Failure, Result};
use cloud::{Cloud, FleetKey, Instance, InstanceId, InstanceState};
use domain::drain::{Registered, Request, read_registry};
use domain::ports::{ETCD, EnginePorts, MOST_ENGINES};
use plugin::{Ctx, Interrupted};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Workers of one group, which go together.
#[derive(Debug)]
pub(crate) struct Drain<'a> {
    pub(crate) cloud: &'a dyn Cloud,
    pub(crate) fleet: &'a FleetKey,
    pub(crate) listings: &'a Listings,
    pub(crate) http: &'a reqwest::Client,
    /// Whose machines they are, as in `replica group …`.
    pub(crate) what: &'a str,
    /// The addresses of all machines of the fleet, as of a while ago.
    pub(crate) known: &'a BTreeSet<IpAddr>,
    pub(crate) limit: Duration,
}

/// How a drain has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Nothing runs on them.
    Empty,
    /// The time was over; what was still running where, as far as it was to be seen.
    Busy(Vec<String>),
    /// The router cannot be told anything from here, or the machines cannot be asked.
    NoRoute(String),
}

/// Whether something may run on a machine, as far as the cloud can tell.
pub(super) fn may_serve(machine: &Instance) -> bool {
    matches!(machine.state, InstanceState::Running | InstanceState::Impaired)
}

impl Drain<'_> {
    /// Drains these machines side by side, through the router at this address in the fleet.
    pub(crate) async fn by_router(
        &self,
        ctx: &Ctx,
        router: IpAddr,
        machines: &[Instance],
    ) -> Result<Drained> {
        let at = |machine: &Instance| Some((machine.id.clone(), machine.ip?));
        let serving: Vec<(InstanceId, IpAddr)> =
            machines.iter().filter(|machine| may_serve(machine)).filter_map(at).collect();
        if serving.is_empty() {
            return Ok(Drained::Empty);
        }
        let addresses = serving.iter().map(|(_, ip)| *ip).collect();
        let begun = Instant::now();
        let told = async {
            let all = self.registered(router).await?;
            let registered = all.at(&addresses);
            // Who is not to be asked afterwards had better not be taken out: it drains itself, and nothing of it
            // is lost.
            let engines = match self.limit.is_zero() {
                true => Vec::new(),
                false => self.engines(&serving, &registered).await?,
            };
            let dead = self.dead(&all).await;
            self.deregister(router, &registered.and(dead)).await?;
            Ok::<_, String>(engines)
        };
        let mut engines = match ctx.checked(told).await {
            Ok(Ok(engines)) => engines,
            Ok(Err(reason)) => return Ok(Drained::NoRoute(reason)),
            Err(why) => return Err(self.interrupted("the router was being told", why)),
        };
        loop {
            if let Some(busy) = self.wait(ctx, engines, begun).await? {
                return Ok(Drained::Busy(busy));
            }
            // An engine that has started anew meanwhile has registered anew.
            let again = async {
                let registered = self.registered(router).await?.at(&addresses);
                if registered.is_empty() || self.limit.is_zero() {
                    return Ok(None);
                }
                let engines = self.engines(&serving, &registered).await?;
                self.deregister(router, &registered).await?;
                Ok::<_, String>(Some(engines))
            };
            engines = match ctx.checked(again).await {
                Ok(Ok(Some(engines))) => engines,
                Ok(Ok(None)) => return Ok(Drained::Empty),
                Ok(Err(reason)) => {
                    tracing::warn!(%router, reason, "who has registered again is not known");
                    return Ok(Drained::Empty);
                }
                Err(why) => return Err(self.interrupted("the router was being asked", why)),
            };
        }
    }

    /// What stops a drain, and what was seen of it last.
    pub(super) fn interrupted(&self, seen: &str, why: Interrupted) -> Failure {
        Failure::Interrupted {
            waiting_for: format!("the answers that run on machines of {}", self.what),
            seen: seen.to_owned(),
            why,
            kept: true,
        }
    }

    /// The engines that requests can come to.
    async fn registered(&self, router: IpAddr) -> Result<Registered, String> {
        let answer = self.ask(router, read_registry()).await?;
        Registered::parse(&answer).map_err(|error| error.to_string())
    }

    /// Those of a machine that is gone, whose lease is not over yet. The router still chooses them, and when
    /// those that are drained were the last beside them it would choose nobody else.
    async fn dead(&self, registered: &Registered) -> Registered {
        let unknown = registered.elsewhere(self.known);
        let looks = unknown.sockets().into_iter().map(|socket| async move {
            let connects =
                tokio::time::timeout(CONNECTS_WITHIN, tokio::net::TcpStream::connect(socket));
            (!matches!(connects.await, Ok(Ok(_)))).then_some(socket)
        });
        let looks: Vec<Option<SocketAddr>> = futures::future::join_all(looks).await;
        unknown.listening(&looks.into_iter().flatten().collect())
    }

    /// Tells the router that these take nothing new.
    async fn deregister(&self, router: IpAddr, registered: &Registered) -> Result<(), String> {
        for request in registered.without_cards() {
            self.ask(router, request).await?;
        }
        if registered.is_empty() {
            return Ok(());
        }
        // Requests that the router had chosen one of them for are on their way, and would be cancelled.
        tokio::time::sleep(ON_THEIR_WAY.min(self.limit)).await;
        for request in registered.without_instances() {
            self.ask(router, request).await?;
        }
        Ok(())
    }

    /// Whatever runs on these machines that may not be empty, by a first look at every port that an engine can
    /// have: what a machine runs need not be what the configuration says by now. The reason when none of those
    /// that are registered can be asked.
    async fn engines(
        &self,
        machines: &[(InstanceId, IpAddr)],
        registered: &Registered,
    ) -> Result<Vec<Engine>, String> {
        let turns = Semaphore::new(LOOKS_AT_ONCE);
        let mut looks = Vec::new();
        for (id, ip) in machines {
            for index in 0..MOST_ENGINES {
                let metrics = SocketAddr::new(*ip, EnginePorts::of(index).system);
                looks.push(Engine::find(&turns, self.http, id, metrics));
            }
        }
        let looks: Vec<Engine> = futures::future::join_all(looks).await;
        let registered = registered.addresses();
        let (mut engines, mut silent) = (Vec::new(), Vec::new());
        for (id, ip) in machines {
            let of_machine = || looks.iter().filter(|engine| engine.machine == *id);
            if of_machine().any(|engine| !matches!(engine.seen, Look::Unreachable(_))) {
                let is_registered = registered.contains(ip);
                let is_engine = |engine: &&Engine| match engine.seen {
                    Look::Load(_) | Look::Silent(_) => true,
                    // Who says nothing of requests and is not registered has never had one: it still loads.
                    Look::Unreadable(_) => is_registered,
                    Look::Nobody | Look::Unreachable(_) => false,
                };
                engines.extend(of_machine().filter(is_engine).cloned());
            } else if registered.contains(ip) {
                silent.extend(of_machine().next().cloned());
            } else {
                tracing::warn!(machine = %id, "it neither answers nor is registered: it is not waited for");
            }
        }
        let readable: BTreeSet<IpAddr> =
            engines.iter().map(|engine: &Engine| engine.metrics.ip()).collect();
        if let (Some(one), true) = (silent.first(), registered.is_disjoint(&readable)) {
            return Err(one.to_string());
        }
        engines.extend(silent);
        Ok(engines)
    }

    /// Waits until the engines are empty or gone; answers what was still running when the time was over.
    async fn wait(
        &self,
        ctx: &Ctx,
        mut engines: Vec<Engine>,
        begun: Instant,
    ) -> Result<Option<Vec<String>>> {
        let mut pace = Pace::new(self.cloud).closely().at_most(LONGEST_PAUSE);
        let mut sightings = BTreeMap::new();
        loop {
            engines.retain(|engine| !engine.is_done());
            if engines.is_empty() {
                return Ok(None);
            }
            let busy: Vec<String> = engines.iter().map(ToString::to_string).collect();
            if begun.elapsed() >= self.limit {
                return Ok(Some(busy));
            }
            let interrupted = |why| self.interrupted(&busy.join(", "), why);
            pace.next(ctx).await.map_err(interrupted)?;
            let looks = engines.iter_mut().map(|engine| engine.look(self.http));
            ctx.checked(futures::future::join_all(looks)).await.map_err(interrupted)?;
            if engines.iter().any(Engine::is_silent) && pace.lists_due() {
                let ids: BTreeSet<InstanceId> =
                    engines.iter().map(|engine| engine.machine.clone()).collect();
                let gone = self.gone(&ids, &mut sightings, &pace).await?;
                engines.retain(|engine| !gone.contains(&engine.machine));
            }
        }
    }

    /// Those of the machines on which nothing can run any more, by the cloud's newest list.
    pub(super) async fn gone(
        &self,
        machines: &BTreeSet<InstanceId>,
        sightings: &mut BTreeMap<InstanceId, Sightings>,
        pace: &Pace,
    ) -> Result<BTreeSet<InstanceId>> {
        let Ok(listed) = super::passing(self.listings.recent(self.cloud, self.fleet).await)? else {
            return Ok(BTreeSet::new());
        };
        let is_over = |id: &&InstanceId| {
            let found = listed.iter().find(|found| found.id == **id);
            let seen = sightings.entry((*id).clone()).or_default();
            seen.add(found.is_some());
            is_gone(found, *seen, pace)
        };
        Ok(machines.iter().filter(is_over).cloned().collect())
    }

    /// One request to the router's etcd.
    async fn ask(&self, router: IpAddr, request: Request) -> Result<String, String> {
        let Request { path, body } = request;
        let url = format!("http://{}{path}", SocketAddr::new(router, ETCD));
        // What is in the way may take any connection, and answer nothing.
        let answer = self.http.post(url).timeout(ANSWERS_WITHIN).json(&body).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| reason(&error))?;
        answer.text().await.map_err(|error| reason(&error))
    }
}

/// One engine process that is drained.
#[derive(Clone, Debug)]
struct Engine {
    machine: InstanceId,
    metrics: SocketAddr,
    /// What the latest look has found.
    seen: Look,
}

impl Engine {
    /// The first look, in its turn.
    async fn find(
        turns: &Semaphore,
        http: &reqwest::Client,
        machine: &InstanceId,
        metrics: SocketAddr,
    ) -> Self {
        // It is never closed.
        let _turn = turns.acquire().await;
        Self { machine: machine.clone(), metrics, seen: look(http, metrics).await }
    }

    async fn look(&mut self, http: &reqwest::Client) {
        self.seen = look(http, self.metrics).await;
    }

    fn is_done(&self) -> bool {
        match &self.seen {
            Look::Nobody => true,
            Look::Load(load) => load.is_empty(),
            // Silence is no answer: an engine that is busy may miss a look.
            Look::Unreadable(_) | Look::Silent(_) | Look::Unreachable(_) => false,
        }
    }

    fn is_silent(&self) -> bool {
        matches!(self.seen, Look::Unreadable(_) | Look::Silent(_) | Look::Unreachable(_))
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { machine, metrics, seen } = self;
        match seen {
            Look::Load(load) if load.requests > 0.0 => {
                write!(text, "{machine} has {} requests in flight", load.requests)
            }
            Look::Load(_) => write!(text, "{machine} holds KV that no decode has fetched"),
            Look::Nobody => write!(text, "{machine} runs nothing"),
            Look::Unreadable(why) | Look::Silent(why) | Look::Unreachable(why) => {
                write!(text, "{machine} does not say what runs on it (http://{metrics}: {why})")
            }
        }
    }
}

/// From the moment when the router chooses a worker to the moment when that has taken the request.
const ON_THEIR_WAY: Duration = Duration::from_secs(1);

/// An etcd that can be reached answers in milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// A machine that is there takes a connection, or refuses it, in milliseconds.
const CONNECTS_WITHIN: Duration = Duration::from_secs(2);

/// The looks ask the machines themselves, and cost nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Connections that are tried at once.
const LOOKS_AT_ONCE: usize = 64;
