//! What the resources of one process share: the clouds, and one look at each fleet.

use crate::addresses::Addresses;
use crate::clouds::Clouds;
use crate::deadline::deadline;
use crate::error::{Doing, Failure, Result};
use crate::handovers::Handovers;
use crate::operations::Operations;
use crate::outages::{Missed, Outages, SHARED, ended_first};
use crate::readiness::{self, Listings, Pace, RouterAccess};
use crate::siblings::Siblings;
use cloud::{
    Address, Cloud, CloudName, Fleet, FleetKey, Ingress, Instance, InstanceId, Managed, TagFilter,
};
use domain::console::Refusal;
use domain::id::{FleetId, ServiceId};
use domain::local_gpus::LocalGpus;
use plugin::{Attr, AttributePath, Ctx};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Set by ConfigureProvider, which may come again (reattach mode).
#[derive(Debug, Default)]
pub(crate) struct Session {
    clouds: Mutex<Arc<Clouds>>,
    views: Mutex<BTreeMap<FleetId, Look>>,
    outages: Outages,
    /// Of fleets of which only a part has changed since the last look: what was seen of the rest.
    settled: Mutex<BTreeMap<FleetId, Settled>>,
    http: OnceLock<reqwest::Client>,
    listings: Arc<Listings>,
    /// What is being created right now, by its path.
    creating: Paths,
    /// What is being removed right now.
    removing: Paths,
    /// Services whose endpoint a plan of this process changes, by their ids.
    moving: Paths,
    /// Workers that routers refuse, by the service's id.
    refusals: Mutex<BTreeMap<String, Arc<OnceCell<Refusals>>>>,
    /// What the groups of services are to be.
    siblings: Siblings,
    addresses: Addresses,
    handovers: Handovers,
    operations: Operations,
}

/// One look, which whoever comes first takes for all.
#[derive(Clone, Debug)]
struct Look {
    begun: Instant,
    view: Arc<OnceCell<Result<Arc<FleetView>, Missed>>>,
}

impl Look {
    fn new() -> Self {
        Self { begun: Instant::now(), view: Arc::default() }
    }

    /// What was seen, if anything.
    fn seen(&self) -> Option<Arc<FleetView>> {
        self.view.get()?.as_ref().ok().cloned()
    }
}

/// What nothing has happened to since it was seen.
#[derive(Clone, Debug, Default)]
struct Settled {
    fleet: Option<Fleet>,
    addresses: Option<Vec<Address>>,
}

type Paths = Arc<Mutex<BTreeSet<String>>>;

/// Why which addresses get no request.
pub(crate) type Refusals = Arc<BTreeMap<IpAddr, Refusal>>;

/// What is going on at a path, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Claim {
    path: String,
    paths: Paths,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.paths).remove(&self.path);
    }
}

/// Everything that is in a fleet, as of one look.
#[derive(Debug, Default)]
pub(crate) struct FleetView {
    pub(crate) fleet: Option<Fleet>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) instances: Vec<Instance>,
}

impl Session {
    pub(crate) fn configure(&self, clouds: Clouds) {
        *lock(&self.clouds) = Arc::new(clouds);
        lock(&self.views).clear();
        lock(&self.settled).clear();
        lock(&self.refusals).clear();
        self.outages.forget();
        self.siblings.forget();
        self.addresses.forget();
    }

    /// What the plans of this run mean for which objects.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Groups that change their address in Terraform.
    pub(crate) fn handovers(&self) -> &Handovers {
        &self.handovers
    }

    /// What is going on with the groups of services.
    pub(crate) fn operations(&self) -> &Operations {
        &self.operations
    }

    /// The cloud of this name, for the calls of one operation: none of them outlives it.
    pub(crate) async fn cloud(&self, ctx: &Ctx, name: CloudName) -> Result<Arc<Managed>> {
        if let Some(detail) = crate::clouds::not_built_in(name.as_str()) {
            let summary = format!("Cloud `{name}` is not available");
            return Err(Failure::Invalid { summary, detail, attribute: None });
        }
        let clouds = Arc::clone(&lock(&self.clouds));
        let cloud = clouds.get(name).await.doing(name, || format!("open the cloud `{name}`"))?;
        Ok(Arc::new(cloud.within(deadline(ctx))))
    }

    /// The region of fleets that name none themselves.
    pub(crate) fn default_region(&self, name: CloudName) -> Attr<String> {
        lock(&self.clouds).default_region(name)
    }

    /// Where the GPUs of machines of this cloud come from, if it is the local one. This computer is looked
    /// at once.
    pub(crate) fn local_gpus(&self, cloud: CloudName) -> LocalGpus {
        match cloud {
            CloudName::Local => Arc::clone(&lock(&self.clouds)).local_gpus(),
            _ => LocalGpus::default(),
        }
    }

    /// Why the virtual environment that the local cloud is told of for this engine is none, if so.
    pub(crate) fn missing_runtime(&self, engine: &str) -> Option<String> {
        lock(&self.clouds).missing_runtime(engine)
    }

    /// One look at the fleet, shared by all reads of this process, whatever has come of it: a refresh of
    /// a hundred groups is one look, also at a cloud that does not answer. Whoever changes something in the
    /// fleet calls [`Session::forget`].
    pub(crate) async fn view(&self, ctx: &Ctx, id: &FleetId) -> Result<Arc<FleetView>> {
        let patience = ctx.remaining();
        let cloud = self.cloud(ctx, id.cloud).await?;
        let failed = |error| Failure::Cloud {
            cloud: id.cloud,
            doing: format!("read fleet {id}"),
            error,
            attribute: None,
        };
        loop {
            if let Some(missed) = self.outages.of(id, patience) {
                return Err(failed(missed.error));
            }
            let Look { view, .. } =
                lock(&self.views).entry(id.clone()).or_insert_with(Look::new).clone();
            let seen = view.get_or_init(|| async {
                let begun = Instant::now();
                let settled = lock(&self.settled).get(id).cloned().unwrap_or_default();
                let seen = self::look(&*cloud, &key(id), settled).await;
                seen.map(Arc::new).map_err(|error| Missed::new(error, begun))
            });
            // Whoever comes later waits for the look of another operation, and not longer than for its own.
            let seen = ctx.checked(seen).await;
            let seen = seen.map_err(|why| failed(ended_first(ctx, why, "get_fleet")))?.clone();
            let missed = match seen {
                Ok(view) => return Ok(view),
                Err(missed) => missed,
            };
            self.outages.remember(id, &missed);
            if ctx.ended().is_some() || missed.counts_for(SHARED, patience) {
                return Err(failed(missed.error));
            }
            // It was the failure of another operation, or of a while ago.
            let mut views = lock(&self.views);
            if views.get(id).is_some_and(|look| Arc::ptr_eq(&look.view, &view)) {
                views.remove(id);
            }
        }
    }

    /// The same, with the machines of these ids: one that has lost its tags is not gone, and would be
    /// paid for in nobody's sight.
    pub(crate) async fn view_with<'a>(
        &self,
        ctx: &Ctx,
        id: &FleetId,
        known: impl Iterator<Item = &'a String>,
    ) -> Result<Arc<FleetView>> {
        let view = self.view(ctx, id).await?;
        let is_listed = |id: &&String| view.instances.iter().any(|found| found.id.0 == **id);
        let missing: Vec<InstanceId> =
            known.filter(|id| !is_listed(id)).map(|id| InstanceId(id.clone())).collect();
        if missing.is_empty() || view.fleet.is_none() {
            return Ok(view);
        }
        let cloud = self.cloud(ctx, id.cloud).await?;
        let found = cloud.find_instances(&key(id), &missing).await;
        let found = found.doing(id.cloud, || format!("look for machines of fleet {id}"))?;
        let instances = view.instances.iter().cloned().chain(found).collect();
        let (fleet, addresses) = (view.fleet.clone(), view.addresses.clone());
        Ok(Arc::new(FleetView { fleet, addresses, instances }))
    }

    /// The client for routers' endpoints, one for all.
    pub(crate) fn http(&self) -> Result<reqwest::Client> {
        if let Some(client) = self.http.get() {
            return Ok(client.clone());
        }
        let client = readiness::http_client()?;
        Ok(self.http.get_or_init(|| client).clone())
    }

    /// Claims `path` for whatever launches machines there; `what` is what is there, as in `replica
    /// group`. Two resources of one name would find each other's unfinished machines and take them for their own.
    pub(crate) fn creating(&self, what: &str, path: String) -> Result<Claim> {
        if lock(&self.creating).insert(path.clone()) {
            return Ok(Claim { path, paths: Arc::clone(&self.creating) });
        }
        Err(Failure::Invalid {
            summary: format!("Two of one name: {what} {path}"),
            detail: format!(
                "Another resource of this configuration is creating {what} {path} at this moment. \
                 Give this one another name."
            ),
            attribute: Some(AttributePath::root("name")),
        })
    }

    /// Says that what is at `path` is being removed.
    pub(crate) fn removing(&self, path: String) -> Claim {
        lock(&self.removing).insert(path.clone());
        Claim { path, paths: Arc::clone(&self.removing) }
    }

    /// Whether what is at `path` is being removed by this run.
    pub(crate) fn is_removing(&self, path: &str) -> bool {
        lock(&self.removing).contains(path)
    }

    /// Waits until this run removes nothing at `path` any more: its name is free then.
    pub(crate) async fn after_removal(&self, ctx: &Ctx, what: &str, path: &str) -> Result<()> {
        while self.is_removing(path) {
            let pause = tokio::time::sleep(REMOVAL_PAUSE);
            ctx.checked(pause).await.map_err(|why| Failure::Interrupted {
                waiting_for: format!("the removal of {what} {path} by this same run"),
                seen: "it is not gone yet".to_owned(),
                why,
                kept: false,
            })?;
        }
        Ok(())
    }

    /// Says whether a plan gives a service another endpoint. Terraform plans what refers to the service
    /// after it, by the same process, and tells it nothing of that: the id stays.
    pub(crate) fn plans(&self, service: &str, moves: bool) {
        let mut moving = lock(&self.moving);
        match moves {
            true => moving.insert(service.to_owned()),
            false => moving.remove(service),
        };
    }

    /// Whether a plan of this process gives the service another endpoint.
    pub(crate) fn moves(&self, service: &str) -> bool {
        lock(&self.moving).contains(service)
    }

    /// The workers of a service that its router refuses, where it answers soon: one look for all groups of
    /// the service, until somebody changes machines of the fleet.
    pub(crate) async fn refusals(&self, id: &ServiceId, router: &RouterAccess) -> Refusals {
        let look = lock(&self.refusals).entry(id.to_string()).or_default().clone();
        let look = look.get_or_init(|| async {
            let refusals = tokio::time::timeout(REFUSALS, readiness::refusals_of_itself(router));
            Arc::new(refusals.await.unwrap_or_default())
        });
        look.await.clone()
    }

    /// What plans of this process say of services and their groups.
    pub(crate) fn siblings(&self) -> &Siblings {
        &self.siblings
    }

    /// The next read looks again.
    pub(crate) fn forget(&self, id: &FleetId) {
        lock(&self.refusals).clear();
        lock(&self.settled).remove(id);
        lock(&self.views).remove(id);
    }

    /// The next read looks at addresses and machines again. Whoever changes them changes no rule.
    pub(crate) fn forget_contents(&self, id: &FleetId) {
        self.forget_machines(id);
        if let Some(settled) = lock(&self.settled).get_mut(id) {
            settled.addresses = None;
        }
    }

    /// The next read looks at the machines again. Whoever changes machines changes no rule and no
    /// address.
    pub(crate) fn forget_machines(&self, id: &FleetId) {
        lock(&self.refusals).clear();
        let seen = lock(&self.views).remove(id).and_then(|look| look.seen());
        if let Some(seen) = seen {
            let (fleet, addresses) = (seen.fleet.clone(), Some(seen.addresses.clone()));
            lock(&self.settled).insert(id.clone(), Settled { fleet, addresses });
        }
    }

    /// The next read looks at the machines again, unless somebody has looked a moment ago: operations
    /// that begin side by side look once. What this process changes it forgets by itself.
    pub(crate) fn forget_old(&self, id: &FleetId) {
        let is_old = lock(&self.views).get(id).is_some_and(|look| look.begun.elapsed() >= RECENT);
        if is_old {
            self.forget_machines(id);
        }
    }

    /// The lists that waits share.
    pub(crate) fn listings(&self) -> Arc<Listings> {
        Arc::clone(&self.listings)
    }
}

impl FleetView {
    /// What may reach this service from outside, by its tag.
    pub(crate) fn ingress(&self, service: &str) -> Option<&Ingress> {
        let rules = &self.fleet.as_ref()?.ingress;
        rules.iter().find(|rule| rule.service == service)
    }
}

/// The fleet's key in its cloud.
pub(crate) fn key(id: &FleetId) -> FleetKey {
    FleetKey { region: id.region.clone(), name: id.name.clone() }
}

/// A router that is let in to answers within this time; without a way to it a plan is not held up.
const REFUSALS: Duration = Duration::from_secs(1);

/// Between two looks at a removal of this process.
const REMOVAL_PAUSE: Duration = Duration::from_millis(200);

/// A view is shared for this long by what begins after it.
const RECENT: Duration = Duration::from_secs(2);

async fn look(cloud: &dyn Cloud, key: &FleetKey, settled: Settled) -> cloud::Result<FleetView> {
    let all = TagFilter::all();
    let (fleet, settled_addresses) = match settled {
        Settled { fleet: Some(fleet), addresses } => (Some(fleet), addresses),
        Settled { fleet: None, .. } => (find_fleet(cloud, key).await?, None),
    };
    if fleet.is_none() {
        return Ok(FleetView::default());
    }
    let addresses = async {
        match settled_addresses {
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
    Ok(FleetView { fleet, addresses, instances })
}

/// A fleet that was made a moment ago may not be known to every server of the cloud, and who forgets it
/// forgets machines that are paid for: it is gone when several looks in a row say so.
async fn find_fleet(cloud: &dyn Cloud, key: &FleetKey) -> cloud::Result<Option<Fleet>> {
    let looks = if Pace::new(cloud).lags() { MOST_LOOKS } else { 1 };
    for look in 1..=looks {
        let found = cloud.get_fleet(key).await?;
        if found.is_some() || look == looks {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(None)
}

/// How often, and how long in between, a fleet is looked for that may be gone.
const MOST_LOOKS: u32 = 4;
const LOOK_PAUSE: Duration = Duration::from_secs(1);

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No code panics while it holds one of these; if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
