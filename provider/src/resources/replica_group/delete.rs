//! A group goes: its own machines, and never those of another object under its name.

use super::drain::Draining;
use super::{handover, members, model, workers};
use crate::error::{Failure, Result};
use crate::operations::Goal;
use crate::session::{Session, key};
use cloud::{Instance, Phase};
use domain::spec::WorkerRole;
use plugin::{Ctx, State};
use schemas::ReplicaGroup;

pub(super) async fn delete(
    session: &Session,
    ctx: &Ctx,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let Some(group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&group)?;
    if handover::hand_over(session, &id, state).await? {
        state.remove();
        return Ok(());
    }
    let _removing = session.removing(id.to_string());
    let role = group.role.as_str().and_then(|role| role.parse::<WorkerRole>().ok());
    let drains = role.map(|role| session.operations().begin(&id, role, Goal::Removal));
    let fleet = key(&id.service.fleet);
    session.forget_machines(&id.service.fleet);
    let cloud = session.cloud(id.service.fleet.cloud).await?;
    let known = model::known_slots(&group);
    let view = session.view_with(&id.service.fleet, known.values()).await?;
    // Its own, and what an update that died has left. Under `create_before_destroy` the machines of
    // the new object are there by now, under the same name.
    let is_own = |machine: &Instance| {
        matches!(Phase::of(&machine.tags), Phase::Creating | Phase::Draining)
            || known.values().any(|known| *known == machine.id.0)
    };
    let mut machines = members::of_group(&view, &id, &known);
    machines.retain(is_own);
    let draining = Draining::new(session, &cloud, &group, &id, &view)?;
    draining.mark(&machines).await?;
    if role == Some(WorkerRole::Decode) {
        // What a prefill works at has no answer yet, and needs a decode for it.
        let waited = session.operations().after_removals(ctx, &id.service, WorkerRole::Prefill);
        waited.await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("prefill workers of service {} to drain", id.service),
            seen: "they are removed by this same run, and come first".to_owned(),
            why,
            kept: true,
        })?;
    }
    if let Some(said) = draining.wait(ctx, &machines).await? {
        state.warn(said);
    }
    drop(drains);
    workers::remove(ctx, &*cloud, &fleet, &id, &machines).await?;
    session.forget_machines(&id.service.fleet);
    state.remove();
    Ok(())
}
