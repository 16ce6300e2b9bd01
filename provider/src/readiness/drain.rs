//! Draining workers: their router is told to choose them no longer, and what runs on them is waited for.
//!
//! Nothing is removed here, and nothing is tagged. It is asked from the machine that runs Terraform: where
//! that has no route to the router, the machines drain themselves when they are stopped.

use super::pace::Pace;
use super::reason;
use crate::error::{Failure, Result};
use cloud::{Cloud, Instance, InstanceId, InstanceState};
use domain::drain::{Load, Registered, Request, WorkersWith, read_registry};
use domain::ports::{ETCD, EnginePorts};
use plugin::{Ctx, Interrupted};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;

/// Workers of one group, which go together.
#[derive(Debug)]
pub(crate) struct Drain<'a> {
    pub(crate) cloud: &'a dyn Cloud,
    pub(crate) http: &'a reqwest::Client,
    /// The router's address in the fleet.
    pub(crate) router: IpAddr,
    /// Whose machines they are, as in `replica group …`.
    pub(crate) what: &'a str,
    pub(crate) with: WorkersWith,
    pub(crate) limit: Duration,
}

/// How a drain has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Nothing runs on them, as far as they answer.
    Empty,
    /// The time was over; what was still running where.
    Busy(Vec<String>),
    /// The router cannot be told anything from here.
    NoRoute(String),
}

/// Whether something may run on a machine, as far as the cloud can tell.
pub(super) fn may_serve(machine: &Instance) -> bool {
    matches!(machine.state, InstanceState::Running | InstanceState::Impaired)
}

impl Drain<'_> {
    /// Drains these machines side by side. `engines` says how many processes run on each.
    pub(crate) async fn run(
        &self,
        ctx: &Ctx,
        machines: &[Instance],
        engines: impl Fn(&Instance) -> u32,
    ) -> Result<Drained> {
        let at = |machine: &Instance| Some((machine.id.clone(), machine.ip?, engines(machine)));
        let serving: Vec<(InstanceId, IpAddr, u32)> =
            machines.iter().filter(|machine| may_serve(machine)).filter_map(at).collect();
        if serving.is_empty() {
            return Ok(Drained::Empty);
        }
        let addresses = serving.iter().map(|(_, ip, _)| *ip).collect();
        let begun = Instant::now();
        match ctx.checked(self.deregister(&addresses)).await {
            Ok(Ok(())) => {}
            Ok(Err(reason)) => return Ok(Drained::NoRoute(reason)),
            Err(why) => return Err(self.interrupted("the router was being told", why)),
        }
        if self.limit.is_zero() {
            return Ok(Drained::Empty);
        }
        let engines = serving
            .into_iter()
            .flat_map(|(id, ip, count)| (0..count).map(move |index| Engine::new(&id, ip, index)));
        self.wait(ctx, engines.collect(), begun).await
    }

    /// Tells the router that these addresses take nothing new; what stands in the way of that, if
    /// anything does.
    async fn deregister(&self, addresses: &BTreeSet<IpAddr>) -> Result<(), String> {
        let answer = self.ask(read_registry()).await?;
        let registered = Registered::parse(&answer).map_err(|error| error.to_string())?;
        let own = registered.at(addresses);
        for request in own.without_cards() {
            self.ask(request).await?;
        }
        if own.is_empty() {
            return Ok(());
        }
        // Requests that the router had chosen one of them for are on their way, and would be cancelled.
        tokio::time::sleep(ON_THEIR_WAY.min(self.limit)).await;
        for request in own.without_instances() {
            self.ask(request).await?;
        }
        Ok(())
    }

    /// Waits until the engines are empty, or do not answer, or the time is over.
    async fn wait(&self, ctx: &Ctx, mut engines: Vec<Engine>, begun: Instant) -> Result<Drained> {
        let pace = Pace::new(self.cloud).closely().at_most(LONGEST_PAUSE);
        let mut seen = "nothing yet".to_owned();
        loop {
            let looks = engines.iter_mut().map(|engine| engine.look(self.http, self.with));
            if let Err(why) = ctx.checked(futures::future::join_all(looks)).await {
                return Err(self.interrupted(&seen, why));
            }
            engines.retain(|engine| !engine.is_done());
            if engines.is_empty() {
                return Ok(Drained::Empty);
            }
            let busy: Vec<String> = engines.iter().map(|engine| engine.seen.clone()).collect();
            if begun.elapsed() >= self.limit {
                return Ok(Drained::Busy(busy));
            }
            seen = busy.join(", ");
            pace.next(ctx).await.map_err(|why| self.interrupted(&seen, why))?;
        }
    }

    /// One request to the router's etcd.
    async fn ask(&self, request: Request) -> Result<String, String> {
        let Request { path, body } = request;
        let url = format!("http://{}{path}", SocketAddr::new(self.router, ETCD));
        // What is in the way may take any connection, and answer nothing.
        let answer = self.http.post(url).timeout(ANSWERS_WITHIN).json(&body).send().await;
        let answer = answer.and_then(reqwest::Response::error_for_status);
        let answer = answer.map_err(|error| reason(&error))?;
        answer.text().await.map_err(|error| reason(&error))
    }

    fn interrupted(&self, seen: &str, why: Interrupted) -> Failure {
        Failure::Interrupted {
            waiting_for: format!("the answers that run on machines of {}", self.what),
            seen: seen.to_owned(),
            why,
            kept: true,
        }
    }
}

/// One engine process that is drained.
#[derive(Debug)]
struct Engine {
    machine: InstanceId,
    metrics: SocketAddr,
    state: EngineState,
    /// What the latest look has found.
    seen: String,
}

#[derive(Debug, PartialEq, Eq)]
enum EngineState {
    Busy,
    Done,
    /// So many looks in a row have found nothing that could be read.
    Silent(u32),
}

impl Engine {
    fn new(machine: &InstanceId, ip: IpAddr, index: u32) -> Self {
        Self {
            machine: machine.clone(),
            metrics: SocketAddr::new(ip, EnginePorts::of(index).system),
            state: EngineState::Busy,
            seen: String::new(),
        }
    }

    fn is_done(&self) -> bool {
        match self.state {
            EngineState::Busy => false,
            EngineState::Done => true,
            EngineState::Silent(looks) => looks >= MOST_SILENT_LOOKS,
        }
    }

    async fn look(&mut self, http: &reqwest::Client, with: WorkersWith) {
        let silent = match self.load(http, with).await {
            Ok(load) if load.is_empty() => {
                self.state = EngineState::Done;
                return;
            }
            Ok(load) => {
                self.state = EngineState::Busy;
                self.seen = match load.requests {
                    requests if requests > 0.0 => {
                        format!("{} has {requests} requests in flight", self.machine)
                    }
                    _ => format!("{} holds KV that no decode has fetched", self.machine),
                };
                return;
            }
            Err(silent) => silent,
        };
        let looks = match self.state {
            EngineState::Silent(looks) => looks + 1,
            _ => 1,
        };
        // Nobody listens there: there is no engine, and nothing runs.
        let is_refused = silent.contains("Connection refused");
        self.state = if is_refused { EngineState::Done } else { EngineState::Silent(looks) };
        tracing::debug!(machine = %self.machine, metrics = %self.metrics, silent, "not to be read");
        if looks == MOST_SILENT_LOOKS {
            tracing::warn!(
                machine = %self.machine, metrics = %self.metrics, silent,
                "what runs there is not known, and not waited for"
            );
        }
        self.seen = format!("{} does not answer ({silent})", self.machine);
    }

    async fn load(&self, http: &reqwest::Client, with: WorkersWith) -> Result<Load, String> {
        let get = http.get(format!("http://{}/metrics", self.metrics));
        let answer = get.send().await.map_err(|error| reason(&error))?;
        let page = answer.text().await.map_err(|error| reason(&error))?;
        Load::parse(&page, with).map_err(|error| error.to_string())
    }
}

/// From the moment when the router chooses a worker to the moment when that has taken the request.
const ON_THEIR_WAY: Duration = Duration::from_secs(1);

/// An etcd that can be reached answers in milliseconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

/// An engine that is busy may miss a look.
const MOST_SILENT_LOOKS: u32 = 3;

/// The looks ask the machines themselves, and cost nobody anything.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
