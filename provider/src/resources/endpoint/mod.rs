//! `disagg_endpoint`: nothing in the cloud, only the moment at which the service answers.

mod lifecycle;
mod plan;

use crate::diagnose;
use crate::error::Failure;
use crate::resources::identity;
use crate::session::Session;
use async_trait::async_trait;
use plugin::{Change, Ctx, Diagnostics, IdentityPart, Resource, Schema, State, Timeouts};
use schemas::Endpoint;
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
pub(crate) struct EndpointResource {
    session: Arc<Session>,
}

impl EndpointResource {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

#[async_trait]
impl Resource for EndpointResource {
    type Model = Endpoint;

    fn type_name(&self) -> &'static str {
        "disagg_endpoint"
    }

    fn schema(&self) -> Schema {
        schemas::schema::<Endpoint>(0)
    }

    fn timeouts(&self) -> Timeouts {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Timeouts { create: minutes(15), read: minutes(5), update: minutes(15), delete: minutes(20) }
    }

    fn plan(&self, change: &mut Change<Endpoint>) -> Diagnostics {
        plan::plan(change, |service| self.session.endpoint_changes(service))
    }

    async fn create(
        &self,
        ctx: &Ctx,
        planned: Endpoint,
        state: &mut State<Endpoint>,
    ) -> Result<(), Diagnostics> {
        lifecycle::establish(&self.session, ctx, planned, state).await.map_err(diagnosed)
    }

    async fn read(&self, ctx: &Ctx, state: &mut State<Endpoint>) -> Result<(), Diagnostics> {
        lifecycle::read(&self.session, ctx, state).await.map_err(diagnosed)
    }

    async fn update(
        &self,
        ctx: &Ctx,
        prior: Endpoint,
        planned: Endpoint,
        state: &mut State<Endpoint>,
    ) -> Result<(), Diagnostics> {
        if !plan::waits_again(&prior, &planned) {
            state.save(&planned);
            return Ok(());
        }
        lifecycle::establish(&self.session, ctx, planned, state).await.map_err(diagnosed)
    }

    async fn delete(&self, _ctx: &Ctx, state: &mut State<Endpoint>) -> Result<(), Diagnostics> {
        // There is nothing to remove: service and groups are resources of their own.
        state.remove();
        Ok(())
    }

    fn identity_parts(&self) -> &'static [IdentityPart] {
        identity::SERVICE
    }

    fn identity(&self, model: &Endpoint) -> Option<Vec<String>> {
        identity::of(&model.id)
    }

    async fn import(
        &self,
        ctx: &Ctx,
        id: &str,
        state: &mut State<Endpoint>,
    ) -> Result<(), Diagnostics> {
        lifecycle::import(&self.session, ctx, id, state).await.map_err(diagnosed)
    }
}

fn diagnosed(failure: Failure) -> Diagnostics {
    diagnose::failure(failure, &[])
}
