//! What this process has made a moment ago: where EC2 says that it has no such thing, it is too new to be
//! known, and not gone.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Ids of instances, interfaces and Elastic IPs, and when each was made.
#[derive(Debug, Default)]
pub(crate) struct RecentlyCreated(Mutex<BTreeMap<String, Instant>>);

impl RecentlyCreated {
    pub(crate) async fn add(&self, ids: impl IntoIterator<Item = String>) {
        let now = Instant::now();
        self.0.lock().await.extend(ids.into_iter().map(|id| (id, now)));
    }

    /// Its removal was accepted: from now on it is gone where EC2 says so.
    pub(crate) async fn remove(&self, id: &str) {
        self.0.lock().await.remove(id);
    }

    pub(crate) async fn is_new(&self, id: &str) -> bool {
        self.0.lock().await.get(id).is_some_and(|created_at| created_at.elapsed() < KNOWN_AFTER)
    }
}

/// After that time what was made is known everywhere, as far as EC2 promises anything.
pub(crate) const KNOWN_AFTER: Duration = Duration::from_secs(120);
