//! Machines of a group go only when nothing runs on them any more, or the time for that is over.

use crate::failure::{Doing, Result};
use crate::http::Http;
use crate::journal::Warning;
use crate::orchestrator::Orchestrator;
use crate::readiness::{Drain, Drained, Listings};
use crate::service::find_by_id;
use crate::snapshot::{Snapshot, key};
use cloud::{Cloud, Deadline, Feature, FleetKey, Instance, Managed, ObjectId, Phase};
use domain::id::GroupId;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How the machines of a group are drained.
#[derive(Debug)]
pub(crate) struct Draining {
    cloud: Arc<Managed>,
    http: Arc<dyn Http>,
    listings: Arc<Listings>,
    fleet: FleetKey,
    id: GroupId,
    /// The router that chooses them; none that is up, none that could be told.
    router: Option<IpAddr>,
    limit: Duration,
}

impl Draining {
    /// For a group of this service, which may be gone.
    pub(crate) fn new(
        orchestrator: &Orchestrator,
        cloud: &Arc<Managed>,
        id: &GroupId,
        limit: Duration,
        snapshot: &Snapshot,
    ) -> Result<Self> {
        let service = find_by_id(snapshot, &id.service);
        let router = service.router.as_ref().filter(|router| router.state.is_up());
        let address = service.address.as_ref().map(|address| address.ip);
        Ok(Self {
            cloud: Arc::clone(cloud),
            http: orchestrator.http()?,
            listings: orchestrator.listings(),
            fleet: key(&id.service.fleet),
            id: id.clone(),
            router: router.and(address),
            limit,
        })
    }

    /// Marks machines as on their way out: from now on they count no longer.
    pub(crate) async fn mark(&self, machines: &[Instance]) -> Result<()> {
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
    pub(crate) async fn wait(
        &self,
        deadline: &Deadline,
        machines: &[Instance],
    ) -> Result<Option<Warning>> {
        let Some(router) = self.router else {
            tracing::debug!(group = %self.id, "no router to be told: nothing is drained");
            return Ok(None);
        };
        let what = format!("replica group {}", self.id);
        let drain = Drain {
            cloud: &*self.cloud,
            fleet: &self.fleet,
            listings: &self.listings,
            http: &*self.http,
            what: &what,
            limit: self.limit,
        };
        let mut drained = drain.by_router(deadline, router, machines).await?;
        if let Drained::NoRoute(reason) = &drained {
            tracing::warn!(group = %self.id, %router, reason, "machines drain by themselves");
            if !self.limit.is_zero() && self.cloud.name().has(Feature::OwnTags) {
                drained = drain.by_themselves(deadline, machines).await?;
            }
        }
        Ok(match drained {
            Drained::Empty | Drained::NoRoute(_) => None,
            Drained::Busy(busy) => {
                Some(Warning::DrainEnded { group: self.id.clone(), limit: self.limit, busy })
            }
        })
    }
}
