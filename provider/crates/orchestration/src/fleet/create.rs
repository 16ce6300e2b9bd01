//! A fleet is made, or one that a creation which died has begun is gone on with.

use super::update::set_ssh;
use super::{DesiredFleet, zone};
use crate::failure::{Doing, Failure, Result};
use crate::journal::Journal;
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::snapshot::key;
use cloud::{Cloud, Deadline, Fleet, FleetRequest, Interconnect, ObjectId, Phase, Tags, tag};
use domain::id::FleetId;
use std::collections::BTreeSet;

/// Makes a fleet. It is in the journal twice: as soon as it is there, and when who may come in does.
///
/// # Errors
/// When its name is taken, no zone has what is asked for, or the cloud refuses it.
pub async fn create(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    desired: &DesiredFleet,
    journal: &mut dyn Journal<Fleet>,
) -> Result<()> {
    let id = &desired.id;
    let _making = orchestrator.in_flight().creating(&Object::from(id))?;
    let cloud = orchestrator.cloud(deadline, id.cloud).await?;
    let existing =
        cloud.get_fleet(&key(id)).await.doing(id.cloud, || format!("look for fleet {id}"))?;
    let zone = match &existing {
        Some(fleet) if Phase::of(&fleet.tags) != Phase::Creating => {
            return Err(Failure::AlreadyExists(id.into()));
        }
        // A creation that died: whatever it had chosen stays chosen, unless that is not wanted now.
        Some(fleet) if is_as_desired(fleet, desired) => fleet.zone.clone(),
        _ => zone::choose(orchestrator, &*cloud, desired).await?,
    };
    if existing.is_some_and(|fleet| !is_as_desired(&fleet, desired)) {
        let doing = || format!("remove what a creation of fleet {id} that died has left");
        cloud.delete_fleet(&key(id)).await.doing(id.cloud, doing)?;
    }
    let fabrics = zone::offers(orchestrator, desired)?;
    let fabrics = fabrics.iter().flatten().map(|offer| offer.interconnect).collect();
    let request = request(desired, zone, fabrics);
    let fleet =
        cloud.create_fleet(&request).await.doing(id.cloud, || format!("create fleet {id}"))?;
    journal.saved(&fleet);
    if fleet.ssh != desired.ssh {
        set_ssh(orchestrator, deadline, id, desired.ssh.as_ref()).await?;
        journal.saved(&Fleet { ssh: desired.ssh.clone(), ..fleet });
    }
    mark_ready(&*cloud, id).await
}

fn is_as_desired(found: &Fleet, desired: &DesiredFleet) -> bool {
    desired.zone.as_ref().is_none_or(|zone| Some(zone) == found.zone.as_ref())
        && desired.subnet.as_ref().is_none_or(|subnet| Some(subnet) == found.subnet.as_ref())
        && desired.placement == found.placement
}

fn request(
    desired: &DesiredFleet,
    zone: Option<String>,
    fabrics: BTreeSet<Interconnect>,
) -> FleetRequest {
    let id = &desired.id;
    FleetRequest {
        key: key(id),
        zone,
        subnet: desired.subnet.clone(),
        fabrics,
        placement: desired.placement,
        tags: Tags::from([
            (tag::MANAGED_BY, tag::MANAGED_BY_US.to_owned()),
            (tag::FLEET, id.name.clone()),
            (tag::PHASE, Phase::Creating.as_str().to_owned()),
        ]),
    }
}

async fn mark_ready(cloud: &dyn Cloud, id: &FleetId) -> Result<()> {
    cloud
        .tag(&key(id), &[ObjectId::Fleet], &Phase::Ready.tag())
        .await
        .doing(id.cloud, || format!("mark fleet {id} as ready"))
}
