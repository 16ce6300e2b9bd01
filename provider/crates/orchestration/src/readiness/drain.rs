//! Draining workers: their router is told to choose them no longer, and what runs on them is waited for.
//!
//! Nothing is removed here, and nothing is tagged. It is asked from the machine that runs Terraform: where
//! that has no route to the router, the machines drain themselves.

use super::engines::{Engine, watched};
use super::listings::Listings;
use super::machines::is_gone;
use super::pace::{Pace, Sightings};
use crate::failure::{Failure, Result};
use crate::http::{Http, HttpRequest};
use cloud::{Cloud, Deadline, FleetKey, Instance, InstanceId, InstanceState, Interrupted};
use domain::drain::{Registered, Request, read_registry};
use domain::ports::{ETCD, EnginePorts, MOST_ENGINES};
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
    pub(crate) http: &'a dyn Http,
    /// Whose machines they are, as in `replica group …`.
    pub(crate) what: &'a str,
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
pub(crate) fn may_serve(machine: &Instance) -> bool {
    use InstanceState::{Impaired, Running, Unreachable};
    matches!(machine.state, Running | Impaired | Unreachable)
}

impl Drain<'_> {
    /// Drains these machines side by side, through the router at this address in the fleet.
    pub(crate) async fn by_router(
        &self,
        deadline: &Deadline,
        router: IpAddr,
        machines: &[Instance],
    ) -> Result<Drained> {
        let at = |machine: &Instance| Some((machine.id.clone(), machine.ip?));
        let serving: Vec<(InstanceId, IpAddr)> =
            machines.iter().filter(|machine| may_serve(machine)).filter_map(at).collect();
        if serving.is_empty() {
            return Ok(Drained::Empty);
        }
        let begun = Instant::now();
        let first = async {
            let registered = self.registered(router, &serving).await?;
            self.take_out(router, &serving, &registered).await
        };
        let mut engines = match deadline.checked(first).await {
            Ok(Ok(engines)) => engines,
            Ok(Err(reason)) => return Ok(Drained::NoRoute(reason)),
            Err(why) => return Err(self.interrupted("the router was being told", why)),
        };
        if self.limit.is_zero() {
            return Ok(Drained::Empty);
        }
        let pace = Pace::new(self.cloud).tight().at_most(LONGEST_PAUSE);
        let mut unknown_since = None;
        loop {
            if let Some(busy) = self.wait(deadline, engines, begun).await? {
                return Ok(Drained::Busy(busy));
            }
            // An engine that has started anew meanwhile has registered anew.
            let again = async {
                let registered = self.registered(router, &serving).await?;
                if registered.is_empty() {
                    return Ok(None);
                }
                self.take_out(router, &serving, &registered).await.map(Some)
            };
            let (again, seen) = match deadline.checked(again).await {
                Ok(Ok(None)) => return Ok(Drained::Empty),
                Ok(Ok(Some(engines))) => (engines, "one has registered again".to_owned()),
                Ok(Err(reason)) => {
                    let since = *unknown_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= ROUTER_IS_BACK_WITHIN {
                        tracing::warn!(%router, reason, "who has registered again is not known");
                        return Ok(Drained::Empty);
                    }
                    (Vec::new(), format!("who has registered again is not known: {reason}"))
                }
                Err(why) => return Err(self.interrupted("the router was being asked", why)),
            };
            if begun.elapsed() >= self.limit {
                return Ok(Drained::Busy(vec![seen]));
            }
            pace.next(deadline).await.map_err(|why| self.interrupted(&seen, why))?;
            engines = again;
        }
    }

    /// What stops a drain, and what was seen of it last.
    pub(crate) fn interrupted(&self, seen: &str, why: Interrupted) -> Failure {
        Failure::Interrupted {
            waiting_for: format!("the answers that run on machines of {}", self.what),
            seen: seen.to_owned(),
            why,
            kept: true,
        }
    }

    /// The engines of these machines that requests can come to.
    async fn registered(
        &self,
        router: IpAddr,
        machines: &[(InstanceId, IpAddr)],
    ) -> Result<Registered, String> {
        let answer = self.ask(router, read_registry()).await?;
        let all = Registered::parse(&answer).map_err(|error| error.to_string())?;
        Ok(all.at(&machines.iter().map(|(_, ip)| *ip).collect()))
    }

    /// Takes machines out of the router; what has to be watched of them then. The reason when that cannot be done
    /// from here.
    async fn take_out(
        &self,
        router: IpAddr,
        machines: &[(InstanceId, IpAddr)],
        registered: &Registered,
    ) -> Result<Vec<Engine>, String> {
        // Who cannot be asked afterwards had better not be taken out: it drains itself, and nothing is lost.
        let engines = match self.limit.is_zero() {
            true => Vec::new(),
            false => self.engines(machines, &registered.sockets()).await?,
        };
        self.deregister(router, registered).await?;
        Ok(engines)
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

    /// The engines of these machines that have to be watched, by a look at every port that one can have.
    async fn engines(
        &self,
        machines: &[(InstanceId, IpAddr)],
        registered: &BTreeSet<SocketAddr>,
    ) -> Result<Vec<Engine>, String> {
        let turns = Semaphore::new(LOOKS_AT_ONCE);
        let mut looks = Vec::new();
        for (id, ip) in machines {
            for index in 0..MOST_ENGINES {
                let metrics = SocketAddr::new(*ip, EnginePorts::of(index).system);
                looks.push(Engine::find(&turns, self.http, id, metrics));
            }
        }
        let mut found: Vec<Engine> = futures::future::join_all(looks).await;
        for _ in 1..LOOKS_AT_THE_MUTE {
            let mute = found.iter_mut().filter(|engine| engine.is_mute());
            let looks = mute.map(|engine| engine.look(&turns, self.http));
            futures::future::join_all(looks).await;
        }
        watched(found, registered)
    }

    /// Waits until the engines are empty or gone; answers what was still running when the time was over.
    async fn wait(
        &self,
        deadline: &Deadline,
        mut engines: Vec<Engine>,
        begun: Instant,
    ) -> Result<Option<Vec<String>>> {
        let mut pace = Pace::new(self.cloud).tight().at_most(LONGEST_PAUSE);
        let (mut sightings, turns) = (BTreeMap::new(), Semaphore::new(LOOKS_AT_ONCE));
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
            pace.next(deadline).await.map_err(interrupted)?;
            let looks = engines.iter_mut().map(|engine| engine.look(&turns, self.http));
            deadline.checked(futures::future::join_all(looks)).await.map_err(interrupted)?;
            if engines.iter().any(Engine::is_silent) && pace.lists_due() {
                let ids: BTreeSet<InstanceId> =
                    engines.iter().map(|engine| engine.machine.clone()).collect();
                let gone = self.gone(deadline, &ids, &mut sightings, &pace).await?;
                engines.retain(|engine| !gone.contains(&engine.machine));
            }
        }
    }

    /// Those of the silent machines on which nothing can run any more, by the cloud's newest list.
    pub(crate) async fn gone(
        &self,
        deadline: &Deadline,
        machines: &BTreeSet<InstanceId>,
        sightings: &mut BTreeMap<InstanceId, Sightings>,
        pace: &Pace,
    ) -> Result<BTreeSet<InstanceId>> {
        let Ok(listed) =
            super::passing(self.listings.recent(deadline, self.cloud, self.fleet).await)?
        else {
            return Ok(BTreeSet::new());
        };
        let is_over = |id: &&InstanceId| {
            let found = listed.iter().find(|found| found.id == **id);
            let seen = sightings.entry((*id).clone()).or_default();
            seen.add(found.is_some());
            // Of one that hangs the cloud says so, and what hangs gives no answer.
            let hangs = found.is_some_and(|found| found.state == InstanceState::Impaired);
            hangs || is_gone(found, *seen, pace)
        };
        Ok(machines.iter().filter(is_over).cloned().collect())
    }

    /// One request to the router's etcd.
    async fn ask(&self, router: IpAddr, request: Request) -> Result<String, String> {
        let Request { path, body } = request;
        let url = format!("http://{}{path}", SocketAddr::new(router, ETCD));
        // What is in the way may take any connection, and answer nothing.
        let answer = self.http.send(HttpRequest::post(url, body).within(ANSWERS_WITHIN)).await;
        answer.map_err(|error| error.to_string())?.success()
    }
}

/// From the moment when the router chooses a worker to the moment when that has taken the request.
const ON_THEIR_WAY: Duration = Duration::from_secs(1);

/// An etcd that can be reached answers in milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// The looks ask the machines themselves, and cost nothing.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Connections that are tried at once.
const LOOKS_AT_ONCE: usize = 64;

/// Who takes a connection and does not answer may be busy, or something else.
const LOOKS_AT_THE_MUTE: u32 = 3;

/// A router that restarts is back by then; one that is gone sends no requests.
const ROUTER_IS_BACK_WITHIN: Duration = Duration::from_secs(10);
