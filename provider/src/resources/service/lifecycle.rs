//! A service is made, changed and removed: from the model to what is to be done, and back into the state.

use super::model;
use super::record::{RouterRecord, remember};
use crate::deadline::deadline;
use crate::diagnose;
use crate::error::{Failure, Result};
use crate::session::Session;
use domain::id::{ServiceId, Uid};
use orchestration::journal::{Journal, Warning};
use orchestration::service::{self, ServiceRecord};
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
        let record = RouterRecord { live: *live, address: address.ip, workers: 0 };
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
    mut planned: Service,
    state: &mut State<Service>,
) -> Result<()> {
    let (orchestrator, deadline) = (session.orchestrator(), &deadline(ctx));
    let id = model::id(prior)?;
    let desired = model::desired(&planned, &id)?;
    let drift = prior.drift.known();
    let has_drift = drift.is_some_and(|drift| !drift.is_empty());
    let is_rule_another = drift.is_some_and(|drift| drift.contains_key(diagnose::RULE));
    if is_rule_another || model::ingress(prior) != model::ingress(&planned) {
        service::set_ingress(orchestrator, deadline, &id, &desired).await?;
        let mut done = prior.clone();
        done.ingress_cidrs = planned.ingress_cidrs.clone();
        state.save(&done);
    }
    if prior.public_ip != planned.public_ip || planned.endpoint.is_unknown() {
        let address = service::change_endpoint(orchestrator, deadline, &id, &desired).await?;
        model::fill_address(&mut planned, &address);
    }
    if has_drift {
        let instance = service::recover(orchestrator, deadline, &id, &desired).await?;
        // What was planned as known stays: the price of another day is no change.
        if planned.instance_type.is_unknown() {
            model::fill_offer(&mut planned, Some(&instance));
        }
    }
    planned.drift = Attr::Known(BTreeMap::new());
    state.save(&planned);
    Ok(())
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
