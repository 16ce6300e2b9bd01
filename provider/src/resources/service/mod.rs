//! `disagg_service`: the router and its reserved address.

mod lifecycle;
mod model;
mod plan;
mod read;
mod record;

pub(crate) use model::spec as router_spec;
pub(crate) use plan::validate as check;

use crate::diagnose;
use crate::diagnose::AttributesOf;
use crate::error::Failure;
use crate::resources::attributes::service_of;
use crate::resources::concealment::concealed;
use crate::resources::identity;
use crate::session::Session;
use crate::siblings::PlannedService;
use async_trait::async_trait;
use cloud::RequestPart;
use plugin::{
    AttributePath, Change, Ctx, Diagnostics, IdentityPart, Resource, Schema, State, Timeouts, Value,
};
use schemas::Service;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

#[derive(Debug)]
pub(crate) struct ServiceResource {
    session: Arc<Session>,
}

impl ServiceResource {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

#[async_trait]
impl Resource for ServiceResource {
    type Model = Service;

    fn type_name(&self) -> &'static str {
        "disagg_service"
    }

    fn schema(&self) -> Schema {
        schemas::schema::<Service>(0)
    }

    fn timeouts(&self) -> Timeouts {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Timeouts { create: minutes(20), read: minutes(5), update: minutes(20), delete: minutes(20) }
    }

    fn concealed(&self, config: &Value) -> BTreeSet<String> {
        concealed(config)
    }

    fn validate(&self, config: &Service) -> Diagnostics {
        plan::validate(config)
    }

    fn plan(&self, change: &mut Change<Service>) -> Diagnostics {
        let mut diagnostics = plan::plan(change);
        let planned = plan::addresses(change);
        if let Some(twice) = self.session.addresses().plan(&planned) {
            let found = diagnose::two_addresses(&format!("service {twice}"), "disagg_service");
            diagnostics.push(match change.is_destroy() {
                true => found,
                false => found.at(AttributePath::root("name")),
            });
        }
        if let (Some(prior), Some(planned)) = (&change.prior, &change.planned)
            && let Some(id) = prior.id.known()
        {
            self.session.set_endpoint_change(id, planned.endpoint.is_unknown());
        }
        if let Some(planned) = &change.planned
            && let Some(id) = service_of(&planned.id)
        {
            let version = planned.version.known().and_then(|version| version.parse().ok());
            let service = PlannedService { model: planned.model.known().cloned(), version };
            self.session.siblings().plan_service(id.path(), service);
        }
        diagnostics
    }

    async fn create(
        &self,
        ctx: &Ctx,
        planned: Service,
        state: &mut State<Service>,
    ) -> Result<(), Diagnostics> {
        lifecycle::create(&self.session, ctx, planned, state).await.map_err(diagnosed)
    }

    async fn read(&self, ctx: &Ctx, state: &mut State<Service>) -> Result<(), Diagnostics> {
        read::read(&self.session, ctx, state).await.map_err(diagnosed)
    }

    async fn update(
        &self,
        ctx: &Ctx,
        prior: Service,
        planned: Service,
        state: &mut State<Service>,
    ) -> Result<(), Diagnostics> {
        let result = lifecycle::update(&self.session, ctx, &prior, planned, state).await;
        result.map_err(diagnosed)
    }

    async fn delete(&self, ctx: &Ctx, state: &mut State<Service>) -> Result<(), Diagnostics> {
        lifecycle::delete(&self.session, ctx, state).await.map_err(diagnosed)
    }

    fn identity_parts(&self) -> &'static [IdentityPart] {
        identity::SERVICE
    }

    fn identity(&self, model: &Service) -> Option<Vec<String>> {
        identity::of(&model.id)
    }

    async fn import(
        &self,
        ctx: &Ctx,
        id: &str,
        state: &mut State<Service>,
    ) -> Result<(), Diagnostics> {
        read::import(&self.session, ctx, id, state).await.map_err(diagnosed)
    }
}

fn diagnosed(failure: Failure) -> Diagnostics {
    diagnose::failure(failure, PARTS)
}

/// What of a request to the cloud each attribute stands for.
const PARTS: &AttributesOf = &[
    (RequestPart::Image, "image"),
    (RequestPart::InstanceType, "router"),
    (RequestPart::BootDocument, "router"),
];
