//! What there is in a fleet, seen at one moment and shared by all operations of this process.
//!
//! Deliberately not here: what it means. That a change makes a snapshot old is told by the calls themselves
//! ([`cloud::Changes`]), so nobody has to remember to say so.

use crate::failure::{Doing, Failure, Result};
use crate::outages::{Missed, Outages, SHARED, ended_first};
use cloud::{
    Address, Changes, Cloud, CloudName, Deadline, Fleet, FleetKey, FleetPart, Instance, InstanceId,
    LabelFilter, Managed, Opening, until_visible,
};
use domain::id::FleetId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Everything that is in a fleet.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The fleet itself; none when there is no such fleet.
    pub fleet: Option<Fleet>,
    /// Its reserved addresses.
    pub addresses: Vec<Address>,
    /// Its machines.
    pub instances: Vec<Instance>,
}

impl Snapshot {
    /// What may reach this service from outside, by its tag.
    pub fn ingress(&self, service: &str) -> Option<&Opening> {
        let rules = &self.fleet.as_ref()?.ingress;
        rules.iter().find(|rule| rule.service == service).map(|rule| &rule.opening)
    }
}

/// How new a snapshot has to be. What this process itself has changed is in none that is older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Whatever was seen in this process.
    Any,
    /// Seen a moment ago: operations that begin side by side share one.
    Recent,
    /// With machines that were seen after it was asked for.
    NewInstances,
    /// All of it seen after it was asked for.
    New,
}

/// The snapshots of one process.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    seen: Mutex<Seen>,
    outages: Outages,
}

#[derive(Debug, Default)]
struct Seen {
    latest: BTreeMap<FleetId, Read>,
    /// Of fleets of which only a part has changed since: what was seen of the rest.
    unchanged: BTreeMap<FleetId, Unchanged>,
}

/// One reading, which whoever comes first does for all.
#[derive(Clone, Debug)]
struct Read {
    begun: Instant,
    snapshot: Arc<OnceCell<Result<Arc<Snapshot>, Missed>>>,
}

impl Read {
    fn new() -> Self {
        Self { begun: Instant::now(), snapshot: Arc::default() }
    }

    /// What was seen, if anything.
    fn seen(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.get()?.as_ref().ok().cloned()
    }
}

/// What nothing has happened to since it was seen.
#[derive(Clone, Debug, Default)]
struct Unchanged {
    fleet: Option<Fleet>,
    addresses: Option<Vec<Address>>,
}

impl Snapshots {
    /// Another run begins.
    pub(crate) fn forget(&self) {
        *self.seen() = Seen::default();
        self.outages.forget();
    }

    /// What there is, shared by all of this process, whatever has come of it: a hundred groups that are
    /// read side by side read once, also where the cloud does not answer.
    pub(crate) async fn get(
        &self,
        deadline: &Deadline,
        cloud: &Managed,
        id: &FleetId,
        freshness: Freshness,
    ) -> Result<Arc<Snapshot>> {
        self.expire(id, freshness);
        let patience = deadline.remaining();
        // Who wants a new one, as to remove what is left after a failure, asks again whatever came of others.
        let is_shared = matches!(freshness, Freshness::Any | Freshness::Recent);
        let failed =
            |error| Failure::Cloud { cloud: id.cloud, doing: format!("read fleet {id}"), error };
        loop {
            if is_shared && let Some(missed) = self.outages.of(id, patience) {
                return Err(failed(missed.error));
            }
            let Read { snapshot, .. } =
                self.seen().latest.entry(id.clone()).or_insert_with(Read::new).clone();
            let seen = snapshot.get_or_init(|| async {
                let begun = Instant::now();
                let unchanged = self.seen().unchanged.get(id).cloned().unwrap_or_default();
                let seen = read(cloud, &key(id), unchanged).await;
                seen.map(Arc::new).map_err(|error| Missed::new(error, begun))
            });
            // Whoever comes later waits for the reading of another operation, and not longer than for its own.
            let seen = deadline.checked(seen).await;
            let seen = seen.map_err(|why| failed(ended_first(deadline, why, "get_fleet")))?.clone();
            let missed = match seen {
                Ok(snapshot) => return Ok(snapshot),
                Err(missed) => missed,
            };
            self.outages.remember(id, &missed);
            if deadline.ended().is_some() || missed.counts_for(SHARED, patience) {
                return Err(failed(missed.error));
            }
            // It was the failure of another operation, or of a while ago.
            let mut seen = self.seen();
            if seen.latest.get(id).is_some_and(|read| Arc::ptr_eq(&read.snapshot, &snapshot)) {
                seen.latest.remove(id);
            }
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // No code panics while it holds this; if it did, the data would still be whole.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is too old. Who wants all of it new suspects that others have changed anything.
    fn expire(&self, id: &FleetId, freshness: Freshness) {
        match freshness {
            Freshness::Any => {}
            Freshness::Recent => {
                let age = self.seen().latest.get(id).map(|read| read.begun.elapsed());
                if age.is_some_and(|age| age >= RECENT) {
                    self.forget_part(id, FleetPart::Instances);
                }
            }
            Freshness::NewInstances => self.forget_part(id, FleetPart::Instances),
            Freshness::New => self.forget_part(id, FleetPart::Fleet),
        }
    }

    fn forget_part(&self, id: &FleetId, part: FleetPart) {
        let mut seen = self.seen();
        let Seen { latest, unchanged } = &mut *seen;
        let read = latest.remove(id);
        if let Some(seen) = read.and_then(|read| read.seen()) {
            let (fleet, addresses) = (seen.fleet.clone(), Some(seen.addresses.clone()));
            unchanged.insert(id.clone(), Unchanged { fleet, addresses });
        }
        match part {
            FleetPart::Fleet => drop(unchanged.remove(id)),
            FleetPart::Addresses => {
                if let Some(unchanged) = unchanged.get_mut(id) {
                    unchanged.addresses = None;
                }
            }
            FleetPart::Instances => {}
        }
    }
}

impl Changes for Snapshots {
    fn changed(&self, cloud: CloudName, fleet: &FleetKey, part: FleetPart) {
        let (region, name) = (fleet.region.clone(), fleet.name.clone());
        self.forget_part(&FleetId { cloud, region, name }, part);
    }
}

/// The fleet's key in its cloud.
pub fn key(id: &FleetId) -> FleetKey {
    FleetKey { region: id.region.clone(), name: id.name.clone() }
}

/// The same with the machines of these ids: one that has lost its tags is not gone, and would be paid for
/// unseen.
pub(crate) async fn with_known<'a>(
    cloud: &Managed,
    id: &FleetId,
    snapshot: Arc<Snapshot>,
    known: impl Iterator<Item = &'a String>,
) -> Result<Arc<Snapshot>> {
    let is_listed = |id: &&String| snapshot.instances.iter().any(|found| found.id.0 == **id);
    let missing: Vec<InstanceId> =
        known.filter(|id| !is_listed(id)).map(|id| InstanceId(id.clone())).collect();
    if missing.is_empty() || snapshot.fleet.is_none() {
        return Ok(snapshot);
    }
    let found = cloud.find_instances(&key(id), &missing).await;
    let found = found.doing(id.cloud, || format!("look for machines of fleet {id}"))?;
    let instances = snapshot.instances.iter().cloned().chain(found).collect();
    let (fleet, addresses) = (snapshot.fleet.clone(), snapshot.addresses.clone());
    Ok(Arc::new(Snapshot { fleet, addresses, instances }))
}

/// A snapshot is shared for this long by what begins after it.
const RECENT: Duration = Duration::from_secs(2);

async fn read(cloud: &Managed, key: &FleetKey, unchanged: Unchanged) -> cloud::Result<Snapshot> {
    let all = LabelFilter::all();
    let (fleet, known_addresses) = match unchanged {
        Unchanged { fleet: Some(fleet), addresses } => (Some(fleet), addresses),
        Unchanged { fleet: None, .. } => (find_fleet(cloud, key).await?, None),
    };
    if fleet.is_none() {
        return Ok(Snapshot::default());
    }
    let addresses = async {
        match known_addresses {
            Some(addresses) => Ok(addresses),
            None => cloud.list_addresses(key, &all).await,
        }
    };
    let instances = cloud.list_instances(key, &all);
    let (addresses, mut instances) = futures::future::try_join(addresses, instances).await?;
    // Who holds a router's address is its router, whatever has become of its tags.
    let holders = addresses.iter().filter_map(|address| address.instance.clone());
    let is_listed = |id: &InstanceId| instances.iter().any(|found| found.id == *id);
    let unlisted: Vec<InstanceId> = holders.filter(|id| !is_listed(id)).collect();
    if !unlisted.is_empty() {
        instances.extend(cloud.find_instances(key, &unlisted).await?);
    }
    Ok(Snapshot { fleet, addresses, instances })
}

/// A fleet that was made a moment ago may not be known to every server of the cloud, and who forgets it
/// forgets machines that are paid for: it is gone when several answers in a row say so.
async fn find_fleet(cloud: &Managed, key: &FleetKey) -> cloud::Result<Option<Fleet>> {
    until_visible(cloud, || cloud.get_fleet(key)).await
}
