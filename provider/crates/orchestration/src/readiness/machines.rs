//! Machines as the cloud sees them: listed, gone, and what their consoles say.

use super::access::RouterAccess;
use super::pace::{Pace, Sightings};
use super::passing;
use crate::failure::{Doing, FailedMachine, MachineFailure, Result};
use crate::poll::Poll;
use cloud::{Cloud, Deadline, FleetKey, Instance, InstanceId, InstanceState, LabelFilter};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Waits until the cloud no longer lists any instance that matches.
pub(crate) async fn gone(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    what: &str,
    is_meant: impl Fn(&Instance) -> bool,
) -> Result<()> {
    let mut poll = Poll::new(deadline, Pace::new(cloud), format!("the removal of {what}"));
    loop {
        let listed = list(cloud, fleet, || format!("watch the removal of {what}")).await;
        let seen = match passing(listed)? {
            Ok(listed) => {
                let left: Vec<String> = listed
                    .iter()
                    .filter(|instance| is_meant(instance))
                    .map(|instance| format!("{} is {}", instance.id, instance.state))
                    .collect();
                if left.is_empty() {
                    return Ok(());
                }
                left.join(", ")
            }
            Err(seen) => seen,
        };
        poll.again(seen).await?;
    }
}

/// Whether a machine has got as far as a cloud can tell.
pub(crate) fn is_running(state: InstanceState) -> bool {
    state == InstanceState::Running
}

/// Waits until each of these machines is in a state that is enough, or is gone; answers those that are.
pub(crate) async fn running(
    deadline: &Deadline,
    access: &RouterAccess,
    what: &str,
    machines: &[InstanceId],
    is_enough: impl Fn(InstanceState) -> bool,
) -> Result<Vec<FailedMachine>> {
    let (cloud, fleet) = (&*access.cloud, &access.fleet);
    let mut poll = Poll::new(deadline, Pace::new(cloud), format!("{what} to run"));
    let mut waiting: Vec<(InstanceId, Sightings)> =
        machines.iter().map(|id| (id.clone(), Sightings::default())).collect();
    let mut gone = Vec::new();
    let mut latest = None;
    loop {
        let seen = match passing(access.listings.recent(deadline, cloud, fleet).await)? {
            Ok(listed) => {
                if is_news(&mut latest, &listed) {
                    waiting.retain_mut(|(id, sightings)| {
                        match observe(&listed, id, sightings, &poll.pace, &is_enough) {
                            Observation::Waits => true,
                            Observation::Done => false,
                            Observation::Gone(address) => {
                                gone.push(FailedMachine::gone(id, address));
                                false
                            }
                        }
                    });
                }
                if waiting.is_empty() {
                    explain(cloud, fleet, &mut gone).await;
                    return Ok(gone);
                }
                let state = |id: &InstanceId| match listed.iter().find(|found| found.id == *id) {
                    Some(found) => format!("{id} is {}", found.state),
                    None => format!("{id} is not listed"),
                };
                waiting.iter().map(|(id, _)| state(id)).collect::<Vec<_>>().join(", ")
            }
            Err(seen) => seen,
        };
        poll.again(seen).await?;
    }
}

enum Observation {
    Waits,
    Done,
    Gone(Option<IpAddr>),
}

fn observe(
    listed: &[Instance],
    id: &InstanceId,
    sightings: &mut Sightings,
    pace: &Pace,
    is_enough: impl Fn(InstanceState) -> bool,
) -> Observation {
    let found = listed.iter().find(|found| found.id == *id);
    sightings.add(found.is_some());
    let is_leaving = found.is_some_and(|found| found.state == InstanceState::Terminating);
    if !is_leaving && found.is_some_and(|found| is_enough(found.state)) {
        Observation::Done
    } else if is_gone(found, *sightings, pace) {
        Observation::Gone(found.and_then(|found| found.ip))
    } else {
        Observation::Waits
    }
}

/// Whether a machine comes no more, by the latest list and by what lists have shown before.
pub(crate) fn is_gone(found: Option<&Instance>, sightings: Sightings, pace: &Pace) -> bool {
    match found {
        None => pace.absence_counts(sightings),
        Some(found) if found.state.is_up() => false,
        // One that was started a moment ago may still be listed as stopped.
        Some(found) => {
            found.state == InstanceState::Terminating || pace.absence_counts(Sightings::default())
        }
    }
}

/// Whether a list is another one than the latest: who asks often is given one for a while.
pub(crate) fn is_news(
    latest: &mut Option<Arc<Vec<Instance>>>,
    listed: &Arc<Vec<Instance>>,
) -> bool {
    let is_news = latest.as_ref().is_none_or(|latest| !Arc::ptr_eq(latest, listed));
    *latest = Some(Arc::clone(listed));
    is_news
}

/// Adds why the cloud has taken those that are gone, as far as it tells.
pub(crate) async fn explain(cloud: &dyn Cloud, fleet: &FleetKey, failed: &mut [FailedMachine]) {
    let is_gone = |machine: &&FailedMachine| matches!(machine.reason, MachineFailure::Gone(_));
    let ids: Vec<InstanceId> =
        failed.iter().filter(is_gone).map(|machine| InstanceId(machine.id.clone())).collect();
    if ids.is_empty() {
        return;
    }
    match cloud.why_ended(fleet, &ids).await {
        Ok(mut reasons) => {
            for FailedMachine { id, reason, .. } in failed {
                if let MachineFailure::Gone(why) = reason {
                    *why = reasons.remove(&InstanceId(id.clone()));
                }
            }
        }
        // That they are gone is what matters.
        Err(error) => tracing::warn!(%error, "why machines have ended is not known"),
    }
}

/// Everything that the cloud lists in the fleet.
pub(crate) async fn list(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    doing: impl FnOnce() -> String,
) -> Result<Vec<Instance>> {
    cloud.list_instances(fleet, &LabelFilter::all()).await.doing(cloud.name(), doing)
}

/// What a machine printed on its serial console.
pub(crate) async fn console(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &InstanceId,
) -> Result<String> {
    let console = cloud.console(fleet, id).await;
    console.map(|console| console.text).doing(cloud.name(), || format!("read the console of {id}"))
}

/// What these machines have printed: several consoles at once, and not so many that an account's calls are
/// used up.
pub(crate) async fn consoles(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    machines: &[InstanceId],
) -> Vec<Result<String>> {
    let turns = &Semaphore::new(CONSOLES_AT_ONCE);
    let each = machines.iter().map(|id| async move {
        // It is never closed.
        let _turn = turns.acquire().await;
        console(cloud, fleet, id).await
    });
    futures::future::join_all(each).await
}

/// Consoles that are read at once.
pub(crate) const CONSOLES_AT_ONCE: usize = 8;
