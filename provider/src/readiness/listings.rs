//! What machines there are, asked once for all who wait for some of them at the same moment.

use super::machines::list;
use crate::error::Result;
use cloud::{Cloud, CloudName, FleetKey, Instance};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The latest list of each fleet.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<BTreeMap<String, Listing>>);

#[derive(Debug)]
struct Listing {
    asked_at: Instant,
    instances: Arc<Vec<Instance>>,
}

/// Groups that were launched side by side look side by side.
const RECENT: Duration = Duration::from_secs(1);

impl Listings {
    /// Everything that the cloud lists in the fleet, or listed a moment ago. On the local cloud a list
    /// costs nothing and is always new.
    pub(super) async fn recent(
        &self,
        cloud: &dyn Cloud,
        fleet: &FleetKey,
    ) -> Result<Arc<Vec<Instance>>> {
        let key = format!("{}/{}/{}", cloud.name(), fleet.region, fleet.name);
        let mut lists = self.0.lock().await;
        if let Some(Listing { asked_at, instances }) = lists.get(&key)
            && asked_at.elapsed() < RECENT
            && cloud.name() != CloudName::Local
        {
            return Ok(Arc::clone(instances));
        }
        let asked_at = Instant::now();
        let instances = Arc::new(list(cloud, fleet, || "watch the workers".to_owned()).await?);
        lists.insert(key, Listing { asked_at, instances: Arc::clone(&instances) });
        Ok(instances)
    }
}
