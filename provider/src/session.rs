//! What the resources of one process share: the clouds, and one look at each fleet.

use crate::clouds::Clouds;
use crate::error::{Doing, Failure, Result};
use crate::readiness;
use cloud::{Address, Cloud, CloudName, Fleet, FleetKey, Ingress, Instance, InstanceId, TagFilter};
use domain::id::FleetId;
use plugin::{Attr, AttributePath};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;

/// Set by ConfigureProvider, which may come again (reattach mode).
#[derive(Debug, Default)]
pub(crate) struct Session {
    clouds: Mutex<Arc<Clouds>>,
    views: Mutex<BTreeMap<FleetId, Arc<OnceCell<Arc<FleetView>>>>>,
    /// Of fleets whose machines alone have changed since the last look: what was seen of the rest.
    settled: Mutex<BTreeMap<FleetId, Arc<FleetView>>>,
    http: OnceLock<reqwest::Client>,
    /// What is being created right now, by its path.
    creating: Paths,
    /// What is being removed right now.
    removing: Paths,
}

type Paths = Arc<Mutex<BTreeSet<String>>>;

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
    }

    /// The cloud of this name.
    pub(crate) async fn cloud(&self, name: CloudName) -> Result<Arc<dyn Cloud>> {
        if let Some(detail) = crate::clouds::not_built_in(name.as_str()) {
            let summary = format!("Cloud `{name}` is not available");
            return Err(Failure::Invalid { summary, detail, attribute: None });
        }
        let clouds = Arc::clone(&lock(&self.clouds));
        clouds.get(name).await.doing(name, || format!("open the cloud `{name}`"))
    }

    /// The region of fleets that name none themselves.
    pub(crate) fn default_region(&self, name: CloudName) -> Attr<String> {
        lock(&self.clouds).default_region(name)
    }

    /// One look at the fleet, shared by all reads of this process: a refresh of a hundred groups
    /// is one look. Whoever changes something in the fleet calls [`Session::forget`].
    pub(crate) async fn view(&self, id: &FleetId) -> Result<Arc<FleetView>> {
        let cell = Arc::clone(lock(&self.views).entry(id.clone()).or_default());
        let view = cell.get_or_try_init(|| async {
            let cloud = self.cloud(id.cloud).await?;
            let settled = lock(&self.settled).get(id).cloned();
            look(&*cloud, &key(id), settled).await.map(Arc::new).map_err(|error| Failure::Cloud {
                cloud: id.cloud,
                doing: format!("read fleet {id}"),
                error,
                attribute: None,
            })
        });
        view.await.cloned()
    }

    /// The same, with the machines of these ids: one that has lost its tags is not gone, and would be
    /// paid for in nobody's sight.
    pub(crate) async fn view_with<'a>(
        &self,
        id: &FleetId,
        known: impl Iterator<Item = &'a String>,
    ) -> Result<Arc<FleetView>> {
        let view = self.view(id).await?;
        let is_listed = |id: &&String| view.instances.iter().any(|found| found.id.0 == **id);
        let missing: Vec<InstanceId> =
            known.filter(|id| !is_listed(id)).map(|id| InstanceId(id.clone())).collect();
        if missing.is_empty() || view.fleet.is_none() {
            return Ok(view);
        }
        let cloud = self.cloud(id.cloud).await?;
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

    /// The next read looks again.
    pub(crate) fn forget(&self, id: &FleetId) {
        lock(&self.settled).remove(id);
        lock(&self.views).remove(id);
    }

    /// The next read looks at the machines again. Whoever changes machines changes no rule and no
    /// address.
    pub(crate) fn forget_machines(&self, id: &FleetId) {
        let seen = lock(&self.views).remove(id).and_then(|cell| cell.get().cloned());
        if let Some(seen) = seen {
            lock(&self.settled).insert(id.clone(), seen);
        }
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

/// `settled` is an earlier look at whose fleet and addresses nothing has changed.
async fn look(
    cloud: &dyn Cloud,
    key: &FleetKey,
    settled: Option<Arc<FleetView>>,
) -> cloud::Result<FleetView> {
    let all = TagFilter::all();
    let (fleet, addresses, mut instances) = match settled.filter(|seen| seen.fleet.is_some()) {
        Some(seen) => {
            let instances = cloud.list_instances(key, &all).await?;
            (seen.fleet.clone(), seen.addresses.clone(), instances)
        }
        None => {
            let fleet = cloud.get_fleet(key).await?;
            if fleet.is_none() {
                return Ok(FleetView::default());
            }
            let addresses = cloud.list_addresses(key, &all);
            let instances = cloud.list_instances(key, &all);
            let (addresses, instances) = futures::future::try_join(addresses, instances).await?;
            (fleet, addresses, instances)
        }
    };
    // Who holds a router's address is its router, whatever has become of its tags.
    let holders = addresses.iter().filter_map(|address| address.instance.clone());
    let is_listed = |id: &InstanceId| instances.iter().any(|found| found.id == *id);
    let unlisted: Vec<InstanceId> = holders.filter(|id| !is_listed(id)).collect();
    if !unlisted.is_empty() {
        instances.extend(cloud.find_instances(key, &unlisted).await?);
    }
    Ok(FleetView { fleet, addresses, instances })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No code panics while it holds one of these; if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
