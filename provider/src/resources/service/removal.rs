//! Everything of a service goes: machines first, then the rule, then the address.

use super::find::find_by_id;
use crate::error::{Doing, Result};
use crate::readiness;
use crate::session::{Session, key};
use cloud::{Ingress, Instance, Tags, tag};
use domain::id::ServiceId;
use plugin::Ctx;

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
    let machines: Vec<_> = view
        .instances
        .iter()
        .filter(|instance| is_ours(instance))
        .map(|instance| instance.id.clone())
        .collect();
    if !machines.is_empty() {
        cloud
            .terminate_instances(&fleet, &machines)
            .await
            .doing(id.fleet.cloud, || format!("terminate the router of service {id}"))?;
        let what = format!("the router of service {id}");
        readiness::gone(ctx, &*cloud, &fleet, &what, is_ours).await?;
    }
    let closed = Ingress { service: tag.clone(), port: 0, cidrs: Vec::new() };
    if view.ingress.iter().any(|rule| rule.service == tag) {
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
