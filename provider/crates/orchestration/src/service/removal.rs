//! Everything of a service goes: machines first, then the rule, then the address.

use super::creations;
use super::find::{FoundService, all, find_by_id};
use crate::failure::{Doing, Failure, Result};
use crate::orchestrator::Orchestrator;
use crate::poll::Poll;
use crate::readiness::{self, Pace};
use crate::snapshot::{Freshness, Snapshot, key};
use cloud::{
    Address, Cloud, Deadline, ErrorKind, Ingress, Instance, InstanceId, LabelFilter, Tags, tag,
};
use domain::finding::{Deviation, Finding, Subject};
use domain::id::{FleetId, ServiceId};
use tokio::time::Instant;

/// Removes what creations that died have left in a fleet that is to go: no state has it, so nobody
/// else would.
pub(crate) async fn remove_unowned(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    fleet: &FleetId,
) -> Result<()> {
    let snapshot = orchestrator.snapshot(deadline, fleet, Freshness::New).await?;
    for id in all(&snapshot, fleet) {
        if find_by_id(&snapshot, &id).is_unowned() {
            remove(orchestrator, deadline, &id).await?;
        }
    }
    Ok(())
}

/// Routers in a fleet of services that nobody has in a record.
pub fn unowned(snapshot: &Snapshot, fleet: &FleetId) -> Vec<Finding> {
    let mut unowned = Vec::new();
    for id in all(snapshot, fleet) {
        let found = find_by_id(snapshot, &id);
        if let Some(router) = found.router.as_ref().filter(|_| found.is_unowned()) {
            let object = Subject::RouterOf(router.id.clone(), id.short());
            unowned.push(Finding::of(object, unowned_for()));
        }
    }
    unowned
}

/// What a machine is that nobody has in a record.
pub(crate) fn unowned_for() -> Deviation {
    Deviation::Unowned(creations::USUALLY.as_secs() / 3600)
}

/// Removes those of them that no creation can go on with any more.
pub(crate) async fn remove_old_unowned(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    fleet: &FleetId,
) -> Result<()> {
    let snapshot = orchestrator.snapshot(deadline, fleet, Freshness::Any).await?;
    let now = orchestrator.cloud(deadline, fleet.cloud).await?.now();
    for id in all(&snapshot, fleet) {
        let found = find_by_id(&snapshot, &id);
        let is_old = |router| creations::is_over(found.address.as_ref(), router, now);
        if found.is_unowned() && found.router.as_ref().is_some_and(is_old) {
            remove(orchestrator, deadline, &id).await?;
        }
    }
    Ok(())
}

/// Removes workers that a creation which died has left, and that no creation can adopt any more: the
/// group may be gone from the configuration.
pub(crate) async fn remove_unowned_workers(
    cloud: &dyn Cloud,
    id: &ServiceId,
    found: &FoundService,
) -> Result<()> {
    let is_old =
        |worker: &&Instance| creations::is_over(found.address.as_ref(), worker, cloud.now());
    let old = found.unowned_workers().filter(is_old);
    let old: Vec<_> = old.map(|worker| worker.id.clone()).collect();
    if old.is_empty() {
        return Ok(());
    }
    cloud
        .terminate_instances(&key(&id.fleet), &old)
        .await
        .doing(id.fleet.cloud, || format!("remove workers of service {id} that are in no state"))
}

/// Removes router, address and rule, and what a creation of a group may have left. What is gone
/// already is no error.
pub(crate) async fn remove(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &ServiceId,
) -> Result<()> {
    let fleet = key(&id.fleet);
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    let tag = id.label();
    let ours = |tags: &Tags| tags.get(tag::SERVICE) == Some(&tag);
    let snapshot = orchestrator.snapshot(deadline, &id.fleet, Freshness::New).await?;
    let router = find_by_id(&snapshot, id).router.map(|router| router.id);
    let is_ours = |instance: &Instance| {
        ours(&instance.tags) || router.as_ref().is_some_and(|router| *router == instance.id)
    };
    let ids = |instances: &[Instance]| -> Vec<InstanceId> {
        let ours = instances.iter().filter(|instance| is_ours(instance));
        ours.map(|instance| instance.id.clone()).collect()
    };
    let begun = Instant::now();
    let mut machines = ids(&snapshot.instances);
    loop {
        if !machines.is_empty() {
            cloud
                .terminate_instances(&fleet, &machines)
                .await
                .doing(id.fleet.cloud, || format!("terminate the machines of service {id}"))?;
            let what = format!("the machines of service {id}");
            let is_meant = |instance: &Instance| machines.contains(&instance.id);
            readiness::gone(deadline, &*cloud, &fleet, &what, is_meant).await?;
        }
        machines = ids(&sweep(deadline, &*cloud, id, begun).await?);
        if machines.is_empty() {
            break;
        }
    }
    let closed = Ingress { service: tag.clone(), port: 0, cidrs: Vec::new() };
    if snapshot.ingress(&tag).is_some() {
        cloud
            .set_ingress(&fleet, &closed)
            .await
            .doing(id.fleet.cloud, || format!("close the port of service {id}"))?;
    }
    for address in snapshot.addresses.iter().filter(|address| ours(&address.tags)) {
        release(deadline, &*cloud, id, address).await?;
    }
    Ok(())
}

/// A machine that is gone may hold its address for a while.
async fn release(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    id: &ServiceId,
    address: &Address,
) -> Result<()> {
    let free = format!("the address {} of service {id} to be free", address.ip);
    let mut poll = Poll::new(deadline, Pace::new(cloud), free);
    loop {
        match cloud.release_address(&key(&id.fleet), &address.id).await {
            Err(error)
                if error.kind == ErrorKind::InUse
                    && poll.pace.waited() < cloud.profile().propagation.longest =>
            {
                poll.again(error.to_string()).await?;
            }
            released => {
                let doing = || format!("release address {} of service {id}", address.ip);
                return released.doing(id.fleet.cloud, doing);
            }
        }
    }
}

/// Looks once more for machines of a service, later: one that was launched a moment before the first look
/// may have been too new to be listed.
async fn sweep(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    id: &ServiceId,
    begun: Instant,
) -> Result<Vec<Instance>> {
    let propagation = cloud.profile().propagation;
    if propagation.is_eventual() {
        let rest = propagation.usual.saturating_sub(begun.elapsed());
        deadline.checked(tokio::time::sleep(rest)).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("what may be left of service {id} to be listed"),
            seen: "nothing is listed".to_owned(),
            why,
            kept: true,
        })?;
    }
    let of_service = LabelFilter::all().and(tag::SERVICE, id.label());
    let left = cloud.list_instances(&key(&id.fleet), &of_service).await;
    left.doing(id.fleet.cloud, || format!("see what is left of service {id}"))
}
