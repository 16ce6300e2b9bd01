//! The router: is it healthy, and who is registered with it.

use super::access::{Restarted, RouterAccess};
use super::machines::{console, explain, list};
use super::observations::Observed;
use super::pace::{Pace, Sightings};
use super::passing;
use crate::failure::{FailedMachine, Failure, Fate, MachineFailure, Result};
use crate::poll::Poll;
use cloud::{Cloud, Deadline, FleetKey, Instance, InstanceId};
use domain::console;
use domain::console::Refusal;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Waits until the router serves.
pub(crate) async fn router(deadline: &Deadline, router: &RouterAccess) -> Result<()> {
    let pace = Pace::new(&*router.cloud).tight();
    let mut poll = Poll::new(deadline, pace, format!("the router at {}", router.ip));
    let mut sightings = Sightings::default();
    loop {
        let is_listed = poll.pace.lists_due();
        let seen = match passing(observe(router, is_listed).await)? {
            Ok(Verdict::Ready) => return Ok(()),
            Ok(Verdict::Failed(reason)) => return Err(failed(router, "the router", reason).await),
            Ok(Verdict::Absent) => {
                sightings.add(false);
                if poll.pace.absence_counts(sightings) {
                    return Err(failed(router, "the router", MachineFailure::Gone(None)).await);
                }
                "the cloud does not list its machine yet".to_owned()
            }
            Ok(Verdict::NotYet(seen)) => {
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

/// Whether the boot of a machine has failed for good, as its console says.
pub(crate) async fn boot_has_failed(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &InstanceId,
) -> Result<bool> {
    let console = console(cloud, fleet, id).await?;
    Ok(console::failure(&console).is_some())
}

/// Instances that the router lists now, by their ids in Dynamo: what was registered before a
/// launch proves nothing about it, also when an address is used again.
pub(crate) async fn registrations(router: &RouterAccess) -> BTreeSet<String> {
    Observed::now(router).await.instance_ids()
}

/// The addresses that have an engine to which the router sends requests; none where neither the router nor
/// its console tells.
pub(crate) async fn registered_addresses(
    router: &RouterAccess,
) -> Result<Option<BTreeSet<IpAddr>>> {
    Ok(Observed::now(router).await.registrations(router).await?.addresses())
}

/// The same, as whoever waits side by side has seen it a moment ago.
pub(crate) async fn recently_registered(
    deadline: &Deadline,
    router: &RouterAccess,
) -> Result<Option<BTreeSet<IpAddr>>> {
    let seen = Observed::recent(deadline, router).await?;
    Ok(seen.registrations(router).await?.addresses())
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

/// Ends at once where workers would be launched for nothing: for a router that is gone or has failed, as far as
/// that shows in what the cloud has just listed.
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
    Ok(match judge(router, &seen, Some(listed)).await? {
        Verdict::Ready => None,
        Verdict::NotYet(seen) => Some(seen),
        Verdict::Absent => Some("the cloud does not list its machine".to_owned()),
        Verdict::Failed(reason) => return Err(failed(router, "the router", reason).await),
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
    match judge(router, seen, listed).await? {
        Verdict::Failed(reason) => Err(failed(router, what, reason).await),
        Verdict::Absent if is_down() || pace.absence_counts(Sightings::default()) => {
            Err(failed(router, what, MachineFailure::Gone(None)).await)
        }
        Verdict::Ready | Verdict::NotYet(_) | Verdict::Absent => Ok(()),
    }
}

/// What is seen of a router in one round.
#[derive(Debug)]
enum Verdict {
    Ready,
    NotYet(String),
    /// The cloud does not list its machine.
    Absent,
    Failed(MachineFailure),
}

async fn observe(router: &RouterAccess, is_listed: bool) -> Result<Verdict> {
    let seen = Observed::now(router).await;
    if !is_listed || (router.restarted.is_none() && seen.answers) {
        return judge(router, &seen, None).await;
    }
    let listed = list(&*router.cloud, &router.fleet, || "watch the router".to_owned()).await?;
    judge(router, &seen, Some(&listed)).await
}

/// Whether it answers from here.
pub(crate) async fn answers(router: &RouterAccess) -> bool {
    Observed::now(router).await.answers
}

async fn judge(
    router: &RouterAccess,
    seen: &Observed,
    listed: Option<&[Instance]>,
) -> Result<Verdict> {
    if seen.answers && router.restarted.is_none() {
        return Ok(Verdict::Ready);
    }
    let found = listed.map(|all| all.iter().find(|found| found.id == router.instance));
    let machine = match found {
        None => "machine".to_owned(),
        Some(Some(instance)) if instance.state.is_up() => format!("machine {}", instance.state),
        Some(_) => return Ok(Verdict::Absent),
    };
    let console = seen.console(router).await?;
    let state = console::latest_state(console);
    if let Some(Restarted { past_boot }) = &router.restarted
        && state.as_ref().map(|state| &state.boot) == past_boot.as_ref()
    {
        return Ok(Verdict::NotYet(format!("{machine}, not booted again yet")));
    }
    if seen.answers {
        return Ok(Verdict::Ready);
    }
    if let Some(failure) = console::failure(console) {
        return Ok(Verdict::Failed(MachineFailure::Reported(failure)));
    }
    Ok(match state {
        Some(state) if state.is_ready() => Verdict::Ready,
        Some(state) => Verdict::NotYet(format!("{machine}, {state}")),
        None => Verdict::NotYet(format!("{machine}, nothing on its console yet")),
    })
}

async fn failed(router: &RouterAccess, what: &str, reason: MachineFailure) -> Failure {
    let mut machines = vec![FailedMachine::new(&router.instance, Some(router.ip), reason)];
    explain(&*router.cloud, &router.fleet, &mut machines).await;
    Failure::Boot { what: what.to_owned(), machines, fate: Fate::Untouched }
}
