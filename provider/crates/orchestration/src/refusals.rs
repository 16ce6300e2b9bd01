//! Which workers routers refuse, as they said a moment ago: asked once for all groups of a service that are read
//! side by side, and anew soon after.

use domain::console::Refusal;
use domain::id::ServiceId;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// Why which addresses get no request.
pub type Refusals = Arc<BTreeMap<IpAddr, Refusal>>;

/// What the routers of one process have answered.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<BTreeMap<ServiceId, Answer>>);

/// One answer, which whoever comes first asks for on behalf of all.
#[derive(Clone, Debug)]
struct Answer {
    asked: Instant,
    refusals: Arc<OnceCell<Refusals>>,
}

impl Answers {
    /// What the router of this service has answered, or what it answers now when that was too long ago.
    pub(crate) async fn of(
        &self,
        service: &ServiceId,
        ask: impl Future<Output = Refusals>,
    ) -> Refusals {
        let Answer { refusals, .. } = {
            let mut answers = self.lock();
            answers.retain(|_, answer| answer.asked.elapsed() < COUNTS_FOR);
            let new = || Answer { asked: Instant::now(), refusals: Arc::default() };
            answers.entry(service.clone()).or_insert_with(new).clone()
        };
        refusals.get_or_init(|| ask).await.clone()
    }

    /// Whoever comes next asks anew.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServiceId, Answer>> {
        // No code panics while it holds this; if it did, the data would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Groups of one service are read within this time, and a worker that is back in service is not said to be refused
/// for longer.
const COUNTS_FOR: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_router_is_asked_once_for_all_groups_and_anew_after_a_moment() {
        let (answers, asked) = (Answers::default(), Cell::new(0));
        let service = |name: &str| -> ServiceId {
            format!("local/local/lab/{name}@3f9a1c2e").parse().expect("an id")
        };
        let (tiny, other) = (service("tiny"), service("other"));
        let ask = || async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            asked.set(asked.get() + 1);
            Refusals::default()
        };
        tokio::join!(answers.of(&tiny, ask()), answers.of(&tiny, ask()));
        assert_eq!(asked.get(), 1);
        answers.of(&other, ask()).await;
        assert_eq!(asked.get(), 2, "it has a router of its own");
        tokio::time::advance(COUNTS_FOR / 2).await;
        answers.of(&tiny, ask()).await;
        assert_eq!(asked.get(), 2);
        tokio::time::advance(COUNTS_FOR / 2).await;
        answers.of(&tiny, ask()).await;
        assert_eq!(asked.get(), 3);
        assert_eq!(answers.lock().len(), 1, "what does not count any more is not kept");
        answers.forget();
        answers.of(&tiny, ask()).await;
        assert_eq!(asked.get(), 4);
    }
}
