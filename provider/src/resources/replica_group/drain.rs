//! Machines of a group go only when nothing runs on them any more, or `drain_timeout` is over.

use super::model;
use crate::diagnose;
use crate::error::{Doing, Result};
use crate::readiness::{self, Drained};
use crate::resources::service::FoundService;
use crate::session::{Session, key};
use cloud::{Cloud, FleetKey, Instance, Limits, ObjectId, Phase};
use domain::catalogue;
use domain::drain::WorkersWith;
use domain::engine;
use domain::id::GroupId;
use domain::spec::{GroupSpec, WorkerRole};
use plugin::{Ctx, Diagnostic};
use schemas::ReplicaGroup;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How the machines of a group are drained.
#[derive(Debug)]
pub(super) struct Draining {
    cloud: Arc<dyn Cloud>,
    http: reqwest::Client,
    fleet: FleetKey,
    id: GroupId,
    /// The router that chooses them; none that is up, none that could be told.
    router: Option<IpAddr>,
    /// What they are made of, as far as the state tells; none whose commands are the user's own, which
    /// Dynamo need not know.
    spec: Option<GroupSpec>,
    limit: Duration,
}

impl Draining {
    /// For a group of this service, which may be gone.
    pub(super) fn new(
        session: &Session,
        cloud: &Arc<dyn Cloud>,
        group: &ReplicaGroup,
        id: &GroupId,
        service: &FoundService,
    ) -> Result<Self> {
        let router = service.router.as_ref().filter(|router| router.state.is_up());
        let address = service.address.as_ref().map(|address| address.ip);
        let spec = model::spec(group, id).ok().filter(|spec| spec.engine.kind != engine::CUSTOM);
        Ok(Self {
            cloud: Arc::clone(cloud),
            http: session.http()?,
            fleet: key(&id.service.fleet),
            id: id.clone(),
            router: router.and(address),
            spec,
            limit: model::drain_timeout(group),
        })
    }

    /// Marks machines as on their way out: from now on they count no longer.
    pub(super) async fn mark(&self, machines: &[Instance]) -> Result<()> {
        let is_new = |machine: &&Instance| Phase::of(&machine.tags) != Phase::Draining;
        let objects: Vec<ObjectId> = machines
            .iter()
            .filter(is_new)
            .map(|machine| ObjectId::Instance(machine.id.clone()))
            .collect();
        if objects.is_empty() {
            return Ok(());
        }
        let tagged = self.cloud.tag(&self.fleet, &objects, &Phase::Draining.tag()).await;
        tagged.doing(self.cloud.name(), || format!("tag machines of replica group {}", self.id))
    }

    /// Waits until nothing runs on these machines. What comes back is said to the user: answers that were
    /// not waited for to their end.
    pub(super) async fn wait(
        &self,
        ctx: &Ctx,
        machines: &[Instance],
    ) -> Result<Option<Diagnostic>> {
        let (Some(router), Some(spec)) = (self.router, &self.spec) else {
            tracing::debug!(group = %self.id, "no router of Dynamo's to be told: nothing is drained");
            return Ok(None);
        };
        let what = format!("replica group {}", self.id);
        let drain = readiness::Drain {
            cloud: &*self.cloud,
            http: &self.http,
            router,
            what: &what,
            with: WorkersWith::of(&spec.engine.kind, spec.role == WorkerRole::Prefill),
            limit: self.limit,
        };
        let engines = |machine: &Instance| {
            let offer = catalogue::find(self.cloud.name(), &machine.instance_type);
            offer.and_then(|offer| spec.engine_count(&offer).ok()).unwrap_or(1)
        };
        let mut drained = drain.run(ctx, machines, engines).await?;
        if let Drained::NoRoute(reason) = &drained {
            tracing::warn!(group = %self.id, %router, reason, "machines drain by themselves");
            if !self.limit.is_zero() && Limits::of(self.cloud.name()).machines_see_tags {
                let (cloud, fleet) = (&*self.cloud, &self.fleet);
                drained =
                    readiness::self_drained(ctx, cloud, fleet, &what, machines, self.limit).await?;
            }
        }
        Ok(match drained {
            Drained::Empty | Drained::NoRoute(_) => None,
            Drained::Busy(busy) => Some(diagnose::drain_ended(&what, self.limit, &busy)),
        })
    }
}
