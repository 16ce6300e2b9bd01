//! `disagg_fleet`.

mod lifecycle;
mod model;
mod plan;

use crate::diagnose;
use crate::diagnose::AttributesOf;
use crate::error::Failure;
use crate::resources::identity;
use crate::session::Session;
use async_trait::async_trait;
use cloud::RequestPart;
use plugin::{
    AttributePath, Change, Ctx, Diagnostics, IdentityPart, Resource, Schema, State, Timeouts,
};
use schemas::Fleet;
use std::{sync::Arc, time::Duration};

#[derive(Debug)]
pub(crate) struct FleetResource {
    session: Arc<Session>,
}

impl FleetResource {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

#[async_trait]
impl Resource for FleetResource {
    type Model = Fleet;

    fn type_name(&self) -> &'static str {
        "disagg_fleet"
    }

    fn schema(&self) -> Schema {
        schemas::schema::<Fleet>(0)
    }

    fn timeouts(&self) -> Timeouts {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Timeouts { create: minutes(10), read: minutes(5), update: minutes(10), delete: minutes(20) }
    }

    fn validate(&self, config: &Fleet) -> Diagnostics {
        plan::validate(config)
    }

    fn plan(&self, change: &mut Change<Fleet>) -> Diagnostics {
        let mut diagnostics = plan::plan(
            change,
            |cloud| self.session.default_region(cloud),
            |cloud| self.session.local_gpus(cloud),
        );
        if let Some(twice) = self.session.addresses().plan(&plan::addresses(change)) {
            let found = diagnose::two_addresses(&format!("fleet {twice}"), "disagg_fleet");
            diagnostics.push(match change.is_destroy() {
                true => found,
                false => found.at(AttributePath::root("name")),
            });
        }
        diagnostics
    }

    async fn create(
        &self,
        ctx: &Ctx,
        planned: Fleet,
        state: &mut State<Fleet>,
    ) -> Result<(), Diagnostics> {
        lifecycle::create(&self.session, ctx, planned, state).await.map_err(diagnosed)
    }

    async fn read(&self, ctx: &Ctx, state: &mut State<Fleet>) -> Result<(), Diagnostics> {
        lifecycle::read(&self.session, ctx, state).await.map_err(diagnosed)
    }

    async fn update(
        &self,
        ctx: &Ctx,
        prior: Fleet,
        planned: Fleet,
        state: &mut State<Fleet>,
    ) -> Result<(), Diagnostics> {
        lifecycle::update(&self.session, ctx, &prior, planned, state).await.map_err(diagnosed)
    }

    async fn delete(&self, ctx: &Ctx, state: &mut State<Fleet>) -> Result<(), Diagnostics> {
        lifecycle::delete(&self.session, ctx, state).await.map_err(diagnosed)
    }

    fn identity_parts(&self) -> &'static [IdentityPart] {
        identity::FLEET
    }

    fn identity(&self, model: &Fleet) -> Option<Vec<String>> {
        identity::of(&model.id)
    }

    async fn import(
        &self,
        ctx: &Ctx,
        id: &str,
        state: &mut State<Fleet>,
    ) -> Result<(), Diagnostics> {
        lifecycle::import(&self.session, ctx, id, state).await.map_err(diagnosed)
    }
}

fn diagnosed(failure: Failure) -> Diagnostics {
    diagnose::failure(failure, PARTS)
}

/// What of a request to the cloud each attribute stands for.
const PARTS: &AttributesOf = &[
    (RequestPart::Zone, "zone"),
    (RequestPart::Subnet, "subnet"),
    (RequestPart::InstanceType, "gpus"),
    (RequestPart::SshKey, "ssh"),
];
