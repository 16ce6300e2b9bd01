//! Operations on groups of one service that leave them without machines: decode goes after prefill. What
//! prefill works at has no answer yet, and needs a decode for it.

use super::model;
use crate::error::{Failure, Result};
use crate::operations::{Goal, Running};
use crate::session::Session;
use domain::id::GroupId;
use domain::planner::Count;
use domain::spec::WorkerRole;
use plugin::Ctx;
use schemas::ReplicaGroup;

/// Says to the other operations of this process that one on this group begins, and what becomes of it.
pub(super) fn begin(session: &Session, id: &GroupId, planned: &ReplicaGroup) -> Running {
    let goal = match model::count(planned) {
        Count::Fixed(0) => Goal::NoMachines,
        Count::Fixed(_) | Count::Within { .. } => Goal::Machines,
    };
    session.operations().begin(id, model::role(planned), goal)
}

/// The same of one that is removed.
pub(super) fn begin_removal(session: &Session, id: &GroupId, group: &ReplicaGroup) -> Running {
    session.operations().begin(id, model::role(group), Goal::NoMachines)
}

/// Waits until the prefill workers have drained that this run takes away altogether, if these are decode
/// workers, which are not marked before: a machine that sees its mark drains by itself.
pub(super) async fn after_prefill(
    session: &Session,
    ctx: &Ctx,
    id: &GroupId,
    role: WorkerRole,
) -> Result<()> {
    if role != WorkerRole::Decode {
        return Ok(());
    }
    let waited = session.operations().after_removals(ctx, &id.service, WorkerRole::Prefill).await;
    waited.map_err(|why| Failure::Interrupted {
        waiting_for: format!("prefill workers of service {} to drain", id.service),
        seen: "they are removed by this same run, and come first".to_owned(),
        why,
        kept: true,
    })
}
