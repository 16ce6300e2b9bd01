//! Everything of a service goes: machines first, then the rule, then the address.

use super::find::{FoundService, all, find_by_id};
use crate::error::{Doing, Result};
use crate::readiness;
use crate::session::{Session, key};
use cloud::{Cloud, Ingress, Instance, InstanceId, TagFilter, Tags, tag};
use domain::id::{FleetId, ServiceId};
use plugin::Ctx;
use std::time::{Duration, SystemTime};

/// Removes what creations that died have left in a fleet that is to go: no state has it, so nobody
/// else would.
pub(crate) async fn remove_nobodys(session: &Session, ctx: &Ctx, fleet: &FleetId) -> Result<()> {
    session.forget(fleet);
    let view = session.view(fleet).await?;
    for id in all(&view, fleet) {
        if find_by_id(&view, &id).is_nobodys() {
            remove(session, ctx, &id).await?;
        }
    }
    Ok(())
}

/// After that time no creation goes on any more: what is in no state then never will be.
pub(super) const OLDEST_CREATION: Duration = Duration::from_secs(2 * 60 * 60);

/// Removes workers that a creation which died has left, and that no creation can adopt any more: the
/// group may be gone from the configuration.
pub(super) async fn remove_nobodys_workers(
    cloud: &dyn Cloud,
    id: &ServiceId,
    found: &FoundService,
) -> Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let is_old = |worker: &&Instance| {
        now.saturating_sub(Duration::from_secs(worker.launched_at)) > OLDEST_CREATION
    };
    let old: Vec<_> =
        found.nobodys_workers().filter(is_old).map(|worker| worker.id.clone()).collect();
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
    let cloud = session.cloud(id.fleet.cloud).await?;
    session.forget(&id.fleet);
    let tag = id.tag_value();
    let ours = |tags: &Tags| tags.get(tag::SERVICE) == Some(&tag);
    let view = session.view(&id.fleet).await?;
    let router = find_by_id(&view, id).router.map(|router| router.id);
    let is_ours = |instance: &Instance| {
        ours(&instance.tags) || router.as_ref().is_some_and(|router| *router == instance.id)
    };
    let ids = |instances: &[Instance]| -> Vec<InstanceId> {
        let ours = instances.iter().filter(|instance| is_ours(instance));
        ours.map(|instance| instance.id.clone()).collect()
    };
    let of_service = TagFilter::all().and(tag::SERVICE, tag.as_str());
    let mut machines = ids(&view.instances);
    while !machines.is_empty() {
        cloud
            .terminate_instances(&fleet, &machines)
            .await
            .doing(id.fleet.cloud, || format!("terminate the machines of service {id}"))?;
        let what = format!("the machines of service {id}");
        let is_meant = |instance: &Instance| machines.contains(&instance.id);
        readiness::gone(ctx, &*cloud, &fleet, &what, is_meant).await?;
        // A machine may have been too new to be listed before.
        let left = cloud.list_instances(&fleet, &of_service).await;
        machines = ids(&left.doing(id.fleet.cloud, || format!("see what is left of {id}"))?);
    }
    let closed = Ingress { service: tag.clone(), port: 0, cidrs: Vec::new() };
    if view.ingress(&tag).is_some() {
        cloud
            .set_ingress(&fleet, &closed)
            .await
            .doing(id.fleet.cloud, || format!("close the port of service {id}"))?;
    }
    for address in view.addresses.iter().filter(|address| ours(&address.tags)) {
        cloud
            .release_address(&fleet, &address.id)
            .await
            .doing(id.fleet.cloud, || format!("release address {} of service {id}", address.ip))?;
    }
    session.forget(&id.fleet);
    Ok(())
}
