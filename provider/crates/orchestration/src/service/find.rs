//! A service as it is in its fleet: its reserved address, its router, its workers.

use crate::failure::{Failure, Missing, Result};
use crate::snapshot::Snapshot;
use cloud::{Address, Instance, InstanceState, Phase, Tags, tag};
use domain::id::{FleetId, ServiceId};
use domain::spec::ServiceFacts;
use std::collections::BTreeSet;

/// The role of a router, in its tag.
pub(crate) const ROUTER: &str = "router";

/// Everything of one service in one snapshot of its fleet.
#[derive(Clone, Debug)]
pub struct FoundService {
    pub address: Option<Address>,
    pub router: Option<Instance>,
    /// Routers on their way out: they may hold the address for a while.
    pub leaving: Vec<Instance>,
    pub workers: Vec<Instance>,
}

impl FoundService {
    /// Whether the router was ever healthy.
    pub fn was_ready(&self) -> bool {
        let tagged = |tags: &cloud::Tags| tags.contains_key(tag::READY_AT);
        self.address.as_ref().is_some_and(|address| tagged(&address.tags))
            || self.router.as_ref().is_some_and(|router| tagged(&router.tags))
    }

    /// Whether there are workers that a record has: they may hold connections to the router.
    pub fn has_owned_workers(&self) -> bool {
        self.workers.iter().any(|worker| worker.phase().is_owned())
    }

    /// Workers in no record: their creation died, or goes on somewhere else. Those that were launched for
    /// a group that is owned are the group's to see to.
    pub(crate) fn unowned_workers(&self) -> impl Iterator<Item = &Instance> {
        let is_unowned = |worker: &Instance| !worker.phase().is_owned();
        let group = |worker: &Instance| worker.tags.get(tag::GROUP).cloned();
        let owned: BTreeSet<_> =
            self.workers.iter().filter(|worker| !is_unowned(worker)).filter_map(group).collect();
        let workers = self.workers.iter();
        workers
            .filter(move |worker| is_unowned(worker))
            .filter(move |worker| group(worker).is_none_or(|group| !owned.contains(&group)))
            .filter(|worker| worker.state != InstanceState::Terminating)
    }

    /// Whether nothing of it is left.
    pub fn is_gone(&self) -> bool {
        self.address.is_none() && self.router.is_none() && self.workers.is_empty()
    }

    /// Whether all of it is what a creation that died has left: it is in no record.
    pub(crate) fn is_unowned(&self) -> bool {
        let address = self.address.iter().map(Address::phase);
        let instances = self.router.iter().chain(&self.workers).map(Instance::phase);
        !address.chain(instances).any(Phase::is_owned)
    }

    /// What its address says about it, for its groups.
    pub fn facts(&self, id: &ServiceId) -> Result<(ServiceFacts, Address)> {
        let address = self.address.clone();
        let address = address.ok_or_else(|| Failure::Missing(Missing::Service(id.clone())))?;
        let facts = ServiceFacts::from_tags(id, address.ip, &address.tags).map_err(|error| {
            Failure::Missing(Missing::Facts { service: id.clone(), error: error.to_string() })
        })?;
        Ok((facts, address))
    }
}

/// The service with this id.
pub fn find_by_id(snapshot: &Snapshot, id: &ServiceId) -> FoundService {
    let wanted = id.label();
    let meant = |tags: &Tags| tags.get(tag::SERVICE) == Some(&wanted);
    let address = snapshot.addresses.iter().find(|address| meant(&address.tags)).cloned();
    // What is at the reserved address is the router, whatever has become of its tags; a worker that
    // has lost one is still none. Only without an address do the tags tell.
    let is_router = |instance: &Instance| match &address {
        Some(address) => address.is_held_by(instance),
        None => instance.tags.get(tag::ROLE).is_some_and(|role| role == ROUTER),
    };
    let instances = snapshot.instances.iter();
    let (routers, workers): (Vec<_>, Vec<_>) = instances
        .filter(|instance| meant(&instance.tags) || (address.is_some() && is_router(instance)))
        .cloned()
        .partition(is_router);
    // A router that is being removed is no router; the newest one counts.
    let (leaving, routers): (Vec<_>, Vec<_>) =
        routers.into_iter().partition(|router| router.state == InstanceState::Terminating);
    let router = routers.into_iter().max_by_key(|router| router.launched_at);
    FoundService { address, router, leaving, workers }
}

/// Services of this name, whatever their uid: by their ids.
pub fn find_by_name(snapshot: &Snapshot, fleet: &FleetId, name: &str) -> Vec<ServiceId> {
    all(snapshot, fleet).into_iter().filter(|id| id.name == name).collect()
}

/// Every service that has anything in the fleet.
pub fn all(snapshot: &Snapshot, fleet: &FleetId) -> Vec<ServiceId> {
    let tags = snapshot.addresses.iter().map(|address| &address.tags);
    let tags = tags.chain(snapshot.instances.iter().map(|instance| &instance.tags));
    let mut ids: Vec<ServiceId> =
        tags.filter_map(|tags| ServiceId::of_label(fleet, tags.get(tag::SERVICE)?).ok()).collect();
    ids.sort();
    ids.dedup();
    ids
}
