//! Under which id a service is made: a new one, or that of a creation that died and meant the very
//! same. What a dead creation meant otherwise is removed first.

use super::address::reserve;
use super::find::{find_by_id, find_by_name};
use super::{DesiredService, removal};
use crate::failure::{Doing, Failure, Missing, Result};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::poll::Poll;
use crate::readiness::{Pace, last_words};
use crate::snapshot::{Freshness, Snapshot, key};
use cloud::{Address, Cloud, Deadline, LabelFilter, tag};
use domain::id::{ServiceId, Uid};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A name that is claimed, by an id and an address.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) id: ServiceId,
    pub(crate) address: Address,
    /// Whether this run began it, and no other one that died or goes on somewhere else.
    pub(crate) is_new: bool,
    /// What there was before the address.
    pub(crate) snapshot: Arc<Snapshot>,
}

/// Under which id a service is made, and its reserved address, by which everybody else sees that it is.
///
/// Two runs may reserve an address for one name at the same moment, and neither has seen the other before.
/// So each lists again after it has reserved: the one with the greater id gives way, and takes part in
/// what the other makes.
pub(crate) async fn claim_name(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    desired: &DesiredService,
) -> Result<Claim> {
    let fleet = &desired.spec.fleet;
    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let mut given_up = BTreeSet::new();
    for _ in 0..MOST_ATTEMPTS {
        let id = id_for(orchestrator, deadline, desired, &given_up).await?;
        let snapshot = orchestrator.snapshot(deadline, fleet, Freshness::Any).await?;
        let is_new = find_by_id(&snapshot, &id).address.is_none();
        let address = reserve(&*cloud, &desired.of(&id)).await?;
        let is_won = match is_new {
            true => wins(deadline, &*cloud, &id, &address).await,
            false => Ok(true),
        };
        if matches!(is_won, Ok(true)) {
            return Ok(Claim { id, address, is_new, snapshot });
        }
        let late = orchestrator.cloud(&last_words(deadline), fleet.cloud).await?;
        let released = late.release_address(&key(fleet), &address.id).await;
        released.doing(cloud.name(), || format!("give up the address {} for {id}", address.ip))?;
        given_up.insert(id.uid);
        is_won?;
    }
    Err(Failure::AlreadyExists(Object::Service(format!("{fleet}/{}", desired.spec.service))))
}

/// Whether a new id keeps its name: nobody else has it, or who has gives way. A list that is without the
/// address of this one may be without that of another one as well, and says nothing.
async fn wins(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    id: &ServiceId,
    own: &Address,
) -> Result<bool> {
    let fleet = key(&id.fleet);
    let listed = format!("the cloud to tell who else makes a service {}", id.name);
    let mut poll = Poll::new(deadline, Pace::every(READ_PAUSE), listed).before_anything();
    loop {
        let addresses = cloud.list_addresses(&fleet, &LabelFilter::all()).await;
        let addresses = addresses.doing(cloud.name(), || format!("see who else makes {id}"))?;
        let tags = addresses.iter().filter_map(|address| address.tags.get(tag::SERVICE));
        let ids = tags.filter_map(|label| ServiceId::of_label(&id.fleet, label).ok());
        let rivals: Vec<ServiceId> =
            ids.filter(|other| other.name == id.name && other.uid != id.uid).collect();
        let has_rivals = !rivals.is_empty();
        if !has_rivals && addresses.iter().any(|address| address.id == own.id) {
            return Ok(true);
        }
        if rivals.iter().any(|other| other.uid < id.uid) {
            return Ok(false);
        }
        if poll.round() >= MOST_LISTS {
            // Either nobody else has shown, or who has does not give way.
            return Ok(!has_rivals);
        }
        // The other gives way as soon as it has listed; one that listed too early never does.
        let seen = match has_rivals {
            true => "another run has reserved an address too",
            false => "the address of this one is not listed yet",
        };
        poll.again(seen).await?;
    }
}

/// How often a name is tried to be had.
const MOST_ATTEMPTS: u32 = 5;
/// In one of so many lists who should stay is known, and the other has given way; the pause between two.
const MOST_LISTS: u32 = 8;
const READ_PAUSE: Duration = Duration::from_secs(1);

/// `given_up` are those of this run that have given way; lists may tell of them for a while.
async fn id_for(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    desired: &DesiredService,
    given_up: &BTreeSet<Uid>,
) -> Result<ServiceId> {
    let (fleet, name) = (&desired.spec.fleet, desired.spec.service.clone());
    let snapshot = orchestrator.snapshot(deadline, fleet, Freshness::New).await?;
    if snapshot.fleet.is_none() {
        return Err(Failure::Missing(Missing::Fleet(fleet.clone())));
    }
    let mut existing = find_by_name(&snapshot, fleet, &name);
    existing.retain(|id| !given_up.contains(&id.uid));
    // Whoever has launched a router has seen nobody else, and gives way no more.
    existing.sort_by_key(|id| find_by_id(&snapshot, id).router.is_none());
    if let Some(id) = existing.iter().find(|id| !find_by_id(&snapshot, id).is_unowned()) {
        return Err(Failure::AlreadyExists(id.into()));
    }
    let mut adopted = None;
    for id in existing {
        let digest = desired.of(&id).spec.digest();
        let address = find_by_id(&snapshot, &id).address;
        let is_same = address.is_some_and(|address| address.tags.get(tag::DIGEST) == Some(&digest));
        if is_same && adopted.is_none() {
            adopted = Some(id);
        } else {
            removal::remove(orchestrator, deadline, &id).await?;
        }
    }
    let random = uuid::Uuid::new_v4().as_u64_pair().0;
    Ok(adopted.unwrap_or_else(|| ServiceId {
        fleet: fleet.clone(),
        name,
        uid: Uid::from_random(random),
    }))
}
