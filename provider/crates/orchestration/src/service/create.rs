//! A service is made: its address, its rule, its router.
//!
//! Every id is in the journal before anything is waited for, so that whatever dies, the next operation
//! finds it again. What a failed creation made is removed; what could not be, and what is kept, is
//! marked as owned, so that no other creation takes it for its own.

use super::address::set_ingress;
use super::claim::{self, Claim};
use super::creations;
use super::find::{FoundService, find_by_id};
use super::wait::{WaitFor, wait};
use super::{DesiredService, ServiceRecord, removal, router};
use crate::failure::{Doing, Failure, Fate, Result};
use crate::journal::{Journal, Warning};
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::poll::Poll;
use crate::readiness::{self, Pace};
use crate::snapshot::{Freshness, Snapshot, key};
use cloud::{Cloud, Deadline, ErrorKind, Instance, ObjectId, Phase};
use domain::spec::ServiceFacts;
use std::sync::Arc;
use std::time::Duration;

/// Makes a service, or goes on with one that a creation which died has begun and that means the same.
///
/// # Errors
/// When its name is taken, when it cannot be launched, and when its router does not boot.
pub async fn create(
    orchestrator: &Orchestrator,
    deadline: &Deadline,
    desired: &DesiredService,
    journal: &mut dyn Journal<ServiceRecord>,
) -> Result<()> {
    let fleet = &desired.spec.fleet;
    let name = Object::Service(format!("{fleet}/{}", desired.spec.service));
    let _making = orchestrator.in_flight().creating(&name)?;
    orchestrator.in_flight().after_removal(deadline, &name).await?;
    let Claim { id, address, is_new, snapshot } =
        claim::claim_name(orchestrator, deadline, desired).await?;
    let desired = &desired.of(&id);
    let mut record = ServiceRecord { id: id.clone(), address, router: None, live: None };
    journal.saved(&record);

    let mut making = Making { orchestrator, deadline, desired, record: &mut record, journal };
    let instance = match making.launch(&snapshot).await {
        Ok(instance) => instance,
        // The run that began it, and that this one would have taken part in, goes on; or it died, and whoever
        // comes next goes on with it.
        Err(failure) if !is_new && (failure.is_cut_off() || making.has_router().await) => {
            making.journal.removed();
            return Err(failure);
        }
        // Who does not answer is not asked to remove it either.
        Err(failure) if failure.is_cut_off() => {
            making.set_phase(Phase::Unfinished).await;
            return Err(failure);
        }
        Err(failure) => return Err(making.give_up(failure).await),
    };
    making.record.router = Some(instance.clone());
    making.journal.saved(making.record);

    let cloud = orchestrator.cloud(deadline, fleet.cloud).await?;
    let address = making.record.address.clone();
    let facts = ServiceFacts::of(&desired.spec, address.ip);
    let access = router::access(orchestrator, Arc::clone(&cloud), &facts, &address, &instance)?;
    let wait_for = desired.policy.wait_for;
    match wait(deadline, wait_for, &id, &access).await {
        Ok(()) => {}
        Err(failure @ Failure::Boot { .. }) if !desired.policy.keeps_failed => {
            return Err(making.give_up(failure).await);
        }
        // A verdict. Time that ran out is none: a router that is late is not sold, which an error would do.
        Err(failure @ Failure::Boot { .. }) => {
            making.set_phase(Phase::Unfinished).await;
            return Err(with_fate(failure, Fate::Kept));
        }
        Err(failure) => return making.leave_unfinished(failure).await,
    }
    let is_ready = wait_for == WaitFor::Ready;
    making.record.live = is_ready.then_some(true);
    making.journal.saved(making.record);
    match router::mark(&*cloud, &id, &address, &instance, is_ready).await {
        Ok(()) => Ok(()),
        Err(failure) => making.leave_unfinished(failure).await,
    }
}

/// A creation that goes on.
struct Making<'a> {
    orchestrator: &'a Orchestrator,
    deadline: &'a Deadline,
    desired: &'a DesiredService,
    record: &'a mut ServiceRecord,
    journal: &'a mut dyn Journal<ServiceRecord>,
}

impl Making<'_> {
    /// Opens the port and makes the router be there. `snapshot` is what there was before the address.
    async fn launch(&self, snapshot: &Arc<Snapshot>) -> Result<Instance> {
        let Self { orchestrator, deadline, desired, record, .. } = self;
        let (id, address) = (&record.id, &record.address);
        let cloud = orchestrator.cloud(deadline, id.fleet.cloud).await?;
        creations::announce(deadline, &*cloud, &key(&id.fleet), address).await?;
        let is_closed = snapshot.ingress(&id.label()).is_none();
        if !(is_closed && desired.policy.ingress.is_empty()) {
            set_ingress(orchestrator, deadline, id, desired).await?;
        }
        let listed = format!("the router of service {id} to be listed");
        let mut poll = Poll::new(deadline, Pace::every(LISTING_PAUSE), listed);
        let mut snapshot = Arc::clone(snapshot);
        loop {
            // Its address is newer than that.
            let found =
                FoundService { address: Some(address.clone()), ..find_by_id(&snapshot, id) };
            let image = desired.policy.image.as_deref();
            match router::ensure(deadline, &*cloud, &desired.spec, image, address, &found).await {
                // Another run has launched it at this address, and no list has told yet.
                Err(Failure::Launch { error, .. })
                    if error.kind() == ErrorKind::InUse && poll.round() < MOST_LISTS =>
                {
                    poll.again(error.to_string()).await?;
                }
                ensured => return ensured,
            }
            snapshot = orchestrator.snapshot(deadline, &id.fleet, Freshness::New).await?;
        }
    }

    /// Whether its router is there, or may be: whoever cannot look takes nothing away from another run.
    async fn has_router(&self) -> bool {
        let id = &self.record.id;
        let late = readiness::last_words(self.deadline);
        let snapshot = self.orchestrator.snapshot(&late, &id.fleet, Freshness::New).await;
        snapshot.map_or(true, |snapshot| find_by_id(&snapshot, id).router.is_some())
    }

    /// After a failed creation: removes what was made. What cannot be removed stays in the journal, for the
    /// next operation, and both causes are told.
    async fn give_up(&mut self, failure: Failure) -> Failure {
        let late = readiness::clean_up(self.deadline);
        let fate = match removal::remove(self.orchestrator, &late, &self.record.id).await {
            Ok(()) => {
                self.journal.removed();
                Fate::Removed
            }
            Err(error) => {
                self.journal.warned(Warning::Also(error));
                self.set_phase(Phase::Unfinished).await;
                Fate::NotRemoved
            }
        };
        with_fate(failure, fate)
    }

    /// The router is there and may well be healthy: the next operation sees to the rest.
    async fn leave_unfinished(&mut self, failure: Failure) -> Result<()> {
        self.set_phase(Phase::Unfinished).await;
        self.journal.warned(Warning::Unfinished((&self.record.id).into(), failure));
        Ok(())
    }

    /// Says whose it is, also when the operation's own time is over.
    async fn set_phase(&mut self, phase: Phase) {
        let ServiceRecord { id, address, router, .. } = &*self.record;
        let mut objects = vec![ObjectId::Address(address.id.clone())];
        objects.extend(router.iter().map(|router| ObjectId::Instance(router.id.clone())));
        let tagged = async {
            let late = readiness::last_words(self.deadline);
            let cloud = self.orchestrator.cloud(&late, id.fleet.cloud).await?;
            let tagged = cloud.tag(&key(&id.fleet), &objects, &phase.tag()).await;
            tagged.doing(id.fleet.cloud, || format!("mark service {id} as {}", phase.as_str()))
        };
        if let Err(failure) = tagged.await {
            self.journal.warned(Warning::Also(failure));
        }
    }
}

fn with_fate(failure: Failure, fate: Fate) -> Failure {
    match failure {
        Failure::Boot { what, machines, .. } => Failure::Boot { what, machines, fate },
        other => other,
    }
}

/// A router that another run has launched is in one of so many lists; the pause between two.
const MOST_LISTS: u32 = 8;
const LISTING_PAUSE: Duration = Duration::from_secs(1);
