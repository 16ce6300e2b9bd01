//! What machines there are, asked once for all who wait for some of them at the same moment.

use super::machines::list;
use crate::error::Result;
use cloud::{Cloud, CloudName, FleetKey, Instance};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The latest list of each fleet. Who asks about one fleet waits for nobody who asks about another.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<BTreeMap<String, Arc<Latest>>>);

/// The latest list of one fleet; locked while it is asked for.
type Latest = tokio::sync::Mutex<Option<Listing>>;

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
        let latest = self.of_fleet(format!("{}/{fleet}", cloud.name()));
        let mut latest = latest.lock().await;
        if let Some(Listing { asked_at, instances }) = &*latest
            && asked_at.elapsed() < RECENT
            && cloud.name() != CloudName::Local
        {
            return Ok(Arc::clone(instances));
        }
        let asked_at = Instant::now();
        let instances = Arc::new(list(cloud, fleet, || "watch the workers".to_owned()).await?);
        *latest = Some(Listing { asked_at, instances: Arc::clone(&instances) });
        Ok(instances)
    }

    fn of_fleet(&self, fleet: String) -> Arc<Latest> {
        // Nothing panics while it holds this lock.
        let mut fleets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(fleets.entry(fleet).or_default())
    }
}
