//! A fleet is made, read, repaired, removed and imported: from the model to what is to be done, and back.

use super::model;
use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use domain::id::FleetId;
use orchestration::fleet;
use orchestration::journal::{Journal, Warning};
use orchestration::service;
use orchestration::snapshot::Freshness;
use plugin::{Attr, AttributePath, Ctx, State};
use schemas::Fleet;
use std::collections::BTreeMap;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    planned: Fleet,
    state: &mut State<Fleet>,
) -> Result<()> {
    let desired = model::desired(&planned)?;
    let mut journal = Creation { id: desired.id.clone(), planned, state };
    fleet::create(session.orchestrator(), &deadline(ctx), &desired, &mut journal).await?;
    Ok(())
}

/// The journal of a creation.
struct Creation<'a> {
    id: FleetId,
    planned: Fleet,
    state: &'a mut State<Fleet>,
}

impl Journal<cloud::Fleet> for Creation<'_> {
    fn saved(&mut self, fleet: &cloud::Fleet) {
        let mut made = self.planned.clone();
        made.id = Attr::Known(self.id.to_string());
        made.region = Attr::Known(self.id.region.clone());
        made.zone = Attr::from(fleet.zone.clone());
        made.subnet = Attr::from(fleet.subnet.clone());
        made.drift = Attr::Known(BTreeMap::new());
        if model::ssh(&self.planned) != fleet.ssh {
            made.ssh = Attr::Null;
        }
        self.state.save(&made);
    }

    fn removed(&mut self) {
        self.state.remove();
    }

    fn warned(&mut self, warning: Warning) {
        self.state.warn_all(diagnose::warning(warning));
    }
}

pub(super) async fn read(session: &Session, ctx: &Ctx, state: &mut State<Fleet>) -> Result<()> {
    let Some(mut fleet) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&fleet)?;
    let orchestrator = session.orchestrator();
    let snapshot = orchestrator.snapshot(&deadline(ctx), &id, Freshness::Any).await?;
    let Some(found) = &snapshot.fleet else {
        state.remove();
        return Ok(());
    };
    fleet.region = Attr::Known(id.region.clone());
    fleet.zone = Attr::from(found.zone.clone());
    fleet.subnet = Attr::from(found.subnet.clone());
    fleet.placement = Attr::Known(model::placement_word(found.placement).to_owned());
    if model::ssh(&fleet) != found.ssh {
        fleet.ssh = model::shown_ssh(&found.ssh);
    }
    let mut drift = found.findings.clone();
    drift.extend(diagnose::drift(&service::unowned(&snapshot, &id)));
    fleet.drift = Attr::Known(drift);
    state.save(&fleet);
    Ok(())
}

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &Fleet,
    mut planned: Fleet,
    state: &mut State<Fleet>,
) -> Result<()> {
    let id = model::id(prior)?;
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let has_drift = prior.drift.known().is_some_and(|findings| !findings.is_empty());
    let ssh = model::ssh(&planned);
    let is_another = model::ssh(prior) != ssh;
    let another = is_another.then_some(ssh.as_ref());
    fleet::update(orchestrator, deadline, &id, has_drift, another).await?;
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    Ok(())
}

pub(super) async fn delete(session: &Session, ctx: &Ctx, state: &mut State<Fleet>) -> Result<()> {
    let Some(fleet) = state.get() else { return Ok(()) };
    let id = model::id(fleet)?;
    if session.addresses().is_made(&id.to_string()) {
        let what = format!("fleet {id}");
        return Err(Failure::TwoAddresses { what, kind: "disagg_fleet" });
    }
    fleet::delete(session.orchestrator(), &deadline(ctx), &id).await?;
    state.remove();
    Ok(())
}

pub(super) async fn import(
    session: &Session,
    ctx: &Ctx,
    path: &str,
    state: &mut State<Fleet>,
) -> Result<()> {
    let id: FleetId = path.parse().map_err(|error| Failure::import_id(format!("{error}.")))?;
    let orchestrator = session.orchestrator();
    let snapshot = orchestrator.snapshot(&deadline(ctx), &id, Freshness::Any).await?;
    if snapshot.fleet.is_none() {
        return Err(Failure::Missing {
            what: format!("fleet {id}"),
            attribute: Some(AttributePath::root("id")),
            hint: format!(
                "The cloud `{}` has no fleet `{}` in region `{}`.",
                id.cloud, id.name, id.region
            ),
        });
    }
    state.save(&Fleet {
        id: Attr::Known(id.to_string()),
        name: Attr::Known(id.name),
        cloud: Attr::Known(id.cloud.to_string()),
        region: Attr::Known(id.region),
        ..Fleet::default()
    });
    read(session, ctx, state).await
}
