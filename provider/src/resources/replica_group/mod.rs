//! `disagg_replica_group`: N identical workers.

mod agreement;
mod counterpart;
mod handover;
mod journal;
mod lifecycle;
mod model;
mod plan;
mod read;
mod this_computer;
mod validate;
mod warnings;

pub(crate) use model::{offers, spec as group_spec};
pub(crate) use validate::validate as check;

use this_computer::ThisComputer;

use crate::diagnose;
use crate::diagnose::AttributesOf;
use crate::error::Failure;
use crate::resources::concealment::concealed;
use crate::resources::identity;
use crate::session::Session;
use async_trait::async_trait;
use cloud::RequestPart;
use plugin::{Change, Ctx, Diagnostics, IdentityPart, Resource, Schema, State, Timeouts, Value};
use schemas::ReplicaGroup;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// A large model takes an hour to be read from a slow disk; a removal waits for no boot.
const TIMEOUTS: Timeouts = Timeouts {
    create: Duration::from_secs(90 * 60),
    read: Duration::from_secs(5 * 60),
    update: Duration::from_secs(90 * 60),
    delete: Duration::from_secs(30 * 60),
};

#[derive(Debug)]
pub(crate) struct ReplicaGroupResource {
    session: Arc<Session>,
}

impl ReplicaGroupResource {
    pub(crate) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

#[async_trait]
impl Resource for ReplicaGroupResource {
    type Model = ReplicaGroup;

    fn type_name(&self) -> &'static str {
        "disagg_replica_group"
    }

    fn schema(&self) -> Schema {
        schemas::schema::<ReplicaGroup>(0)
    }

    fn timeouts(&self) -> Timeouts {
        TIMEOUTS
    }

    fn concealed(&self, config: &Value) -> BTreeSet<String> {
        concealed(config)
    }

    fn validate(&self, config: &ReplicaGroup) -> Diagnostics {
        validate::validate(config)
    }

    async fn before_removal(&self, leaving: ReplicaGroup) {
        if let Some(id) = leaving.id.known() {
            self.session.addresses().hear_of(id).await;
        }
    }

    fn plan(&self, change: &mut Change<ReplicaGroup>) -> Diagnostics {
        let computer = ThisComputer {
            gpus: &|cloud| self.session.local_gpus(cloud),
            missing_environment: &|cloud, engine| self.session.missing_environment(cloud, engine),
            version: &|service| self.session.siblings().service(service).version,
        };
        let mut diagnostics = plan::plan(change, &computer);
        let (prior, planned) = (change.prior.as_ref(), change.planned.as_ref());
        diagnostics.extend(counterpart::warn(self.session.siblings(), prior, planned));
        agreement::compare(&self.session, change, &mut diagnostics);
        diagnostics.extend(handover::plan(self.session.addresses(), change));
        diagnostics
    }

    async fn create(
        &self,
        ctx: &Ctx,
        planned: ReplicaGroup,
        state: &mut State<ReplicaGroup>,
    ) -> Result<(), Diagnostics> {
        lifecycle::create(&self.session, ctx, planned, state).await.map_err(diagnosed)
    }

    async fn read(&self, ctx: &Ctx, state: &mut State<ReplicaGroup>) -> Result<(), Diagnostics> {
        read::read(&self.session, ctx, state).await.map_err(diagnosed)
    }

    async fn update(
        &self,
        ctx: &Ctx,
        prior: ReplicaGroup,
        planned: ReplicaGroup,
        state: &mut State<ReplicaGroup>,
    ) -> Result<(), Diagnostics> {
        let result = lifecycle::update(&self.session, ctx, &prior, planned, state).await;
        result.map_err(diagnosed)
    }

    async fn delete(&self, ctx: &Ctx, state: &mut State<ReplicaGroup>) -> Result<(), Diagnostics> {
        lifecycle::delete(&self.session, ctx, state).await.map_err(diagnosed)
    }

    fn identity_parts(&self) -> &'static [IdentityPart] {
        identity::REPLICA_GROUP
    }

    fn identity(&self, model: &ReplicaGroup) -> Option<Vec<String>> {
        identity::of(&model.id)
    }

    async fn import(
        &self,
        ctx: &Ctx,
        id: &str,
        state: &mut State<ReplicaGroup>,
    ) -> Result<(), Diagnostics> {
        read::import(&self.session, ctx, id, state).await.map_err(diagnosed)
    }
}

fn diagnosed(failure: Failure) -> Diagnostics {
    diagnose::failure(failure, PARTS)
}

/// What of a request to the cloud each attribute stands for.
const PARTS: &AttributesOf = &[
    (RequestPart::InstanceType, "resources"),
    (RequestPart::Image, "image"),
    (RequestPart::Identity, "identity"),
    (RequestPart::Purchase, "market"),
    (RequestPart::Reservation, "reservation"),
    (RequestPart::Egress, "egress"),
    (RequestPart::BootDocument, "engine"),
];
