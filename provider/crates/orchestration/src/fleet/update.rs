//! A fleet becomes again what it was made as, and lets in who may come in now.

use crate::failure::{Doing, Failure, Result, Unrepairable};
use crate::orchestrator::Orchestrator;
use crate::service;
use crate::snapshot::key;
use cloud::{Cloud, Deadline, SshAccess};
use domain::id::FleetId;

/// Brings a fleet to what it is to be: `has_drift` says that it was seen not to be as it was made, and `ssh` who is
/// to come in to its machines, where that is another than before.
///
/// # Errors
/// [`Failure::Unrepairable`] when that takes another fleet; and when the cloud refuses it.
pub async fn update(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &FleetId,
    has_drift: bool,
    ssh: Option<Option<&SshAccess>>,
) -> Result<()> {
    if has_drift {
        repair(orchestrator, deadline, id).await?;
    }
    match ssh {
        Some(access) => set_ssh(orchestrator, deadline, id, access).await,
        None => Ok(()),
    }
}

/// Puts back what somebody has changed, and removes what no creation can go on with any more.
async fn repair(orchestrator: &Orchestrator, deadline: &Deadline, id: &FleetId) -> Result<()> {
    let cloud = orchestrator.cloud(deadline, id.cloud).await?;
    let repaired =
        cloud.repair_fleet(&key(id)).await.doing(id.cloud, || format!("repair fleet {id}"))?;
    if !repaired.findings.is_empty() {
        let findings = repaired.findings.iter();
        return Err(Failure::Unrepairable {
            what: id.into(),
            findings: findings.map(|(object, found)| format!("{object}: {found}")).collect(),
            why: Unrepairable::Fleet,
        });
    }
    service::remove_old_unowned(orchestrator, deadline, id).await
}

/// Sets who may come in to the fleet's machines.
pub(crate) async fn set_ssh(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &FleetId,
    access: Option<&SshAccess>,
) -> Result<()> {
    let cloud = orchestrator.cloud(deadline, id.cloud).await?;
    cloud
        .set_ssh(&key(id), access)
        .await
        .doing(id.cloud, || format!("set who may come in to the machines of fleet {id}"))
}
