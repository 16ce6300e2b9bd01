//! What the machines of a fleet have printed. Only those that are asked for are read: an account may not make many
//! such calls.

use crate::failure::{Failure, Result};
use crate::inventory::{Inventory, Scope};
use crate::orchestrator::Orchestrator;
use crate::readiness::consoles;
use crate::snapshot::{Freshness, key};
use cloud::{Deadline, Instance, InstanceId};

/// A machine's console.
#[derive(Debug)]
pub struct Printed {
    /// The machine.
    pub id: InstanceId,
    /// Whose it is: `router`, the name of its group, or `unassigned`.
    pub of: String,
    /// All that the cloud keeps of it; a failure where it could not be read.
    pub text: Result<String>,
}

/// Reads the consoles of the machines of a scope, or of one of them; none when there is no such fleet. Which
/// machines there are is as fresh as is asked for.
///
/// # Errors
/// When the cloud cannot be asked what machines there are.
pub async fn logs(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    scope: &Scope,
    machine: Option<&str>,
    freshness: Freshness,
) -> Result<Option<Vec<Printed>>, Failure> {
    let fleet = &scope.fleet;
    let snapshot = orchestrator.snapshot(deadline, fleet, freshness).await?;
    if snapshot.fleet.is_none() {
        return Ok(None);
    }
    let mut machines: Vec<(InstanceId, String)> = Vec::new();
    let mut add = |one: &Instance, of: &str| machines.push((one.id.clone(), of.to_owned()));
    let Inventory { services, unassigned } = Inventory::of(&snapshot, scope);
    for service in &services {
        if scope.group.is_none() {
            let routers = service.found.router.iter().chain(&service.leaving_routers);
            routers.for_each(|one| add(one, "router"));
        }
        for (name, workers) in &service.groups {
            workers.iter().for_each(|one| add(one, name));
        }
    }
    unassigned.iter().for_each(|one| add(one, "unassigned"));
    machines.retain(|(id, _)| machine.is_none_or(|wanted| id.0 == wanted));
    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let ids: Vec<InstanceId> = machines.iter().map(|(id, _)| id.clone()).collect();
    let texts = consoles(&*cloud, &key(fleet), &ids).await;
    let printed = machines.into_iter().zip(texts);
    Ok(Some(printed.map(|((id, of), text)| Printed { id, of, text }).collect()))
}
