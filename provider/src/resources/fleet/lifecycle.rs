//! A fleet in its cloud: claim, read, repair, remove, import.

use super::zone;
use crate::error::{Doing, Failure, Result};
use crate::readiness::Pace;
use crate::resources::{service, users};
use crate::session::{FleetView, Session, key};
use cloud::{
    Address, Cloud, ErrorKind, FleetRequest, ObjectId, Phase, PlacementStrategy, SshAccess, Tags,
    tag,
};
use domain::id::FleetId;
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::{Cidr, Fleet, Ssh};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    mut planned: Fleet,
    state: &mut State<Fleet>,
) -> Result<()> {
    let id = id_of(&planned)?;
    let _claim = session.creating("fleet", id.to_string())?;
    let cloud = session.cloud(ctx, id.cloud).await?;
    session.forget(&id);
    let existing =
        cloud.get_fleet(&key(&id)).await.doing(id.cloud, || format!("look for fleet {id}"))?;
    let zone = match &existing {
        Some(fleet) if Phase::of(&fleet.tags) != Phase::Creating => {
            return Err(Failure::AlreadyExists {
                what: format!("fleet {id}"),
                address: "disagg_fleet.NAME",
                import: id.to_string(),
            });
        }
        // A creation that died: whatever it had chosen stays chosen, unless that is not wanted now.
        Some(fleet) if is_as_planned(fleet, &planned) => fleet.zone.clone(),
        _ => {
            let gpus = session.local_gpus(id.cloud);
            zone::choose(&*cloud, &gpus, &id, &planned).await?
        }
    };
    if existing.is_some_and(|fleet| !is_as_planned(&fleet, &planned)) {
        let doing = || format!("remove what a creation of fleet {id} that died has left");
        cloud.delete_fleet(&key(&id)).await.doing(id.cloud, doing)?;
    }
    let request = request(&id, zone, &planned);
    let fleet =
        cloud.create_fleet(&request).await.doing(id.cloud, || format!("create fleet {id}"))?;
    planned.id = Attr::Known(id.to_string());
    planned.region = Attr::Known(id.region.clone());
    planned.zone = Attr::Known(fleet.zone);
    planned.subnet = Attr::from(fleet.subnet);
    planned.drift = Attr::Known(BTreeMap::new());
    let without = Fleet { ssh: Attr::Null, ..planned.clone() };
    state.save(&without);
    let wanted = ssh(&planned);
    if fleet.ssh != wanted {
        set_ssh(&*cloud, &id, wanted.as_ref()).await?;
    }
    state.save(&planned);
    mark_ready(&*cloud, &id).await
}

/// Who may come in, as the cloud wants to hear it.
fn ssh(fleet: &Fleet) -> Option<SshAccess> {
    let ssh = fleet.ssh.known()?;
    let blocks = ssh.ingress_cidrs.known().into_iter().flatten();
    let mut cidrs: Vec<String> =
        blocks.filter_map(|block| block.known().map(|block| block.0.clone())).collect();
    cidrs.sort();
    Some(SshAccess { key_name: ssh.key_name.known().cloned().unwrap_or_default(), cidrs })
}

/// The same for the state.
fn shown_ssh(access: &Option<SshAccess>) -> Attr<Ssh> {
    let Some(access) = access else { return Attr::Null };
    let blocks = access.cidrs.iter().map(|block| Attr::Known(Cidr(block.clone())));
    Attr::Known(Ssh {
        key_name: Attr::Known(access.key_name.clone()),
        ingress_cidrs: Attr::Known(blocks.collect()),
    })
}

async fn set_ssh(cloud: &dyn Cloud, id: &FleetId, access: Option<&SshAccess>) -> Result<()> {
    cloud
        .set_ssh(&key(id), access)
        .await
        .doing(id.cloud, || format!("set who may come in to the machines of fleet {id}"))
}

pub(super) async fn read(session: &Session, ctx: &Ctx, state: &mut State<Fleet>) -> Result<()> {
    let Some(mut fleet) = state.get().cloned() else { return Ok(()) };
    let id = id_of(&fleet)?;
    let view = session.view(ctx, &id).await?;
    let Some(found) = &view.fleet else {
        state.remove();
        return Ok(());
    };
    fleet.region = Attr::Known(id.region.clone());
    fleet.zone = Attr::Known(found.zone.clone());
    fleet.subnet = Attr::from(found.subnet.clone());
    fleet.placement = Attr::Known(placement_word(found.placement).to_owned());
    if ssh(&fleet) != found.ssh {
        fleet.ssh = shown_ssh(&found.ssh);
    }
    let mut drift = found.findings.clone();
    drift.extend(service::nobodys(&view, &id));
    fleet.drift = Attr::Known(drift);
    state.save(&fleet);
    Ok(())
}

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &Fleet,
    mut planned: Fleet,
    state: &mut State<Fleet>,
) -> Result<()> {
    let id = id_of(prior)?;
    session.forget(&id);
    if prior.drift.known().is_some_and(|findings| !findings.is_empty()) {
        let cloud = session.cloud(ctx, id.cloud).await?;
        let repaired =
            cloud.repair_fleet(&key(&id)).await.doing(id.cloud, || format!("repair fleet {id}"))?;
        if !repaired.findings.is_empty() {
            let findings = repaired.findings.iter();
            return Err(Failure::Unrepairable {
                what: format!("fleet {id}"),
                findings: findings.map(|(object, found)| format!("{object}: {found}")).collect(),
                way_out:
                    "Put it back by hand, or replace the fleet and each service in it, which ends \
                          them for a while: `terraform apply -replace=disagg_fleet.NAME \
                          -replace=disagg_service.NAME`."
                        .to_owned(),
            });
        }
        service::remove_old_nobodys(session, ctx, &id).await?;
    }
    if ssh(prior) != ssh(&planned) {
        let cloud = session.cloud(ctx, id.cloud).await?;
        set_ssh(&*cloud, &id, ssh(&planned).as_ref()).await?;
    }
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    Ok(())
}

pub(super) async fn delete(session: &Session, ctx: &Ctx, state: &mut State<Fleet>) -> Result<()> {
    let Some(fleet) = state.get() else { return Ok(()) };
    let id = id_of(fleet)?;
    if session.addresses().is_made(&id.to_string()) {
        let what = format!("fleet {id}");
        return Err(Failure::TwoAddresses { what, kind: "disagg_fleet" });
    }
    let cloud = session.cloud(ctx, id.cloud).await?;
    session.forget(&id);
    service::remove_nobodys(session, ctx, &id).await?;
    let services =
        |view: &FleetView| view.addresses.iter().map(|address| service_at(&id, address)).collect();
    let what = format!("fleet {id}");
    let services = users::left(ctx, session, &id, &what, services).await?;
    if !services.is_empty() {
        return Err(Failure::StillUsed {
            what,
            by: services,
            hint: "A fleet is removed only when no service is left in it. If this run removes them \
                   too, run it again: refer to the resource, as in `fleet_id = disagg_fleet.NAME.id`, \
                   and Terraform knows the order. If this run replaces the fleet, replace its services \
                   with it: `terraform apply -replace=disagg_service.NAME`. Else remove these first; \
                   import them if no state has them."
                .to_owned(),
        });
    }
    delete_when_drained(session, ctx, &*cloud, &id).await?;
    state.remove();
    Ok(())
}

/// Deletes it as soon as nothing is in it. One that is gone may still hold something, which passes by
/// itself; and a machine that a dead creation launched a moment ago may have been too new to be listed.
async fn delete_when_drained(
    session: &Session,
    ctx: &Ctx,
    cloud: &dyn Cloud,
    id: &FleetId,
) -> Result<()> {
    let (start, pace) = (Instant::now(), Pace::new(cloud));
    loop {
        let deleted = cloud.delete_fleet(&key(id)).await;
        let may_be_new = pace.lags() && start.elapsed() < KNOWN_AFTER;
        match deleted {
            Err(error)
                if error.kind.retryable() || (error.kind == ErrorKind::InUse && may_be_new) =>
            {
                pace.next(ctx).await.map_err(|why| Failure::Interrupted {
                    waiting_for: format!("fleet {id} to be empty"),
                    seen: error.to_string(),
                    why,
                    kept: true,
                })?;
                service::remove_nobodys(session, ctx, id).await?;
            }
            deleted => return deleted.doing(id.cloud, || format!("delete fleet {id}")),
        }
    }
}

/// How long a fleet that is in use is looked through again for what was too new to be listed.
const KNOWN_AFTER: Duration = Duration::from_secs(30);

pub(super) async fn import(
    session: &Session,
    ctx: &Ctx,
    path: &str,
    state: &mut State<Fleet>,
) -> Result<()> {
    let id: FleetId = path.parse().map_err(|error| Failure::import_id(format!("{error}.")))?;
    let view = session.view(ctx, &id).await?;
    if view.fleet.is_none() {
        return Err(Failure::Missing {
            what: format!("fleet {id}"),
            attribute: Some(AttributePath::root("id")),
            hint: format!(
                "The cloud `{}` has no fleet `{}` in region `{}`.",
                id.cloud, id.name, id.region
            ),
        });
    }
    state.save(&Fleet {
        id: Attr::Known(id.to_string()),
        name: Attr::Known(id.name),
        cloud: Attr::Known(id.cloud.to_string()),
        region: Attr::Known(id.region),
        ..Fleet::default()
    });
    read(session, ctx, state).await
}

/// The id that a fleet's configuration makes.
fn id_of(fleet: &Fleet) -> Result<FleetId> {
    let part = |attribute: &Attr<String>| attribute.known().cloned().unwrap_or_default();
    let text = format!("{}/{}/{}", part(&fleet.cloud), part(&fleet.region), part(&fleet.name));
    text.parse().map_err(|error| Failure::Unreadable {
        what: "a fleet".to_owned(),
        detail: format!("Its `cloud`, `region` and `name`: {error}"),
    })
}

/// The service that an address is reserved for: path → name.
fn service_at(id: &FleetId, address: &Address) -> (String, String) {
    match address.tags.get(tag::SERVICE) {
        Some(service) => {
            (format!("{id}/{service}"), format!("service {service} at {}", address.ip))
        }
        None => (address.ip.to_string(), format!("address {}", address.ip)),
    }
}

fn is_as_planned(found: &cloud::Fleet, planned: &Fleet) -> bool {
    planned.zone.known().is_none_or(|zone| *zone == found.zone)
        && planned.subnet.known().is_none_or(|subnet| Some(subnet) == found.subnet.as_ref())
        && placement(planned) == found.placement
}

fn placement(fleet: &Fleet) -> PlacementStrategy {
    match fleet.placement.as_str() {
        Some("zone") => PlacementStrategy::Zone,
        _ => PlacementStrategy::Cluster,
    }
}

fn request(id: &FleetId, zone: String, fleet: &Fleet) -> FleetRequest {
    FleetRequest {
        key: key(id),
        zone,
        subnet: fleet.subnet.known().cloned(),
        placement: placement(fleet),
        // The name is the claim: whoever creates it again after a crash must mean the same fleet.
        token: format!("fleet-{}-{}", id.region, id.name),
        tags: Tags::from([
            (tag::MANAGED_BY.to_owned(), tag::MANAGED_BY_US.to_owned()),
            (tag::FLEET.to_owned(), id.name.clone()),
            (tag::PHASE.to_owned(), Phase::Creating.as_str().to_owned()),
        ]),
    }
}

fn placement_word(placement: PlacementStrategy) -> &'static str {
    match placement {
        PlacementStrategy::Cluster => "cluster",
        PlacementStrategy::Zone => "zone",
    }
}

async fn mark_ready(cloud: &dyn Cloud, id: &FleetId) -> Result<()> {
    cloud
        .tag(&key(id), &[ObjectId::Fleet], &Phase::Ready.tag())
        .await
        .doing(id.cloud, || format!("mark fleet {id} as ready"))
}
