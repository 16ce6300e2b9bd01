//! What all operations of one process share: the clouds, one snapshot of each fleet, and what the others are
//! doing.

use crate::failure::{Doing, Failure, Result};
use crate::handovers::Handovers;
use crate::http::{self, Http};
use crate::in_flight::InFlight;
use crate::operations::Operations;
use crate::readiness::{self, Listings, Observations, RouterAccess};
use crate::snapshot::{Freshness, Snapshot, Snapshots, with_known};
use async_trait::async_trait;
use cloud::{Changes, CloudName, Deadline, FleetKey, FleetPart, Managed, Offer};
use domain::catalogue::{NoOffer, Resources};
use domain::console::Refusal;
use domain::id::{FleetId, ServiceId};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// The clouds of a program.
#[async_trait]
pub trait Clouds: Debug + Send + Sync {
    /// The cloud of this name, bound to no operation; none when this program has no such cloud.
    ///
    /// # Errors
    /// Whatever opening it finds.
    async fn open(&self, name: CloudName) -> cloud::Result<Option<Managed>>;

    /// The machines of a cloud that are what is wanted, cheapest first.
    ///
    /// # Errors
    /// When there are none: with what there is instead.
    fn offers(&self, name: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer>;
}

/// Runs operations on fleets, services and replica groups.
#[derive(Debug, Default)]
pub struct Orchestrator {
    clouds: Mutex<Option<Arc<dyn Clouds>>>,
    seen: Arc<Seen>,
    http: OnceLock<Arc<dyn Http>>,
    listings: Arc<Listings>,
    observations: Arc<Observations>,
    in_flight: InFlight,
    handovers: Handovers,
    operations: Operations,
}

/// What this process has seen, until something changes it.
#[derive(Debug, Default)]
struct Seen {
    snapshots: Snapshots,
    /// Workers that routers refuse, by the service's id.
    refusals: Mutex<BTreeMap<String, Arc<OnceCell<Refusals>>>>,
}

/// Why which addresses get no request.
pub type Refusals = Arc<BTreeMap<IpAddr, Refusal>>;

impl Changes for Seen {
    fn changed(&self, cloud: CloudName, fleet: &FleetKey, part: FleetPart) {
        lock(&self.refusals).clear();
        self.snapshots.changed(cloud, fleet, part);
    }
}

impl Orchestrator {
    /// One whose routers and engines are asked in this way, and not over the network.
    pub fn asking(http: Arc<dyn Http>) -> Self {
        Self { http: OnceLock::from(http), ..Self::default() }
    }

    /// From now on these are the clouds; what was seen before is forgotten.
    pub fn configure(&self, clouds: Arc<dyn Clouds>) {
        *lock(&self.clouds) = Some(clouds);
        self.seen.snapshots.forget();
        lock(&self.seen.refusals).clear();
    }

    /// What is being made and removed right now.
    pub fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Groups that change hands.
    pub fn handovers(&self) -> &Handovers {
        &self.handovers
    }

    /// What is going on with the groups of services.
    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The cloud of this name, for the calls of one operation: none of them outlives it, and what they change
    /// is read again by whoever comes next.
    ///
    /// # Errors
    /// When there is no such cloud, or it cannot be opened.
    pub async fn cloud(&self, deadline: &Deadline, name: CloudName) -> Result<Arc<Managed>> {
        let clouds = self.clouds().ok_or(Failure::NoCloud(name))?;
        let cloud = clouds.open(name).await.doing(name, || format!("open the cloud `{name}`"))?;
        let cloud = cloud.ok_or(Failure::NoCloud(name))?.within(deadline.clone());
        Ok(Arc::new(cloud.telling(Arc::clone(&self.seen) as Arc<dyn Changes>)))
    }

    /// The machines of a cloud that are what is wanted, cheapest first.
    ///
    /// # Errors
    /// When there are none.
    pub fn offers(&self, name: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
        match self.clouds() {
            Some(clouds) => clouds.offers(name, wanted),
            None => domain::catalogue::offers(name, wanted),
        }
    }

    /// What there is in a fleet.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    pub async fn snapshot(
        &self,
        deadline: &Deadline,
        id: &FleetId,
        freshness: Freshness,
    ) -> Result<Arc<Snapshot>> {
        let cloud = self.cloud(deadline, id.cloud).await?;
        self.seen.snapshots.get(deadline, &cloud, id, freshness).await
    }

    /// The same, with the machines of these ids, whatever has become of their tags.
    ///
    /// # Errors
    /// When the cloud cannot be asked.
    pub async fn snapshot_with<'a>(
        &self,
        deadline: &Deadline,
        id: &FleetId,
        freshness: Freshness,
        known: impl Iterator<Item = &'a String>,
    ) -> Result<Arc<Snapshot>> {
        let snapshot = self.snapshot(deadline, id, freshness).await?;
        let cloud = self.cloud(deadline, id.cloud).await?;
        with_known(&cloud, id, snapshot, known).await
    }

    /// The workers of a service that its router refuses, where it answers soon: asked once for all groups of
    /// the service, until somebody changes machines.
    pub async fn refusals(&self, id: &ServiceId, router: &RouterAccess) -> Refusals {
        let asked = lock(&self.seen.refusals).entry(id.to_string()).or_default().clone();
        let refusals = asked.get_or_init(|| async {
            let refusals = tokio::time::timeout(REFUSALS, readiness::refusals_of_itself(router));
            Arc::new(refusals.await.unwrap_or_default())
        });
        refusals.await.clone()
    }

    /// What asks routers and engines, one for all.
    pub(crate) fn http(&self) -> Result<Arc<dyn Http>> {
        if let Some(http) = self.http.get() {
            return Ok(Arc::clone(http));
        }
        let network = Arc::new(http::over_the_network()?);
        Ok(Arc::clone(self.http.get_or_init(|| network)))
    }

    /// The lists that waits share.
    pub(crate) fn listings(&self) -> Arc<Listings> {
        Arc::clone(&self.listings)
    }

    /// What waits at one router have seen of it.
    pub(crate) fn observations(&self) -> Arc<Observations> {
        Arc::clone(&self.observations)
    }

    fn clouds(&self) -> Option<Arc<dyn Clouds>> {
        lock(&self.clouds).clone()
    }
}

/// A router that is let in to answers within this time; without a way to it nobody is held up.
const REFUSALS: Duration = Duration::from_secs(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these; if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
