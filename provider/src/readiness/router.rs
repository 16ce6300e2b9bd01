//! The router: is it healthy, and who is registered with it.

use super::machines::{console, list};
use super::pace::Pace;
use super::{passing, status};
use crate::error::{FailedMachine, Failure, Fate, MachineFailure, Result};
use cloud::{Cloud, FleetKey, InstanceId};
use domain::{console, registration};
use plugin::Ctx;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// A service's router, as its watchers need it.
#[derive(Clone, Debug)]
pub(crate) struct RouterAccess {
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) http: reqwest::Client,
    pub(crate) fleet: FleetKey,
    pub(crate) instance: InstanceId,
    pub(crate) ip: IpAddr,
    /// `http://address:port`.
    pub(crate) endpoint: String,
    /// It was started or rebooted just now: what it and its console say of the boot before is past.
    pub(crate) woken: Option<Woken>,
}

/// A machine that is to boot again.
#[derive(Clone, Debug)]
pub(crate) struct Woken {
    /// The boot that its console told of last, if it had told of any.
    pub(crate) past_boot: Option<String>,
}

/// Waits until the router serves.
pub(crate) async fn router(ctx: &Ctx, router: &RouterAccess) -> Result<()> {
    let pace = Pace::new(&*router.cloud);
    let mut was_listed = false;
    loop {
        let seen = match passing(look(router).await)? {
            Ok(Look::Ready) => return Ok(()),
            Ok(Look::Failed(reason)) => return Err(failed(router, "the router", reason)),
            Ok(Look::Absent) if pace.absence_counts(was_listed) => {
                return Err(failed(router, "the router", MachineFailure::Gone));
            }
            Ok(Look::Absent) => "the cloud does not list its machine yet".to_owned(),
            Ok(Look::NotYet(seen)) => {
                was_listed = true;
                seen
            }
            Err(seen) => seen,
        };
        pace.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("the router at {}", router.ip),
            seen,
            why,
            kept: true,
        })?;
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

/// The addresses that have an engine registered now.
pub(crate) async fn registered_addresses(router: &RouterAccess) -> Result<BTreeSet<IpAddr>> {
    let seen = look_at_registrations(router).await?;
    Ok(seen.per_address(&BTreeSet::new()).into_keys().collect())
}

/// One look at who is registered.
pub(super) enum Registrations {
    /// From the router itself.
    Health(registration::Health),
    /// From its console, a little later: it counts engines and does not tell them apart.
    Console(BTreeMap<IpAddr, usize>),
}

impl Registrations {
    /// Engines per address, without those whose ids are in `before`.
    pub(super) fn per_address(&self, before: &BTreeSet<String>) -> BTreeMap<IpAddr, usize> {
        match self {
            Self::Health(health) => health.per_address(before),
            Self::Console(workers) => workers.clone(),
        }
    }
}

pub(super) async fn look_at_registrations(router: &RouterAccess) -> Result<Registrations> {
    if let Some(health) = health(router).await {
        return Ok(Registrations::Health(health));
    }
    let console = console(&*router.cloud, &router.fleet, &router.instance).await?;
    let workers = console::latest_state(&console).map(|state| state.workers());
    Ok(Registrations::Console(workers.unwrap_or_default()))
}

/// Ends at once what workers would be launched for in vain: a router that is gone or has failed.
pub(crate) async fn refuse_if_failed(router: &RouterAccess) -> Result<()> {
    stop_if_failed(router, &Pace::new(&*router.cloud), false).await
}

/// Ends a wait for workers whose router will never serve them.
pub(super) async fn stop_if_failed(
    router: &RouterAccess,
    pace: &Pace,
    was_listed: bool,
) -> Result<()> {
    let what = "the router, which the workers wait for,";
    match look(router).await? {
        Look::Failed(reason) => Err(failed(router, what, reason)),
        Look::Absent if pace.absence_counts(was_listed) => {
            Err(failed(router, what, MachineFailure::Gone))
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

async fn look(router: &RouterAccess) -> Result<Look> {
    let health = format!("{}/health", router.endpoint);
    let answers = matches!(status(router.http.get(health)).await, Ok(200));
    if answers && router.woken.is_none() {
        return Ok(Look::Ready);
    }
    let listed = list(&*router.cloud, &router.fleet, || "watch the router".to_owned()).await?;
    let found = listed.into_iter().find(|found| found.id == router.instance);
    let Some(instance) = found.filter(|found| found.state.is_up()) else {
        return Ok(Look::Absent);
    };
    let console = console(&*router.cloud, &router.fleet, &router.instance).await?;
    let state = console::latest_state(&console);
    if let Some(Woken { past_boot }) = &router.woken
        && state.as_ref().map(|state| &state.boot) == past_boot.as_ref()
    {
        return Ok(Look::NotYet(format!("machine {}, not booted again yet", instance.state)));
    }
    if answers {
        return Ok(Look::Ready);
    }
    if let Some(failure) = console::failure(&console) {
        return Ok(Look::Failed(MachineFailure::Reported(failure)));
    }
    Ok(match state {
        Some(state) if state.is_ready() => Look::Ready,
        Some(state) => Look::NotYet(format!("machine {}, {state}", instance.state)),
        None => Look::NotYet(format!("machine {}, nothing on its console yet", instance.state)),
    })
}

async fn health(router: &RouterAccess) -> Option<registration::Health> {
    let answer = router.http.get(format!("{}/health", router.endpoint)).send().await.ok()?;
    registration::parse(&answer.text().await.ok()?).ok()
}

fn failed(router: &RouterAccess, what: &str, reason: MachineFailure) -> Failure {
    Failure::Boot {
        what: what.to_owned(),
        machines: vec![FailedMachine {
            id: router.instance.to_string(),
            address: router.ip.to_string(),
            reason,
        }],
        fate: Fate::Untouched,
    }
}
