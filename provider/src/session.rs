//! What the resources of one process share: the clouds, and one look at each fleet.

use crate::clouds::Clouds;
use crate::error::{Doing, Failure, Result};
use cloud::{Address, Cloud, CloudName, Fleet, FleetKey, Ingress, Instance, TagFilter};
use domain::id::FleetId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Set by ConfigureProvider, which may come again (reattach mode).
#[derive(Debug, Default)]
pub(crate) struct Session {
    clouds: Mutex<Arc<Clouds>>,
    views: Mutex<BTreeMap<FleetId, Arc<OnceCell<Arc<FleetView>>>>>,
}

/// Everything that is in a fleet, as of one look.
#[derive(Debug, Default)]
pub(crate) struct FleetView {
    pub(crate) fleet: Option<Fleet>,
    pub(crate) addresses: Vec<Address>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) ingress: Vec<Ingress>,
}

impl Session {
    pub(crate) fn configure(&self, clouds: Clouds) {
        *lock(&self.clouds) = Arc::new(clouds);
        lock(&self.views).clear();
    }

    /// The cloud of this name.
    pub(crate) async fn cloud(&self, name: CloudName) -> Result<Arc<dyn Cloud>> {
        let clouds = Arc::clone(&lock(&self.clouds));
        clouds.get(name).await.doing(name, || format!("open the cloud `{name}`"))
    }

    /// One look at the fleet, shared by all reads of this process: a refresh of a hundred groups
    /// is one look. Whoever changes something in the fleet calls [`Session::forget`].
    pub(crate) async fn view(&self, id: &FleetId) -> Result<Arc<FleetView>> {
        let cell = Arc::clone(lock(&self.views).entry(id.clone()).or_default());
        let view = cell.get_or_try_init(|| async {
            let cloud = self.cloud(id.cloud).await?;
            look(&*cloud, &key(id)).await.map(Arc::new).map_err(|error| Failure::Cloud {
                cloud: id.cloud,
                doing: format!("read fleet {id}"),
                error,
                attribute: None,
            })
        });
        view.await.cloned()
    }

    /// The next read looks again.
    pub(crate) fn forget(&self, id: &FleetId) {
        lock(&self.views).remove(id);
    }
}

/// The fleet's key in its cloud.
pub(crate) fn key(id: &FleetId) -> FleetKey {
    FleetKey { region: id.region.clone(), name: id.name.clone() }
}

async fn look(cloud: &dyn Cloud, key: &FleetKey) -> cloud::Result<FleetView> {
    let Some(fleet) = cloud.get_fleet(key).await? else { return Ok(FleetView::default()) };
    let all = TagFilter::all();
    let (addresses, instances, ingress) = futures::future::try_join3(
        cloud.list_addresses(key, &all),
        cloud.list_instances(key, &all),
        cloud.list_ingress(key),
    )
    .await?;
    Ok(FleetView { fleet: Some(fleet), addresses, instances, ingress })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No code panics while it holds one of these; if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
