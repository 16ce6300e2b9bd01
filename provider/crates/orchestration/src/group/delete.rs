//! A group goes: its own machines, and never those of another object under its name.

use super::drain::Draining;
use super::{GroupRecord, access, members, order};
use crate::failure::Result;
use crate::journal::Journal;
use crate::orchestrator::Orchestrator;
use crate::snapshot::{Freshness, key};
use cloud::{Deadline, Instance, Phase};
use domain::id::GroupId;
use domain::spec::WorkerRole;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is to go.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The group.
    pub id: GroupId,
    /// What its workers do.
    pub role: WorkerRole,
    /// The id of the machine in each slot.
    pub known: BTreeMap<u32, String>,
    /// How long machines may take to end what runs on them before they go.
    pub drain_limit: Duration,
}

/// Removes a group's machines, when nothing runs on them any more.
///
/// # Errors
/// Whatever the cloud refuses; and the end of the operation.
pub async fn delete(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    removal: &Removal,
    journal: &mut dyn Journal<GroupRecord>,
) -> Result<()> {
    let Removal { id, role, known, drain_limit } = removal;
    let _removing = orchestrator.in_flight().removing(id.to_string());
    let drains = order::begin_removal(orchestrator, id, *role);
    let fleet = &id.service.fleet;
    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let freshness = Freshness::NewInstances;
    let snapshot = orchestrator.snapshot_with(deadline, fleet, freshness, known.values()).await?;
    // Its own, and what an update that died has left. Where a new object takes its place, that one's machines
    // are there by now, under the same name.
    let is_own = |machine: &Instance| {
        matches!(machine.phase(), Phase::Creating | Phase::Draining)
            || known.values().any(|known| *known == machine.id.0)
    };
    let mut machines = members::of_group(&snapshot, id, known);
    machines.retain(is_own);
    let draining = Draining::new(orchestrator, &cloud, id, *drain_limit, &snapshot)?;
    order::after_prefill(orchestrator, deadline, id, *role).await?;
    draining.mark(&machines).await?;
    if let Some(said) = draining.wait(deadline, &machines).await? {
        journal.warned(said);
    }
    drop(drains);
    access::remove(deadline, &*cloud, &key(fleet), id, &machines).await?;
    journal.removed();
    Ok(())
}
