//! What routers were seen to be, kept for all who wait at one of them at the same moment. Who asks them, and judges by
//! the answers, is in `observed.rs`.

use cloud::{CloudError, Deadline, Interrupted};
use domain::registration::{Accepted, Health};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The latest observation of each router. Who waits at one waits for nobody who waits at another.
#[derive(Debug, Default)]
pub struct Observations(Mutex<BTreeMap<String, Arc<Latest>>>);

/// Locked while the router is being asked.
type Latest = tokio::sync::Mutex<Option<(Instant, Arc<Observed>)>>;

/// One observation. What is asked for when it is first needed is asked for once.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Whether it is healthy, by its own answer.
    pub(crate) answers: bool,
    /// Whom it lists, healthy or not.
    pub(crate) health: Option<Health>,
    /// How many it routes to; none when it does not know its model, as before the first of them.
    pub(crate) accepted: OnceCell<Option<Accepted>>,
    /// What it has printed.
    pub(crate) console: OnceCell<Result<String, CloudError>>,
}

impl Observations {
    /// The latest observation of a router, if it was begun less than `age` before this was asked for; a new one
    /// otherwise. What the end of one operation has cut off is no observation for the others.
    ///
    /// # Errors
    /// When the operation ends before there is one.
    pub(crate) async fn recent(
        &self,
        deadline: &Deadline,
        router: String,
        age: Duration,
        ask: impl Future<Output = Option<Observed>>,
    ) -> Result<Arc<Observed>, Interrupted> {
        let asked_for = Instant::now();
        let latest = self.of_router(router);
        // Somebody else's request may go on for longer than this operation.
        let mut latest = deadline.checked(latest.lock()).await?;
        if let Some((begun, seen)) = &*latest
            && asked_for.saturating_duration_since(*begun) < age
        {
            return Ok(Arc::clone(seen));
        }
        let begun = Instant::now();
        let seen = Arc::new(ask.await.ok_or(deadline.over)?);
        *latest = Some((begun, Arc::clone(&seen)));
        Ok(seen)
    }

    fn of_router(&self, router: String) -> Arc<Latest> {
        // Nothing panics while it holds this lock.
        let mut routers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routers.entry(router).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_side_by_side_ask_once() {
        let (observations, deadline) = (Observations::default(), Deadline::never());
        let asked = Mutex::new(0);
        let ask = async || {
            // It takes longer than what is seen counts.
            tokio::time::sleep(2 * SECOND).await;
            *asked.lock().expect("no panic") += 1;
            Some(Observed::default())
        };
        let recent =
            |router: &str, age| observations.recent(&deadline, router.to_owned(), age, ask());
        let (one, two, other) =
            tokio::join!(recent("a", SECOND), recent("a", SECOND), recent("b", SECOND));
        assert!(Arc::ptr_eq(&one.expect("in time"), &two.expect("in time")));
        other.expect("in time");
        assert_eq!(*asked.lock().expect("no panic"), 2);
        recent("a", SECOND).await.expect("in time");
        recent("a", Duration::ZERO).await.expect("in time");
        assert_eq!(*asked.lock().expect("no panic"), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_end_of_one_operation_cuts_off_is_not_seen_by_others() {
        let (observations, deadline) = (Observations::default(), Deadline::never());
        let recent =
            |seen| observations.recent(&deadline, "a".to_owned(), SECOND, std::future::ready(seen));
        recent(None).await.expect_err("it was cut off");
        let answers = Observed { answers: true, ..Observed::default() };
        assert!(recent(Some(answers)).await.expect("an answer").answers);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_another_ones_request_longer_than_for_its_own_operation() {
        let observations = Observations::default();
        let never = Deadline::never();
        let stuck = observations.recent(&never, "a".to_owned(), SECOND, std::future::pending());
        let short = Deadline::after(SECOND, CancellationToken::new());
        let late = async {
            tokio::task::yield_now().await;
            let ask = async { Some(Observed::default()) };
            observations.recent(&short, "a".to_owned(), SECOND, ask).await.map(|_| ())
        };
        tokio::select! {
            biased;
            _ = stuck => panic!("it never answers"),
            ended = late => assert_eq!(ended, Err(Interrupted::Deadline)),
        }
    }
}
