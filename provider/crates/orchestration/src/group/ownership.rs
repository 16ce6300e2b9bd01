//! Machines that carry a group's name and are another's: somebody has changed a tag. To take them for its
//! own would be to remove what serves somewhere else.

use crate::failure::{Doing, Result};
use crate::orchestrator::Orchestrator;
use crate::snapshot::key;
use cloud::{Cloud, Deadline, Instance, Phase};
use domain::id::GroupId;
use domain::user_data;
use std::collections::BTreeMap;

/// The machines without those of others. Only one that is not known of this group, and that is owned,
/// is asked what it was made for: its user data still say so.
pub async fn drop_foreign(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &GroupId,
    known: &BTreeMap<u32, String>,
    machines: Vec<Instance>,
) -> Result<Vec<Instance>> {
    // After an import none is known yet.
    if known.is_empty() {
        return Ok(machines);
    }
    let cloud = orchestrator.cloud(deadline, id.service.fleet.cloud).await?;
    let mut own = Vec::new();
    for machine in machines {
        let is_known = known.values().any(|known| *known == machine.id.0);
        if !is_known && Phase::of(&machine.tags) != Phase::Creating {
            let data = cloud.user_data(&key(&id.service.fleet), &machine.id).await;
            let data = data.doing(cloud.name(), || format!("read user data of {}", machine.id))?;
            let made_for = data.and_then(|data| user_data::parse_worker(&data).ok());
            if made_for.is_some_and(|it| it.group != id.name || it.service_id != id.service) {
                continue;
            }
        }
        own.push(machine);
    }
    Ok(own)
}
