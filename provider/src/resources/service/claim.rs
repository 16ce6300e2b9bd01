//! Under which id a service is made: a new one, or that of a creation that died and meant the very
//! same. What a dead creation meant otherwise is removed first.

use super::find::{find_by_id, find_by_name};
use super::lifecycle::reserve;
use super::{model, removal};
use crate::error::{Doing, Failure, Result};
use crate::readiness::last_words;
use crate::session::{Session, key};
use cloud::{Address, Cloud, TagFilter, tag};
use domain::id::{FleetId, ServiceId, Uid};
use plugin::{AttributePath, Ctx};
use schemas::Service;
use std::time::Duration;

/// A name that is claimed, by an id and an address.
#[derive(Debug)]
pub(super) struct Stake {
    pub(super) id: ServiceId,
    pub(super) address: Address,
    /// Whether this run began it, and no other one that died or goes on somewhere else.
    pub(super) is_new: bool,
}

/// Under which id a service is made, and its reserved address, by which everybody else sees that it is.
///
/// Two runs may reserve an address for one name at the same moment, and neither has seen the other before.
/// So each looks again after it has reserved: the one with the greater id gives way, and takes part in
/// what the other makes.
pub(super) async fn stake(
    session: &Session,
    ctx: &Ctx,
    fleet: &FleetId,
    planned: &Service,
) -> Result<Stake> {
    let cloud = session.cloud(ctx, fleet.cloud).await?;
    for _ in 0..MOST_STAKES {
        let id = id_for(session, ctx, fleet, planned).await?;
        let is_new = find_by_id(&*session.view(ctx, fleet).await?, &id).address.is_none();
        let spec = model::spec(planned, &id)?;
        let address = reserve(&*cloud, planned, &spec, is_new).await?;
        let stays = match is_new {
            true => stays(ctx, &*cloud, &id, &address).await,
            false => Ok(true),
        };
        if matches!(stays, Ok(true)) {
            return Ok(Stake { id, address, is_new });
        }
        let late = session.cloud(&last_words(ctx), fleet.cloud).await?;
        let released = late.release_address(&key(fleet), &address.id).await;
        released.doing(cloud.name(), || format!("give up the address {} for {id}", address.ip))?;
        stays?;
        session.forget(fleet);
    }
    Err(Failure::AlreadyExists {
        what: format!("service {}", planned.name.as_str().unwrap_or_default()),
        address: "disagg_service.NAME",
        import: format!("{fleet}/{}", planned.name.as_str().unwrap_or_default()),
    })
}

/// Whether a new id keeps its name: nobody else has it, or who has gives way. A list that is without the
/// address of this one may be without that of another one as well, and says nothing.
async fn stays(ctx: &Ctx, cloud: &dyn Cloud, id: &ServiceId, own: &Address) -> Result<bool> {
    let fleet = key(&id.fleet);
    let mut has_rivals = false;
    for look in 0..MOST_LOOKS {
        if look > 0 {
            // The other gives way as soon as it has looked; one that looked too early never does.
            let pause = tokio::time::sleep(LOOK_PAUSE);
            ctx.checked(pause).await.map_err(|why| Failure::Interrupted {
                waiting_for: format!("the cloud to tell who else makes a service {}", id.name),
                seen: match has_rivals {
                    true => "another run has reserved an address too".to_owned(),
                    false => "the address of this one is not listed yet".to_owned(),
                },
                why,
                kept: false,
            })?;
        }
        let addresses = cloud.list_addresses(&fleet, &TagFilter::all()).await;
        let addresses = addresses.doing(cloud.name(), || format!("look who else makes {id}"))?;
        let tags = addresses.iter().filter_map(|address| address.tags.get(tag::SERVICE));
        let ids = tags.filter_map(|tag| format!("{}/{tag}", id.fleet).parse::<ServiceId>().ok());
        let rivals: Vec<ServiceId> =
            ids.filter(|other| other.name == id.name && other.uid != id.uid).collect();
        has_rivals = !rivals.is_empty();
        if !has_rivals && addresses.iter().any(|address| address.id == own.id) {
            return Ok(true);
        }
        if rivals.iter().any(|other| other.uid < id.uid) {
            return Ok(false);
        }
    }
    // Nobody else has shown.
    Ok(!has_rivals)
}

/// How often a name is tried to be had.
const MOST_STAKES: u32 = 5;
/// How often, and how long in between, who should stay looks whether it is known and the other has given
/// way.
const MOST_LOOKS: u32 = 8;
const LOOK_PAUSE: Duration = Duration::from_secs(1);

async fn id_for(
    session: &Session,
    ctx: &Ctx,
    fleet: &FleetId,
    planned: &Service,
) -> Result<ServiceId> {
    let name = planned.name.known().cloned().unwrap_or_default();
    let view = session.view(ctx, fleet).await?;
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
