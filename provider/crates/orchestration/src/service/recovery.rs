//! A service's router is brought back: at its address, under its name, with its tags and its settings.
//! What cannot be without another router is an error, because workers hold connections to this one.

use super::address::address_gone;
use super::find::{FoundService, find_by_id};
use super::wait::{WaitFor, wait};
use super::{DesiredService, removal, router, tags};
use crate::drift::needs_another;
use crate::failure::{Doing, Failure, Result, Unrepairable};
use crate::made_from::made_from;
use crate::orchestrator::Orchestrator;
use crate::readiness::{self, Restarted, RouterAccess};
use crate::snapshot::{Snapshot, key};
use cloud::{Address, Cloud, Deadline, Instance, InstanceState, ObjectId, Phase, tag};
use domain::id::ServiceId;
use domain::spec::{RouterSpec, ServiceFacts};
use std::sync::Arc;

/// Brings the router back at its address, under its name.
pub(crate) async fn recover(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &ServiceId,
    desired: &DesiredService,
    snapshot: &Snapshot,
) -> Result<cloud::Instance> {
    let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
    let found = find_by_id(snapshot, id);
    let DesiredService { spec, policy } = desired;
    let Some(address) = found.address.clone() else {
        return Err(address_gone(id));
    };
    removal::remove_unowned_workers(&*cloud, id, &found).await?;
    restore_tags(&*cloud, id, spec, &address, &found).await?;
    repair_settings(&*cloud, id, &found).await?;
    let found = let_go_of_failed(&*cloud, id, found).await?;
    // One that is up boots no second time: what its console says is of now.
    let is_woken = |router: &&cloud::Instance| match router.state {
        InstanceState::Pending | InstanceState::Running | InstanceState::Unreachable => false,
        InstanceState::Impaired
        | InstanceState::Stopping
        | InstanceState::Stopped
        | InstanceState::Terminating => true,
    };
    let restarted = match found.router.as_ref().filter(is_woken) {
        Some(router) => {
            let fleet = key(&id.fleet);
            let past_boot = readiness::latest_boot(&*cloud, &fleet, &router.id).await?;
            Some(Restarted { past_boot })
        }
        None => None,
    };
    let instance =
        router::ensure(deadline, &cloud, spec, policy.image.as_deref(), &address, &found).await?;
    let facts = ServiceFacts::of(spec, address.ip);
    let access = router::access(orchestrator, Arc::clone(&cloud), &facts, &address, &instance)?;
    let wait_for = match policy.wait_for {
        // What is recovered has been seen again.
        WaitFor::Listed => WaitFor::Running,
        other => other,
    };
    wait(deadline, wait_for, id, &RouterAccess { restarted, ..access }).await?;
    router::mark(&*cloud, id, &address, &instance, wait_for == WaitFor::Ready).await?;
    Ok(instance)
}

/// A router that was never seen ready, and whose boot has failed for good, goes: another operation is another attempt,
/// and another machine at the same address. One that was kept for inspection was inspected.
async fn let_go_of_failed(
    cloud: &dyn Cloud,
    id: &ServiceId,
    mut found: FoundService,
) -> Result<FoundService> {
    let fleet = key(&id.fleet);
    let is_unready = |router: &mut Instance| {
        // One that is listed as pending may run by now.
        router.phase() != Phase::Ready
            && matches!(router.state, InstanceState::Pending | InstanceState::Running)
    };
    let Some(router) = found.router.take_if(is_unready) else { return Ok(found) };
    if !readiness::boot_has_failed(cloud, &fleet, &router.id).await? {
        return Ok(FoundService { router: Some(router), ..found });
    }
    let removed = cloud.terminate_instances(&fleet, std::slice::from_ref(&router.id)).await;
    removed
        .doing(cloud.name(), || format!("terminate the router {} of service {id}", router.id))?;
    found.leaving.push(router);
    Ok(found)
}

/// Puts back what was changed by hand about the router while it runs.
async fn repair_settings(cloud: &dyn Cloud, id: &ServiceId, found: &FoundService) -> Result<()> {
    let Some(router) = found.router.as_ref().filter(|router| !router.findings.is_empty()) else {
        return Ok(());
    };
    if needs_another(router) {
        return Err(Failure::Unrepairable {
            what: id.into(),
            findings: router.findings.iter().map(|finding| finding.text.clone()).collect(),
            why: Unrepairable::SettingsNeedAnother,
        });
    }
    cloud
        .repair_instance(&key(&id.fleet), &router.id)
        .await
        .doing(cloud.name(), || format!("put back the settings of the router of service {id}"))
}

/// Gives router and address the tags back by which they are found.
async fn restore_tags(
    cloud: &dyn Cloud,
    id: &ServiceId,
    spec: &RouterSpec,
    address: &Address,
    found: &FoundService,
) -> Result<()> {
    let object = (ObjectId::Address(address.id.clone()), &address.tags, tags::of_address(spec));
    let router = found
        .router
        .as_ref()
        .map(|router| (ObjectId::Instance(router.id.clone()), &router.tags, tags::of_router(spec)));
    for (object, carried, own) in std::iter::once(object).chain(router) {
        let is_another = match (&object, carried.get(tag::DIGEST)) {
            (ObjectId::Instance(router), None) => {
                // The tag is gone, and the machine itself still knows what it was made from.
                let fleet = key(&id.fleet);
                let asked = made_from(cloud, &fleet, router, domain::made_from::router).await?;
                asked.spec().is_none_or(|made_from| made_from.digest() != spec.digest())
            }
            (ObjectId::Instance(_), Some(digest)) => *digest != spec.digest(),
            (ObjectId::Fleet | ObjectId::Address(_), _) => false,
        };
        if is_another {
            return Err(Failure::Unrepairable {
                what: id.into(),
                findings: vec!["its router was made from another specification".to_owned()],
                why: Unrepairable::MadeFromAnother,
            });
        }
        if own.iter().any(|(key, value)| carried.get(key) != Some(value)) {
            cloud
                .tag(&key(&id.fleet), std::slice::from_ref(&object), &own)
                .await
                .doing(id.fleet.cloud, || format!("restore the tags of service {id}"))?;
        }
    }
    Ok(())
}
