//! What the machines of a fleet have printed. Only those that are asked for are read: an account may not make many
//! such calls.

use crate::failure::{Failure, Result};
use crate::orchestrator::Orchestrator;
use crate::readiness::consoles;
use crate::service::{all, find_by_id};
use crate::snapshot::{Freshness, key};
use crate::status::Scope;
use cloud::{Deadline, Instance, InstanceId, InstanceState, tag};

/// A machine's console.
#[derive(Debug)]
pub struct Printed {
    /// The machine.
    pub id: InstanceId,
    /// Whose it is: `router`, or the name of its group.
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
    for id in all(&snapshot, fleet) {
        if scope.service.as_ref().is_some_and(|name| *name != id.name) {
            continue;
        }
        let found = find_by_id(&snapshot, &id);
        let routers = found.router.iter().chain(&found.leaving).filter(|_| scope.group.is_none());
        machines.extend(routers.map(|router| (router.id.clone(), "router".to_owned())));
        let group = |worker: &Instance| worker.tags.get(tag::GROUP).cloned().unwrap_or_default();
        let workers = found.workers.iter().filter(|worker| {
            worker.state != InstanceState::Terminating
                && scope.group.as_ref().is_none_or(|name| *name == group(worker))
        });
        machines.extend(workers.map(|worker| (worker.id.clone(), group(worker))));
    }
    machines.retain(|(id, _)| machine.is_none_or(|wanted| id.0 == wanted));
    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let ids: Vec<InstanceId> = machines.iter().map(|(id, _)| id.clone()).collect();
    let texts = consoles(&*cloud, &key(fleet), &ids).await;
    let printed = machines.into_iter().zip(texts);
    Ok(Some(printed.map(|((id, of), text)| Printed { id, of, text }).collect()))
}
