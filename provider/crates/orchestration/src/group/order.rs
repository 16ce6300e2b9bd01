//! Operations on groups of one service that leave them without machines: decode goes after prefill. What
//! prefill works at has no answer yet, and needs a decode for it.

use crate::failure::{Failure, Result};
use crate::operations::{Goal, Running};
use crate::orchestrator::Orchestrator;
use cloud::Deadline;
use domain::id::GroupId;
use domain::planner::Count;
use domain::scaling::Scale;
use domain::spec::WorkerRole;

/// Says to the other operations of this process that one on this group begins, and what becomes of it.
pub(crate) fn begin(
    orchestrator: &Orchestrator,
    id: &GroupId,
    role: WorkerRole,
    scale: &Scale,
) -> Running {
    let goal = match scale.count() {
        Count::Fixed(0) => Goal::NoMachines,
        Count::Fixed(_) | Count::Within { .. } => Goal::Machines,
    };
    orchestrator.operations().begin(id, role, goal)
}

/// The same of one that is removed.
pub(crate) fn begin_removal(
    orchestrator: &Orchestrator,
    id: &GroupId,
    role: WorkerRole,
) -> Running {
    orchestrator.operations().begin(id, role, Goal::NoMachines)
}

/// Waits until the prefill workers have drained that this run takes away altogether, if these are decode
/// workers, which are not marked before: a machine that sees its mark drains by itself.
pub(crate) async fn after_prefill(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    id: &GroupId,
    role: WorkerRole,
) -> Result<()> {
    if role != WorkerRole::Decode {
        return Ok(());
    }
    let waited =
        orchestrator.operations().after_removals(deadline, &id.service, WorkerRole::Prefill).await;
    waited.map_err(|why| Failure::Interrupted {
        waiting_for: format!("prefill workers of service {} to drain", id.service),
        seen: "they are removed by this same run, and come first".to_owned(),
        why,
        kept: true,
    })
}
