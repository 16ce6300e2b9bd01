//! Machines that carry a group's name and are another's: somebody has changed a tag. To take them for its
//! own would be to remove what serves somewhere else.

use crate::error::{Doing, Result};
use crate::session::{Session, key};
use cloud::{Cloud, Instance, Phase};
use domain::id::GroupId;
use domain::user_data;
use plugin::Ctx;
use std::collections::BTreeMap;

/// The machines without strangers. Only one that no state of this group knows, and that is somebody's,
/// is asked what it was made for: its user data still say so.
pub(super) async fn without_strangers(
    session: &Session,
    ctx: &Ctx,
    id: &GroupId,
    known: &BTreeMap<u32, String>,
    machines: Vec<Instance>,
) -> Result<Vec<Instance>> {
    // After an import none is known.
    if known.is_empty() {
        return Ok(machines);
    }
    let cloud = session.cloud(ctx, id.service.fleet.cloud).await?;
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
