//! A service's router is brought back: at its address, under its name, with its tags and its settings.
//! What cannot be without another router is an error, because workers hold connections to this one.

use super::find::{FoundService, find_by_id};
use super::lifecycle::{WaitsFor, pinned_image, wait, waits_for};
use super::{model, removal, router, tags};
use crate::error::{Doing, Failure, Result};
use crate::readiness::{self, RouterAccess, Woken};
use crate::resources::drift::needs_another;
use crate::session::{Session, key};
use cloud::{Address, Cloud, InstanceState, ObjectId, tag};
use domain::id::ServiceId;
use domain::spec::{RouterSpec, ServiceFacts};
use domain::user_data;
use plugin::Ctx;
use schemas::Service;
use std::sync::Arc;

/// Brings the router back at its address, under its name.
pub(super) async fn recover(
    session: &Session,
    ctx: &Ctx,
    id: &ServiceId,
    planned: &Service,
) -> Result<cloud::Instance> {
    session.forget(&id.fleet);
    let cloud = session.cloud(ctx, id.fleet.cloud).await?;
    let found = find_by_id(&*session.view(ctx, &id.fleet).await?, id);
    let spec = model::spec(planned, id)?;
    let Some(address) = found.address.clone() else {
        return Err(Failure::Unrepairable {
            what: format!("service {id}"),
            findings: vec!["its reserved address is gone".to_owned()],
            way_out: "Its workers were told that address at their boot and would never find a \
                      router at another one. Replace the service, which replaces its replica \
                      groups too: `terraform apply -replace=disagg_service.NAME`."
                .to_owned(),
        });
    };
    removal::remove_nobodys_workers(&*cloud, id, &found).await?;
    restore_tags(&*cloud, id, &spec, &address, &found).await?;
    repair_settings(&*cloud, id, &found).await?;
    // One that is up boots no second time: what its console says is of now.
    let is_woken = |router: &&cloud::Instance| match router.state {
        InstanceState::Pending | InstanceState::Running => false,
        InstanceState::Impaired
        | InstanceState::Stopping
        | InstanceState::Stopped
        | InstanceState::Terminating => true,
    };
    let woken = match found.router.as_ref().filter(is_woken) {
        Some(router) => {
            let fleet = key(&id.fleet);
            let past_boot = readiness::latest_boot(&*cloud, &fleet, &router.id).await?;
            Some(Woken { past_boot })
        }
        None => None,
    };
    let instance =
        router::ensure(ctx, &*cloud, &spec, pinned_image(planned), &address, &found).await?;
    session.forget(&id.fleet);
    let facts = ServiceFacts::of(&spec, address.ip);
    let access = router::access(session, Arc::clone(&cloud), &facts, &address, &instance)?;
    let waits_for = match waits_for(planned) {
        // What is recovered has been seen again.
        WaitsFor::Listed => WaitsFor::Running,
        other => other,
    };
    wait(ctx, waits_for, id, &RouterAccess { woken, ..access }).await?;
    router::mark(&*cloud, id, &address, &instance, waits_for == WaitsFor::Ready).await?;
    session.forget(&id.fleet);
    Ok(instance)
}

/// Puts back what somebody has changed about the router while it runs.
async fn repair_settings(cloud: &dyn Cloud, id: &ServiceId, found: &FoundService) -> Result<()> {
    let Some(router) = found.router.as_ref().filter(|router| !router.findings.is_empty()) else {
        return Ok(());
    };
    if needs_another(router) {
        return Err(Failure::Unrepairable {
            what: format!("service {id}"),
            findings: router.findings.iter().map(|finding| finding.text.clone()).collect(),
            way_out:
                "That takes another router, and workers hold connections to this one. Put it back \
                      by hand, or replace the service, which replaces its replica groups too: \
                      `terraform apply -replace=disagg_service.NAME`."
                    .to_owned(),
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
                let data = cloud.user_data(&fleet, router).await;
                let data = data.doing(id.fleet.cloud, || format!("read user data of {router}"))?;
                let made_from = data.and_then(|data| user_data::parse_router(&data).ok());
                made_from.is_none_or(|made_from| made_from.digest() != spec.digest())
            }
            (ObjectId::Instance(_), Some(digest)) => *digest != spec.digest(),
            (ObjectId::Fleet | ObjectId::Address(_), _) => false,
        };
        if is_another {
            return Err(Failure::Unrepairable {
                what: format!("service {id}"),
                findings: vec!["its router was made from another configuration".to_owned()],
                way_out: "Nobody knows what it runs, and workers hold connections to it. Replace \
                          the service, which replaces its replica groups too: \
                          `terraform apply -replace=disagg_service.NAME`."
                    .to_owned(),
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
