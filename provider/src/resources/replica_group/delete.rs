//! A group goes: its own machines, and never those of another object under its name.

use super::drain::Draining;
use super::{handover, members, model, order, workers};
use crate::error::Result;
use crate::session::{Session, key};
use cloud::{Instance, Phase};
use plugin::{Ctx, State};
use schemas::ReplicaGroup;

pub(super) async fn delete(
    session: &Session,
    ctx: &Ctx,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let Some(group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&group)?;
    if handover::hand_over(session, ctx, &id, state).await? {
        state.remove();
        return Ok(());
    }
    let _removing = session.removing(id.to_string());
    let drains = order::begin_removal(session, &id, &group);
    let fleet = key(&id.service.fleet);
    session.forget_machines(&id.service.fleet);
    let cloud = session.cloud(ctx, id.service.fleet.cloud).await?;
    let known = model::known_slots(&group);
    let view = session.view_with(ctx, &id.service.fleet, known.values()).await?;
    // Its own, and what an update that died has left. Under `create_before_destroy` the machines of
    // the new object are there by now, under the same name.
    let is_own = |machine: &Instance| {
        matches!(Phase::of(&machine.tags), Phase::Creating | Phase::Draining)
            || known.values().any(|known| *known == machine.id.0)
    };
    let mut machines = members::of_group(&view, &id, &known);
    machines.retain(is_own);
    let draining = Draining::new(session, &cloud, &group, &id, &view)?;
    order::after_prefill(session, ctx, &id, model::role(&group)).await?;
    draining.mark(&machines).await?;
    if let Some(said) = draining.wait(ctx, &machines).await? {
        state.warn(said);
    }
    drop(drains);
    workers::remove(ctx, &*cloud, &fleet, &id, &machines).await?;
    session.forget_machines(&id.service.fleet);
    state.remove();
    Ok(())
}
