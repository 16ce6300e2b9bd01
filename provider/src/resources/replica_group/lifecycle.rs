//! A group is made, changed and removed: from the model to what is to be done, and back into the state.

use super::journal::GroupJournal;
use super::{handover, model, this_computer};
use crate::deadline::deadline;
use crate::error::{Failure, Result};
use crate::session::Session;
use cloud::Deadline;
use domain::id::GroupId;
use domain::local_gpus::LocalGpus;
use orchestration::group::{self, DesiredGroup, Removal};
use orchestration::service::find_by_id;
use orchestration::snapshot::Freshness;
use plugin::{AttributePath, Ctx, State};
use schemas::ReplicaGroup;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let id = model::configured_id(&planned)?;
    let desired = desired(session, &planned, &id)?;
    let deadline = deadline(ctx);
    refuse_old_driver(session, &deadline, &desired).await?;
    let mut journal = GroupJournal::of_creation(planned, desired.offers.clone(), state);
    group::create(session.orchestrator(), &deadline, &desired, &mut journal).await?;
    Ok(())
}

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &ReplicaGroup,
    planned: ReplicaGroup,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    if !planned.members.is_unknown() {
        // No machine changes: what does is the provider's own behaviour.
        state.save(&planned);
        return Ok(());
    }
    let id = model::id(prior)?;
    let desired = desired(session, &planned, &id)?;
    let deadline = deadline(ctx);
    refuse_old_driver(session, &deadline, &desired).await?;
    let known = model::known(prior);
    let has_drift = prior.drift.known().is_some_and(|drift| !drift.is_empty());
    let offers = desired.offers.clone();
    let mut journal = GroupJournal::of_update(prior.clone(), planned, offers, state);
    let orchestrator = session.orchestrator();
    group::update(orchestrator, &deadline, &known, &desired, has_drift, &mut journal).await?;
    Ok(())
}

pub(super) async fn delete(
    session: &Session,
    ctx: &Ctx,
    state: &mut State<ReplicaGroup>,
) -> Result<()> {
    let Some(group) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&group)?;
    let deadline = deadline(ctx);
    if handover::hand_over(session, &deadline, &id, state).await? {
        state.remove();
        return Ok(());
    }
    let removal = Removal {
        id,
        role: model::role(&group),
        known: model::known_slots(&group),
        drain_limit: model::drain_timeout(&group),
    };
    let mut journal = GroupJournal::of_removal(group, state);
    group::delete(session.orchestrator(), &deadline, &removal, &mut journal).await?;
    Ok(())
}

/// What a group is to be, and of which machines it may be made.
fn desired(session: &Session, planned: &ReplicaGroup, id: &GroupId) -> Result<DesiredGroup> {
    let (spec, policy) = (model::spec(planned, id)?, model::policy(planned)?);
    let cloud = id.service.fleet.cloud;
    let offers = model::offers(&session.local_gpus(cloud), cloud, &spec.resources);
    let offers = offers.map_err(|error| Failure::Invalid {
        summary: "No machine fits".to_owned(),
        detail: format!("On cloud `{cloud}`: {error}."),
        attribute: Some(AttributePath::root("resources")),
    })?;
    Ok(DesiredGroup { spec, policy, offers })
}

/// Refuses what the driver of this computer cannot run. Which version of Dynamo it is to run stands with the
/// service; where that cannot be found, the operation itself says so.
async fn refuse_old_driver(
    session: &Session,
    deadline: &Deadline,
    desired: &DesiredGroup,
) -> Result<()> {
    let spec = &desired.spec;
    let (service, gpus) = (&spec.service_id, session.local_gpus(spec.service_id.fleet.cloud));
    if !matches!(gpus, LocalGpus::Detected(_)) {
        return Ok(());
    }
    let orchestrator = session.orchestrator();
    let snapshot = orchestrator.snapshot(deadline, &service.fleet, Freshness::Recent).await?;
    let Ok((facts, _)) = find_by_id(&snapshot, service).facts(service) else { return Ok(()) };
    let (kind, runtime) = (&spec.engine.kind, spec.engine.runtime);
    match this_computer::driver_too_old(&gpus, kind, runtime, facts.version) {
        Some(detail) => Err(Failure::Invalid {
            summary: this_computer::DRIVER_TOO_OLD.to_owned(),
            detail,
            attribute: Some(AttributePath::root("resources").attribute("gpu")),
        }),
        None => Ok(()),
    }
}
