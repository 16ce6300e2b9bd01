//! Under which id a service is made: a new one, or that of a creation that died and meant the very
//! same. What a dead creation meant otherwise is removed first.

use super::find::{find_by_id, find_by_name};
use super::{model, removal};
use crate::error::{Failure, Result};
use crate::session::Session;
use cloud::tag;
use domain::id::{FleetId, ServiceId, Uid};
use plugin::{AttributePath, Ctx};
use schemas::Service;

pub(super) async fn id_for(
    session: &Session,
    ctx: &Ctx,
    fleet: &FleetId,
    planned: &Service,
) -> Result<ServiceId> {
    let name = planned.name.known().cloned().unwrap_or_default();
    let view = session.view(fleet).await?;
    if view.fleet.is_none() {
        return Err(Failure::Missing {
            what: format!("fleet {fleet}"),
            attribute: Some(AttributePath::root("fleet_id")),
            hint: format!(
                "The cloud `{}` has no fleet `{}` in region `{}`. Refer to the fleet's resource, as \
                 in `fleet_id = disagg_fleet.NAME.id`, so that it is created first. If it exists in \
                 another account or state directory, this resource needs the same provider \
                 configuration as the fleet.",
                fleet.cloud, fleet.name, fleet.region
            ),
        });
    }
    let existing = find_by_name(&view, fleet, &name);
    if let Some(id) = existing.iter().find(|id| !find_by_id(&view, id).is_nobodys()) {
        return Err(Failure::AlreadyExists {
            what: format!("service {id}"),
            address: "disagg_service.NAME",
            import: format!("{fleet}/{name}"),
        });
    }
    let mut adopted = None;
    for id in existing {
        let digest = model::spec(planned, &id)?.digest();
        let address = find_by_id(&view, &id).address;
        let is_same = address.is_some_and(|address| address.tags.get(tag::DIGEST) == Some(&digest));
        if is_same && adopted.is_none() {
            adopted = Some(id);
        } else {
            removal::remove(session, ctx, &id).await?;
        }
    }
    let random = uuid::Uuid::new_v4().as_u64_pair().0;
    Ok(adopted.unwrap_or_else(|| ServiceId {
        fleet: fleet.clone(),
        name,
        uid: Uid::from_random(random),
    }))
}
