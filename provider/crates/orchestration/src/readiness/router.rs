//! The router: is it healthy, and who is registered with it.

use super::access::{Restarted, RouterAccess};
use super::machines::{console, explain, list};
use super::pace::{Pace, Sightings};
use super::{passing, status};
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
        let seen = match passing(observe_and_list(router, is_listed).await)? {
            Ok(Observed::Ready) => return Ok(()),
            Ok(Observed::Failed(reason)) => return Err(failed(router, "the router", reason).await),
            Ok(Observed::Absent) => {
                sightings.add(false);
                if poll.pace.absence_counts(sightings) {
                    return Err(failed(router, "the router", MachineFailure::Gone(None)).await);
                }
                "the cloud does not list its machine yet".to_owned()
            }
            Ok(Observed::NotYet(seen)) => {
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
    let health = health(router).await;
    health.iter().flat_map(|health| health.instance_ids()).collect()
}

/// The addresses that have an engine to which the router sends requests; none where neither the router nor
/// its console tells.
pub(crate) async fn registered_addresses(
    router: &RouterAccess,
) -> Result<Option<BTreeSet<IpAddr>>> {
    let seen = read_registrations(router).await?;
    let addresses: BTreeSet<IpAddr> = seen.per_address(&BTreeSet::new()).into_keys().collect();
    // A console that names nobody may only lag behind: in doubt they serve.
    let tells = matches!(seen, Registrations::Health(_)) || !addresses.is_empty();
    Ok(tells.then_some(addresses))
}

/// The addresses with engines that the router has refused.
pub(crate) async fn refusals(router: &RouterAccess) -> Result<BTreeMap<IpAddr, Refusal>> {
    Ok(read_registrations(router).await?.refused())
}

/// The same, where the router answers by itself, and none where it does not.
pub(crate) async fn refusals_of_itself(router: &RouterAccess) -> BTreeMap<IpAddr, Refusal> {
    if !answers(router).await {
        return BTreeMap::new();
    }
    refusals(router).await.unwrap_or_default()
}

/// Who is registered, and gets requests.
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

pub(crate) async fn read_registrations(router: &RouterAccess) -> Result<Registrations> {
    let health = health(router).await;
    let answers = health.is_some();
    if let Some(health) = health {
        let accepted = accepted(router).await;
        if accepted.is_none_or(|accepted| !health.exceeds(accepted)) {
            return Ok(Registrations::Health(health));
        }
    }
    let console = console(&*router.cloud, &router.fleet, &router.instance).await?;
    let state = console::latest_state(&console);
    let (workers, refused) =
        state.map(|state| (state.workers(), state.refused())).unwrap_or_default();
    Ok(Registrations::Console { workers, refused, answers })
}

/// Ends at once where workers would be launched for nothing: for a router that is gone or has failed, as far as
/// that shows in what the cloud has just listed.
pub(crate) async fn refuse_if_failed(router: &RouterAccess, listed: &[Instance]) -> Result<()> {
    stop_if_failed(router, &Pace::new(&*router.cloud), Some(listed)).await
}

/// What a router is doing that is not ready, as far as it shows in what the cloud has just listed.
pub(crate) async fn seen_unready(
    router: &RouterAccess,
    listed: &[Instance],
) -> Result<Option<String>> {
    Ok(match observe(router, Some(listed)).await? {
        Observed::Ready => None,
        Observed::NotYet(seen) => Some(seen),
        Observed::Absent => Some("the cloud does not list its machine".to_owned()),
        Observed::Failed(reason) => return Err(failed(router, "the router", reason).await),
    })
}

/// Ends a wait for workers whose router will never serve them. `listed` is what the cloud lists, where
/// it has just been asked.
pub(crate) async fn stop_if_failed(
    router: &RouterAccess,
    pace: &Pace,
    listed: Option<&[Instance]>,
) -> Result<()> {
    let what = "the router, which the workers wait for,";
    // One that is listed, and is not up, has been up, as it is for workers.
    let is_down = || listed.is_some_and(|all| all.iter().any(|one| one.id == router.instance));
    match observe(router, listed).await? {
        Observed::Failed(reason) => Err(failed(router, what, reason).await),
        Observed::Absent if is_down() || pace.absence_counts(Sightings::default()) => {
            Err(failed(router, what, MachineFailure::Gone(None)).await)
        }
        Observed::Ready | Observed::NotYet(_) | Observed::Absent => Ok(()),
    }
}

/// What is seen of a router in one round.
#[derive(Debug)]
enum Observed {
    Ready,
    NotYet(String),
    /// The cloud does not list its machine.
    Absent,
    Failed(MachineFailure),
}

async fn observe_and_list(router: &RouterAccess, is_listed: bool) -> Result<Observed> {
    if !is_listed || (router.restarted.is_none() && answers(router).await) {
        return observe(router, None).await;
    }
    let listed = list(&*router.cloud, &router.fleet, || "watch the router".to_owned()).await?;
    observe(router, Some(&listed)).await
}

/// Whether it answers from here.
pub(crate) async fn answers(router: &RouterAccess) -> bool {
    let health = router.http.get(format!("{}/health", router.endpoint));
    matches!(router.cloud.bounded(status(health)).await, Some(Ok(200)))
}

async fn observe(router: &RouterAccess, listed: Option<&[Instance]>) -> Result<Observed> {
    let answers = answers(router).await;
    if answers && router.restarted.is_none() {
        return Ok(Observed::Ready);
    }
    let found = listed.map(|all| all.iter().find(|found| found.id == router.instance));
    let machine = match found {
        None => "machine".to_owned(),
        Some(Some(instance)) if instance.state.is_up() => format!("machine {}", instance.state),
        Some(_) => return Ok(Observed::Absent),
    };
    let console = console(&*router.cloud, &router.fleet, &router.instance).await?;
    let state = console::latest_state(&console);
    if let Some(Restarted { past_boot }) = &router.restarted
        && state.as_ref().map(|state| &state.boot) == past_boot.as_ref()
    {
        return Ok(Observed::NotYet(format!("{machine}, not booted again yet")));
    }
    if answers {
        return Ok(Observed::Ready);
    }
    if let Some(failure) = console::failure(&console) {
        return Ok(Observed::Failed(MachineFailure::Reported(failure)));
    }
    Ok(match state {
        Some(state) if state.is_ready() => Observed::Ready,
        Some(state) => Observed::NotYet(format!("{machine}, {state}")),
        None => Observed::NotYet(format!("{machine}, nothing on its console yet")),
    })
}

async fn health(router: &RouterAccess) -> Option<registration::Health> {
    let health = router.http.get(format!("{}/health", router.endpoint));
    registration::parse(&text(router, health).await?).ok()
}

/// How many engines the router routes to; none when it does not know the model, as before the first of them.
async fn accepted(router: &RouterAccess) -> Option<registration::Accepted> {
    let mut url = reqwest::Url::parse(&router.endpoint).ok()?;
    url.path_segments_mut().ok()?.extend(["v1", "models", &router.model, "ready"]);
    registration::parse_accepted(&text(router, router.http.get(url)).await?).ok()
}

/// What the router answers, if it does while the operation lasts.
async fn text(router: &RouterAccess, request: reqwest::RequestBuilder) -> Option<String> {
    let answer = async { request.send().await?.text().await };
    router.cloud.bounded(answer).await?.ok()
}

async fn failed(router: &RouterAccess, what: &str, reason: MachineFailure) -> Failure {
    let mut machines = vec![FailedMachine::new(&router.instance, Some(router.ip), reason)];
    explain(&*router.cloud, &router.fleet, &mut machines).await;
    Failure::Boot { what: what.to_owned(), machines, fate: Fate::Untouched }
}
