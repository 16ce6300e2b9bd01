//! Workers: each has registered with the router, which sends it requests, or has failed.

use super::access::RouterAccess;
use super::grace::last_look;
use super::machines::{CONSOLES_AT_ONCE, consoles, explain, is_gone, is_news};
use super::pace::{Pace, Sightings};
use super::passing;
use super::router::stop_if_failed;
use crate::failure::{FailedMachine, Failure, MachineFailure, Result};
use cloud::{Deadline, Instance, InstanceId, Interrupted};
use domain::console::{self, Refusal};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// A worker that is to register.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) id: InstanceId,
    /// None while the cloud has not said it.
    pub(crate) ip: Option<IpAddr>,
    /// Engine processes on it; it is registered when the router routes to all of them.
    pub(crate) engines: usize,
    /// Launched or restarted by this very operation: an engine that was registered before it is not its
    /// own. One that is adopted from an operation that died may have registered already.
    pub(crate) is_fresh: bool,
}

/// Waits until each of the workers has registered or has failed; answers those that failed, and
/// whether any has registered.
pub(crate) async fn workers(
    deadline: &Deadline,
    router: &RouterAccess,
    group: &str,
    workers: &[Worker],
    before: &BTreeSet<String>,
) -> Result<(Vec<FailedMachine>, bool)> {
    let mut watch = Watch {
        deadline: deadline.clone(),
        router: router.clone(),
        before,
        pace: Pace::new(&*router.cloud).tight(),
        waiting: workers.iter().cloned().map(|worker| (worker, Sightings::default())).collect(),
        unread: Vec::new(),
        router_answers: false,
        blocked_since: BTreeMap::new(),
        refused: BTreeMap::new(),
        latest_list: None,
        failed: Vec::new(),
    };
    loop {
        let looked = deadline.checked(watch.look()).await;
        let (seen, next) = match (looked, deadline.ended()) {
            (Ok(seen), None) => (passing(seen)?, Ok(())),
            (Ok(Ok(())), Some(why)) => (Ok(()), Err(why)),
            // The time was over in the middle of a look, and a verdict takes a whole one.
            (_, Some(Interrupted::Deadline)) => {
                watch.go_on_within(last_look(deadline));
                (passing(watch.look().await)?, Err(Interrupted::Deadline))
            }
            (_, why) => (Err(LOOK_CUT.to_owned()), Err(why.unwrap_or(Interrupted::Deadline))),
        };
        if watch.waiting.is_empty() {
            break;
        }
        let next = match next {
            Ok(()) => watch.pace.next(deadline).await,
            interrupted => interrupted,
        };
        match (next, seen) {
            (Ok(()), _) => {}
            (Err(Interrupted::Deadline), Ok(())) => {
                watch.go_on_within(last_look(deadline));
                watch.give_up().await;
                break;
            }
            // Who cannot look may not judge.
            (Err(why), seen) => {
                let left = watch.waiting.len();
                let seen = seen.err().map(|error| format!("; {error}")).unwrap_or_default();
                return Err(Failure::Interrupted {
                    waiting_for: format!("the workers of {group}"),
                    seen: format!("{left} of {} not registered{seen}", workers.len()),
                    why,
                    kept: true,
                });
            }
        }
    }
    let any_registered = watch.failed.len() < workers.len();
    explain(&*watch.router.cloud, &router.fleet, &mut watch.failed).await;
    Ok((watch.failed, any_registered))
}

/// Those of the machines whose boot says that it has failed.
pub(crate) async fn failed(
    router: &RouterAccess,
    machines: Vec<Instance>,
) -> Result<Vec<Instance>> {
    let ids: Vec<InstanceId> = machines.iter().map(|machine| machine.id.clone()).collect();
    let mut failed = Vec::new();
    for (machine, console) in
        machines.into_iter().zip(consoles(&*router.cloud, &router.fleet, &ids).await)
    {
        if console::failure(&console?).is_some() {
            failed.push(machine);
        }
    }
    Ok(failed)
}

struct Watch<'a> {
    deadline: Deadline,
    router: RouterAccess,
    before: &'a BTreeSet<String>,
    pace: Pace,
    waiting: Vec<(Worker, Sightings)>,
    /// Those whose consoles are to be read next.
    unread: Vec<InstanceId>,
    /// The router itself, and not its console, has answered the latest look.
    router_answers: bool,
    /// Those that said on their console that the router does not let them in, while it answered; since when.
    blocked_since: BTreeMap<InstanceId, Instant>,
    /// Those whose engines the router has refused, as it said last; since when.
    refused: BTreeMap<InstanceId, (Instant, Refusal)>,
    latest_list: Option<Arc<Vec<Instance>>>,
    failed: Vec<FailedMachine>,
}

impl Watch<'_> {
    /// Whatever is looked at from now on belongs to this frame.
    fn go_on_within(&mut self, deadline: Deadline) {
        self.router = self.router.within(&deadline);
        self.deadline = deadline;
    }

    /// One round: registered ones and failed ones wait no longer.
    async fn look(&mut self) -> Result<()> {
        let router = &self.router.clone();
        let observed = router.observations.recent(&self.deadline, router).await;
        let seen = observed.registrations(router).await?;
        self.router_answers = seen.is_from_router();
        let (all, fresh) = (seen.per_address(&BTreeSet::new()), seen.per_address(self.before));
        let is_registered = |worker: &Worker| {
            let registered = if worker.is_fresh { &fresh } else { &all };
            let count = worker.ip.and_then(|ip| registered.get(&ip).copied());
            count.is_some_and(|count| count >= worker.engines)
        };
        self.waiting.retain(|(worker, _)| !is_registered(worker));
        self.find_refused(&seen.refused());
        if self.waiting.is_empty() {
            return Ok(());
        }
        let knows_not_where = self.waiting.iter().any(|(worker, _)| worker.ip.is_none());
        let listed = match self.pace.lists_due() || knows_not_where {
            true => {
                Some(router.listings.recent(&self.deadline, &*router.cloud, &router.fleet).await?)
            }
            false => None,
        };
        if let Some(listed) = &listed
            && is_news(&mut self.latest_list, listed)
        {
            self.find_gone(listed);
        }
        let listed = listed.as_deref().map(Vec::as_slice);
        let has_read = self.read_consoles().await?;
        if all.is_empty() && !self.waiting.is_empty() && (listed.is_some() || has_read) {
            stop_if_failed(router, &observed, &self.pace, listed).await?;
        }
        Ok(())
    }

    /// Those that the router does not want wait no longer, after a moment in which others may have left.
    fn find_refused(&mut self, refused: &BTreeMap<IpAddr, Refusal>) {
        let now = Instant::now();
        for (worker, sightings) in std::mem::take(&mut self.waiting) {
            let Some(refusal) = worker.ip.and_then(|ip| refused.get(&ip)) else {
                self.refused.remove(&worker.id);
                self.waiting.push((worker, sightings));
                continue;
            };
            let since = self.refused.get(&worker.id).map_or(now, |(since, _)| *since);
            if now - since >= REFUSED {
                let reason = MachineFailure::Refused(refusal.clone());
                self.failed.push(FailedMachine::new(&worker.id, worker.ip, reason));
            } else {
                self.refused.insert(worker.id.clone(), (since, refusal.clone()));
                self.waiting.push((worker, sightings));
            }
        }
    }

    /// Those that the cloud has no longer, or stopped, wait no longer.
    fn find_gone(&mut self, listed: &[Instance]) {
        for (mut worker, mut sightings) in std::mem::take(&mut self.waiting) {
            let found = listed.iter().find(|found| found.id == worker.id);
            sightings.add(found.is_some());
            if is_gone(found, sightings, &self.pace) {
                self.failed.push(FailedMachine::gone(&worker.id, worker.ip));
            } else {
                worker.ip = found.and_then(|found| found.ip).or(worker.ip);
                self.waiting.push((worker, sightings));
            }
        }
    }

    /// Those whose console says that their boot has failed wait no longer. A few consoles in each look,
    /// at once: a hundred would hold up the wait, and use up what calls an account may make. Answers
    /// whether any was read.
    async fn read_consoles(&mut self) -> Result<bool> {
        if self.unread.is_empty() && self.pace.consoles_due() {
            self.unread = self.waiting.iter().map(|(worker, _)| worker.id.clone()).collect();
        }
        let count = self.unread.len().min(CONSOLES_AT_ONCE);
        let now: Vec<InstanceId> = self.unread.drain(..count).collect();
        let consoles = consoles(&*self.router.cloud, &self.router.fleet, &now).await;
        for (id, console) in now.iter().zip(consoles) {
            let console = match passing(console)? {
                Ok(console) => console,
                // Too many calls, or an outage: the next look reads it.
                Err(_) => {
                    self.unread.push(id.clone());
                    continue;
                }
            };
            let failure = console::failure(&console).map(MachineFailure::Reported);
            let Some(reason) = failure.or_else(|| self.unreachable_router(id, &console)) else {
                continue;
            };
            let is_it = |(worker, _): &mut (Worker, Sightings)| worker.id == *id;
            for (worker, _) in self.waiting.extract_if(.., is_it) {
                self.failed.push(FailedMachine::new(&worker.id, worker.ip, reason.clone()));
            }
        }
        Ok(!now.is_empty())
    }

    /// A worker whose router answers, and does not let it in for longer than a console may lag behind.
    fn unreachable_router(&mut self, id: &InstanceId, console: &str) -> Option<MachineFailure> {
        let state = console::latest_state(console);
        let port = state.as_ref().and_then(console::MachineState::waiting_for);
        let (Some(port), true) = (port, self.router_answers) else {
            self.blocked_since.remove(id);
            return None;
        };
        let since = *self.blocked_since.entry(id.clone()).or_insert_with(Instant::now);
        (since.elapsed() >= BLOCKED).then(|| MachineFailure::RouterUnreachable(port.to_owned()))
    }

    /// The time is over: whoever has not registered has failed, and the end of its console is what
    /// is known of it.
    async fn give_up(&mut self) {
        let mut silent = Vec::new();
        for (worker, _) in std::mem::take(&mut self.waiting) {
            match self.refused.remove(&worker.id) {
                Some((_, refusal)) => {
                    let reason = MachineFailure::Refused(refusal);
                    self.failed.push(FailedMachine::new(&worker.id, worker.ip, reason));
                }
                None => silent.push(worker),
            }
        }
        let ids: Vec<InstanceId> = silent.iter().map(|worker| worker.id.clone()).collect();
        let consoles = consoles(&*self.router.cloud, &self.router.fleet, &ids).await;
        for (worker, console) in silent.iter().zip(consoles) {
            let (state, lines) = match console {
                Ok(console) => {
                    let lines: Vec<String> = console.lines().map(console::plain).collect();
                    (console::latest_state(&console), lines)
                }
                Err(Failure::Cloud { error, .. }) => {
                    (None, vec![format!("(it cannot be read: {error})")])
                }
                Err(_) => (None, vec!["(it cannot be read)".to_owned()]),
            };
            let lines = lines[lines.len().saturating_sub(LAST_LINES)..].to_vec();
            let reason = MachineFailure::Silent { state, lines };
            self.failed.push(FailedMachine::new(&worker.id, worker.ip, reason));
        }
    }
}

const LOOK_CUT: &str = "the last look did not end";

/// A router that came up later than its worker, or was away, lets it in within this time.
const BLOCKED: Duration = Duration::from_secs(60);

/// A router that refuses a worker takes it when the others that it has accepted leave within this time.
const REFUSED: Duration = Duration::from_secs(10);

/// Lines of a silent machine's console that are shown.
const LAST_LINES: usize = 30;
