//! What machines there are, asked once for all who wait for some of them at the same moment.

use crate::failure::{Failure, Result};
use crate::outages::{Missed, ended_first};
use cloud::{Cloud, Deadline, FleetKey, Instance, LabelFilter};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The latest list of each fleet. Who asks about one fleet waits for nobody who asks about another.
#[derive(Debug, Default)]
pub struct Listings(Mutex<BTreeMap<String, Arc<Latest>>>);

/// The latest list of one fleet; locked while it is asked for.
type Latest = tokio::sync::Mutex<Option<Listing>>;

#[derive(Debug)]
struct Listing {
    asked_at: Instant,
    instances: Result<Arc<Vec<Instance>>, Missed>,
}

/// For so long a failure holds for those who look side by side.
const RECENT: Duration = Duration::from_secs(1);

impl Listings {
    /// Everything that the cloud lists in the fleet, or listed a moment ago; why it could not, if that was a
    /// moment ago. Where a list costs nothing, it is always new.
    pub(crate) async fn recent(
        &self,
        deadline: &Deadline,
        cloud: &dyn Cloud,
        fleet: &FleetKey,
    ) -> Result<Arc<Vec<Instance>>> {
        let latest = self.of_fleet(format!("{}/{fleet}", cloud.name()));
        let failed = |error| Failure::Cloud {
            cloud: cloud.name(),
            doing: "watch the workers".to_owned(),
            error,
        };
        let patience = deadline.remaining();
        // Somebody else's call may go on for longer than this operation.
        let latest = deadline.checked(latest.lock()).await;
        let mut latest =
            latest.map_err(|why| failed(ended_first(deadline, why, "list_instances")))?;
        match &*latest {
            Some(Listing { asked_at, instances: Ok(instances) })
                if asked_at.elapsed() < cloud.profile().polling.shared_for =>
            {
                return Ok(Arc::clone(instances));
            }
            Some(Listing { instances: Err(missed), .. }) if missed.counts_for(RECENT, patience) => {
                return Err(failed(missed.error.clone()));
            }
            _ => {}
        }
        let asked_at = Instant::now();
        let instances = cloud.list_instances(fleet, &LabelFilter::all()).await;
        let instances = instances.map(Arc::new).map_err(|error| Missed::new(error, asked_at));
        *latest = Some(Listing { asked_at, instances: instances.clone() });
        instances.map_err(|missed| failed(missed.error))
    }

    fn of_fleet(&self, fleet: String) -> Arc<Latest> {
        // Nothing panics while it holds this lock.
        let mut fleets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(fleets.entry(fleet).or_default())
    }
}
