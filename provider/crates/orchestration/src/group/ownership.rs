//! Machines that carry a group's name and are another's: a tag was changed by hand. To take them for its
//! own would be to remove what serves somewhere else.

use crate::failure::{Failure, Result, Unrepairable};
use crate::made_from::{MadeFrom, made_from};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::snapshot::key;
use cloud::{Deadline, Instance, InstanceState};
use domain::id::GroupId;
use std::collections::BTreeMap;

/// The machines without those of others. Only one that is not known of this group, and that is owned,
/// is asked what it was made for: its user data still say so. One whose user data say nothing is an error:
/// nobody knows whether it may be rolled away.
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
        if !is_known && machine.phase().is_owned() {
            let fleet = key(&id.service.fleet);
            match made_from(&*cloud, &fleet, &machine.id, domain::made_from::worker).await? {
                MadeFrom::Spec(it) if it.group != id.name || it.service_id != id.service => {
                    continue;
                }
                // What is on its way out is only waited for, whosever it is.
                MadeFrom::Unreadable(_) if machine.state == InstanceState::Terminating => {}
                MadeFrom::Unreadable(why) => return Err(unreadable(id, &machine, &why)),
                MadeFrom::Spec(_) | MadeFrom::Gone => {}
            }
        }
        own.push(machine);
    }
    Ok(own)
}

fn unreadable(id: &GroupId, machine: &Instance, why: &str) -> Failure {
    Failure::Unrepairable {
        what: Object::from(id),
        findings: vec![format!(
            "machine {} carries its tags, is not known of it, and does not say what it was made for: {why}",
            machine.id
        )],
        why: Unrepairable::Unreadable,
    }
}
