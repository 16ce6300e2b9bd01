//! The router: is it healthy, and who is registered with it.

use super::access::{Restarted, RouterAccess};
use super::machines::{console, explain, list};
use super::observed::Observed;
use super::pace::{Pace, Sightings};
use super::passing;
use crate::failure::{FailedMachine, Failure, Fate, MachineFailure, Result};
use crate::poll::Poll;
use cloud::{Cloud, Deadline, FleetKey, Instance, InstanceId};
use domain::console::Refusal;
use domain::{console, registration};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Waits until the router serves.
pub(crate) async fn router(deadline: &Deadline, router: &RouterAccess) -> Result<()> {
    let pace = Pace::new(&*router.cloud).tight();
    let mut poll = Poll::new(deadline, pace, format!("the router at {}", router.ip));
    let mut sightings = Sightings::default();
    loop {
        let is_listed = poll.pace.lists_due();
        let seen = match passing(look_and_list(router, is_listed).await)? {
            Ok(Look::Ready) => return Ok(()),
            Ok(Look::Failed(reason)) => return Err(failed(router, "the router", reason).await),
            Ok(Look::Absent) => {
                sightings.add(false);
                if poll.pace.absence_counts(sightings) {
                    return Err(failed(router, "the router", MachineFailure::Gone(None)).await);
                }
                "the cloud does not list its machine yet".to_owned()
            }
            Ok(Look::NotYet(seen)) => {
                if is_listed {
                    sightings.add(true);
                }
                seen
            }
            Err(seen) => seen,
        };
        poll.again(seen).await?;
    }
}

/// The boot that a machine's console tells of last.
pub(crate) async fn latest_boot(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &InstanceId,
) -> Result<Option<String>> {
    let console = console(cloud, fleet, id).await?;
    Ok(console::latest_state(&console).map(|state| state.boot))
}

/// Instances that the router lists now, by their ids in Dynamo: what was registered before a
/// launch proves nothing about it, also when an address is used again.
pub(crate) async fn registrations(router: &RouterAccess) -> BTreeSet<String> {
    Observed::now(router).await.instance_ids().into_iter().collect()
}

/// The addresses that have an engine to which the router sends requests; none where neither the router nor
/// its console tells.
pub(crate) async fn registered_addresses(
    router: &RouterAccess,
) -> Result<Option<BTreeSet<IpAddr>>> {
    addresses(Observed::now(router).await.registrations(router).await?)
}

/// The same, as whoever waits side by side has seen it a moment ago.
pub(crate) async fn recently_registered(
    deadline: &Deadline,
    router: &RouterAccess,
) -> Result<Option<BTreeSet<IpAddr>>> {
    let seen = router.observations.recent(deadline, router).await;
    addresses(seen.registrations(router).await?)
}

fn addresses(seen: Registrations) -> Result<Option<BTreeSet<IpAddr>>> {
    let addresses: BTreeSet<IpAddr> = seen.per_address(&BTreeSet::new()).into_keys().collect();
    // A console that names nobody may only lag behind: in doubt they serve.
    let tells = matches!(seen, Registrations::Health(_)) || !addresses.is_empty();
    Ok(tells.then_some(addresses))
}

/// The addresses with engines that the router has refused.
pub(crate) async fn refusals(router: &RouterAccess) -> Result<BTreeMap<IpAddr, Refusal>> {
    Ok(Observed::now(router).await.registrations(router).await?.refused())
}

/// The same, where the router answers by itself, and none where it does not.
pub(crate) async fn refusals_of_itself(router: &RouterAccess) -> BTreeMap<IpAddr, Refusal> {
    let seen = Observed::now(router).await;
    if !seen.answers {
        return BTreeMap::new();
    }
    seen.registrations(router).await.map(|seen| seen.refused()).unwrap_or_default()
}

/// One look at who is registered, and gets requests.
pub(crate) enum Registrations {
    /// From the router itself, which sends requests to all of them.
    Health(registration::Health),
    /// From its console, a little later: it counts engines and does not tell them apart.
    Console {
        workers: BTreeMap<IpAddr, usize>,
        refused: BTreeMap<IpAddr, Refusal>,
        /// Whether the router itself answers too, with more engines than it routes to; only on its console
        /// it says which.
        answers: bool,
    },
}

impl Registrations {
    /// Whether the router itself was asked, and is healthy.
    pub(crate) fn is_from_router(&self) -> bool {
        matches!(self, Self::Health(_) | Self::Console { answers: true, .. })
    }

    /// The addresses with engines that the router has refused.
    pub(crate) fn refused(&self) -> BTreeMap<IpAddr, Refusal> {
        match self {
            Self::Health(_) => BTreeMap::new(),
            Self::Console { refused, .. } => refused.clone(),
        }
    }

    /// Engines per address, without those whose ids are in `before`.
    pub(crate) fn per_address(&self, before: &BTreeSet<String>) -> BTreeMap<IpAddr, usize> {
        match self {
            Self::Health(health) => health.per_address(before),
            Self::Console { workers, .. } => workers.clone(),
        }
    }
}

/// Ends at once what workers would be launched for in vain: a router that is gone or has failed, as far
/// as it shows in what the cloud has just listed.
pub(crate) async fn refuse_if_failed(router: &RouterAccess, listed: &[Instance]) -> Result<()> {
    let seen = Observed::now(router).await;
    stop_if_failed(router, &seen, &Pace::new(&*router.cloud), Some(listed)).await
}

/// What a router is doing that is not ready, as far as it shows in what the cloud has just listed.
pub(crate) async fn seen_unready(
    router: &RouterAccess,
    listed: &[Instance],
) -> Result<Option<String>> {
    let seen = Observed::now(router).await;
    Ok(match look(router, &seen, Some(listed)).await? {
        Look::Ready => None,
        Look::NotYet(seen) => Some(seen),
        Look::Absent => Some("the cloud does not list its machine".to_owned()),
        Look::Failed(reason) => return Err(failed(router, "the router", reason).await),
    })
}

/// Ends a wait for workers whose router will never serve them. `listed` is what the cloud lists, where
/// it has just been asked.
pub(crate) async fn stop_if_failed(
    router: &RouterAccess,
    seen: &Observed,
    pace: &Pace,
    listed: Option<&[Instance]>,
) -> Result<()> {
    let what = "the router, which the workers wait for,";
    // One that is listed, and is not up, has been up, as it is for workers.
    let is_down = || listed.is_some_and(|all| all.iter().any(|one| one.id == router.instance));
    match look(router, seen, listed).await? {
        Look::Failed(reason) => Err(failed(router, what, reason).await),
        Look::Absent if is_down() || pace.absence_counts(Sightings::default()) => {
            Err(failed(router, what, MachineFailure::Gone(None)).await)
        }
        Look::Ready | Look::NotYet(_) | Look::Absent => Ok(()),
    }
}

/// What a look at a router tells.
#[derive(Debug)]
enum Look {
    Ready,
    NotYet(String),
    /// The cloud does not list its machine.
    Absent,
    Failed(MachineFailure),
}

async fn look_and_list(router: &RouterAccess, is_listed: bool) -> Result<Look> {
    let seen = Observed::now(router).await;
    if !is_listed || (router.restarted.is_none() && seen.answers) {
        return look(router, &seen, None).await;
    }
    let listed = list(&*router.cloud, &router.fleet, || "watch the router".to_owned()).await?;
    look(router, &seen, Some(&listed)).await
}

/// Whether it answers from here.
pub(crate) async fn answers(router: &RouterAccess) -> bool {
    Observed::now(router).await.answers
}

async fn look(router: &RouterAccess, seen: &Observed, listed: Option<&[Instance]>) -> Result<Look> {
    if seen.answers && router.restarted.is_none() {
        return Ok(Look::Ready);
    }
    let found = listed.map(|all| all.iter().find(|found| found.id == router.instance));
    let machine = match found {
        None => "machine".to_owned(),
        Some(Some(instance)) if instance.state.is_up() => format!("machine {}", instance.state),
        Some(_) => return Ok(Look::Absent),
    };
    let console = seen.console(router).await?;
    let state = console::latest_state(console);
    if let Some(Restarted { past_boot }) = &router.restarted
        && state.as_ref().map(|state| &state.boot) == past_boot.as_ref()
    {
        return Ok(Look::NotYet(format!("{machine}, not booted again yet")));
    }
    if seen.answers {
        return Ok(Look::Ready);
    }
    if let Some(failure) = console::failure(console) {
        return Ok(Look::Failed(MachineFailure::Reported(failure)));
    }
    Ok(match state {
        Some(state) if state.is_ready() => Look::Ready,
        Some(state) => Look::NotYet(format!("{machine}, {state}")),
        None => Look::NotYet(format!("{machine}, nothing on its console yet")),
    })
}

async fn failed(router: &RouterAccess, what: &str, reason: MachineFailure) -> Failure {
    let mut machines = vec![FailedMachine::new(&router.instance, Some(router.ip), reason)];
    explain(&*router.cloud, &router.fleet, &mut machines).await;
    Failure::Boot { what: what.to_owned(), machines, fate: Fate::Untouched }
}
