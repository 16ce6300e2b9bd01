//! Everything of a service goes: machines first, then the rule, then the address.

use super::find::{FoundService, all, find_by_id};
use crate::error::{Doing, Failure, Result};
use crate::readiness::{self, Pace};
use crate::session::{FleetView, Session, key};
use cloud::{Address, Cloud, ErrorKind, Ingress, Instance, InstanceId, TagFilter, Tags, tag};
use domain::id::{FleetId, ServiceId};
use plugin::Ctx;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Removes what creations that died have left in a fleet that is to go: no state has it, so nobody
/// else would.
pub(crate) async fn remove_nobodys(session: &Session, ctx: &Ctx, fleet: &FleetId) -> Result<()> {
    session.forget(fleet);
    let view = session.view(ctx, fleet).await?;
    for id in all(&view, fleet) {
        if find_by_id(&view, &id).is_nobodys() {
            remove(session, ctx, &id).await?;
        }
    }
    Ok(())
}

/// Services in a fleet that no state has and that cost something: what was made → finding.
pub(crate) fn nobodys(view: &FleetView, fleet: &FleetId) -> BTreeMap<String, String> {
    let mut nobodys = BTreeMap::new();
    for id in all(view, fleet) {
        let found = find_by_id(view, &id);
        if let Some(router) = found.router.as_ref().filter(|_| found.is_nobodys()) {
            let object = format!("router {} of service {}", router.id, id.tag_value());
            nobodys.insert(object, finding_of_nobodys());
        }
    }
    nobodys
}

/// What is to be said of a machine that no state has.
pub(super) fn finding_of_nobodys() -> String {
    format!(
        "launched by a creation that died or goes on elsewhere; in no state, and removed when it is {} hours \
         old",
        OLDEST_CREATION.as_secs() / 3600
    )
}

/// Removes those of them that no creation can go on with any more.
pub(crate) async fn remove_old_nobodys(
    session: &Session,
    ctx: &Ctx,
    fleet: &FleetId,
) -> Result<()> {
    let view = session.view(ctx, fleet).await?;
    for id in all(&view, fleet) {
        let found = find_by_id(&view, &id);
        if found.is_nobodys() && found.router.as_ref().is_some_and(is_old) {
            remove(session, ctx, &id).await?;
        }
    }
    Ok(())
}

fn is_old(machine: &Instance) -> bool {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_secs(machine.launched_at)) > OLDEST_CREATION
}

/// After that time no creation goes on any more: what is in no state then never will be.
const OLDEST_CREATION: Duration = Duration::from_secs(2 * 60 * 60);

/// Removes workers that a creation which died has left, and that no creation can adopt any more: the
/// group may be gone from the configuration.
pub(super) async fn remove_nobodys_workers(
    cloud: &dyn Cloud,
    id: &ServiceId,
    found: &FoundService,
) -> Result<()> {
    let old = found.nobodys_workers().filter(|worker| is_old(worker));
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
pub(super) async fn remove(session: &Session, ctx: &Ctx, id: &ServiceId) -> Result<()> {
    let fleet = key(&id.fleet);
    let cloud = session.cloud(ctx, id.fleet.cloud).await?;
    session.forget(&id.fleet);
    let tag = id.tag_value();
    let ours = |tags: &Tags| tags.get(tag::SERVICE) == Some(&tag);
    let view = session.view(ctx, &id.fleet).await?;
    let router = find_by_id(&view, id).router.map(|router| router.id);
    let is_ours = |instance: &Instance| {
        ours(&instance.tags) || router.as_ref().is_some_and(|router| *router == instance.id)
    };
    let ids = |instances: &[Instance]| -> Vec<InstanceId> {
        let ours = instances.iter().filter(|instance| is_ours(instance));
        ours.map(|instance| instance.id.clone()).collect()
    };
    let begun = Instant::now();
    let mut machines = ids(&view.instances);
    loop {
        if !machines.is_empty() {
            cloud
                .terminate_instances(&fleet, &machines)
                .await
                .doing(id.fleet.cloud, || format!("terminate the machines of service {id}"))?;
            let what = format!("the machines of service {id}");
            let is_meant = |instance: &Instance| machines.contains(&instance.id);
            readiness::gone(ctx, &*cloud, &fleet, &what, is_meant).await?;
        }
        machines = ids(&sweep(ctx, &*cloud, id, begun).await?);
        if machines.is_empty() {
            break;
        }
    }
    let closed = Ingress { service: tag.clone(), port: 0, cidrs: Vec::new() };
    if view.ingress(&tag).is_some() {
        cloud
            .set_ingress(&fleet, &closed)
            .await
            .doing(id.fleet.cloud, || format!("close the port of service {id}"))?;
    }
    for address in view.addresses.iter().filter(|address| ours(&address.tags)) {
        release(ctx, &*cloud, id, address).await?;
    }
    session.forget(&id.fleet);
    Ok(())
}

/// A machine that is gone may hold its address for a while.
async fn release(ctx: &Ctx, cloud: &dyn Cloud, id: &ServiceId, address: &Address) -> Result<()> {
    let (begun, pace) = (Instant::now(), Pace::new(cloud));
    loop {
        match cloud.release_address(&key(&id.fleet), &address.id).await {
            Err(error)
                if error.kind == ErrorKind::InUse
                    && pace.lags()
                    && begun.elapsed() < LONGEST_HOLD =>
            {
                pace.next(ctx).await.map_err(|why| Failure::Interrupted {
                    waiting_for: format!("the address {} of service {id} to be free", address.ip),
                    seen: error.to_string(),
                    why,
                    kept: true,
                })?;
            }
            released => {
                let doing = || format!("release address {} of service {id}", address.ip);
                return released.doing(id.fleet.cloud, doing);
            }
        }
    }
}

/// How long an address is waited for that something holds.
const LONGEST_HOLD: Duration = Duration::from_secs(120);

/// Looks once more for machines of a service, later: one that was launched a moment before the first look
/// may have been too new to be listed.
async fn sweep(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    id: &ServiceId,
    begun: Instant,
) -> Result<Vec<Instance>> {
    if Pace::new(cloud).lags() {
        let rest = SWEEP_AFTER.saturating_sub(begun.elapsed());
        ctx.checked(tokio::time::sleep(rest)).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("what may be left of service {id} to be listed"),
            seen: "nothing is listed".to_owned(),
            why,
            kept: true,
        })?;
    }
    let of_service = TagFilter::all().and(tag::SERVICE, id.tag_value());
    let left = cloud.list_instances(&key(&id.fleet), &of_service).await;
    left.doing(id.fleet.cloud, || format!("see what is left of service {id}"))
}

/// A machine is listed by then, as a rule.
const SWEEP_AFTER: Duration = Duration::from_secs(2);
