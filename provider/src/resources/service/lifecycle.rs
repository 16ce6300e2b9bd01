//! A service is made, changed and removed: from the model to what is to be done, and back into the state.

use super::model;
use super::record::{RouterRecord, remember};
use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use domain::id::{ServiceId, Uid};
use orchestration::journal::{Journal, Warning};
use orchestration::service::{self, ServiceChange, ServiceProgress, ServiceRecord};
use plugin::{Attr, Ctx, State};
use schemas::Service;
use std::collections::BTreeMap;

pub(super) async fn create(
    session: &Session,
    ctx: &Ctx,
    planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let fleet = model::fleet_id(&planned)?;
    let name = planned.name.known().cloned().unwrap_or_default();
    // Under which id it is made is decided in the cloud.
    let id = ServiceId { fleet, name, uid: Uid::from_random(0) };
    let desired = model::desired(&planned, &id)?;
    let mut journal = Creation { planned, state };
    service::create(session.orchestrator(), &deadline(ctx), &desired, &mut journal).await?;
    Ok(())
}

/// The journal of a creation.
struct Creation<'a> {
    planned: Service,
    state: &'a mut State<Service>,
}

impl Journal<ServiceRecord> for Creation<'_> {
    fn saved(&mut self, record: &ServiceRecord) {
        let ServiceRecord { id, address, router, live } = record;
        self.planned.id = Attr::Known(id.to_string());
        self.planned.drift = Attr::Known(BTreeMap::new());
        model::fill_address(&mut self.planned, address);
        model::fill_offer(&mut self.planned, router.as_ref());
        self.state.save(&self.planned);
        let record = RouterRecord { live: *live, address: address.ip, workers: 0, moved: false };
        remember(self.state, &record);
    }

    fn removed(&mut self) {
        self.state.remove();
    }

    fn warned(&mut self, warning: Warning) {
        self.state.warn_all(diagnose::warning(warning));
    }
}

pub(super) async fn update(
    session: &Session,
    ctx: &Ctx,
    prior: &Service,
    planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let id = model::id(prior)?;
    let desired = model::desired(&planned, &id)?;
    let change = ServiceChange {
        ingress: model::ingress(prior) != model::ingress(&planned),
        endpoint: prior.public_ip != planned.public_ip || planned.endpoint.is_unknown(),
        has_drift: prior.drift.known().is_some_and(|drift| !drift.is_empty()),
    };
    let mut journal = Update { prior, planned, state };
    let (orchestrator, deadline) = (session.orchestrator(), deadline(ctx));
    service::update(orchestrator, &deadline, &id, &desired, change, &mut journal).await?;
    let Update { mut planned, state, .. } = journal;
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    if let Some(record) = RouterRecord::load(state.private()) {
        remember(state, &RouterRecord { moved: false, ..record });
    }
    Ok(())
}

/// The journal of an update: what was before stays in the state until everything is done, but for what is.
struct Update<'a> {
    prior: &'a Service,
    planned: Service,
    state: &'a mut State<Service>,
}

impl Journal<ServiceProgress> for Update<'_> {
    fn saved(&mut self, done: &ServiceProgress) {
        match done {
            ServiceProgress::Opened => {
                let mut opened = self.prior.clone();
                opened.ingress_cidrs = self.planned.ingress_cidrs.clone();
                self.state.save(&opened);
            }
            ServiceProgress::Reachable(address) => model::fill_address(&mut self.planned, address),
            // What was planned as known stays: the price of another day is no change.
            ServiceProgress::Recovered(router) if self.planned.instance_type.is_unknown() => {
                model::fill_offer(&mut self.planned, Some(router));
            }
            ServiceProgress::Recovered(_) => {}
        }
    }

    fn removed(&mut self) {
        self.state.remove();
    }

    fn warned(&mut self, warning: Warning) {
        self.state.warn_all(diagnose::warning(warning));
    }
}

pub(super) async fn delete(session: &Session, ctx: &Ctx, state: &mut State<Service>) -> Result<()> {
    let Some(service) = state.get().cloned() else { return Ok(()) };
    let id = model::id(&service)?;
    if session.addresses().is_made(&id.path()) {
        let what = format!("service {id}");
        return Err(Failure::TwoAddresses { what, kind: "disagg_service" });
    }
    service::delete(session.orchestrator(), &deadline(ctx), &id).await?;
    state.remove();
    Ok(())
}
