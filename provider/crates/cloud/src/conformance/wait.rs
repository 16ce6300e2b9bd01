//! Waiting for a condition of the world: an early first look, then ever fewer.
//!
//! What is looked at is the caller's; so is making one look serve many waiters.

use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Pauses between looks: each longer than the one before, up to a bound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The first pause. The first look comes before it, at once.
    pub first: Duration,
    /// By how much each pause is longer than the one before.
    pub factor: f64,
    /// The longest pause.
    pub longest: Duration,
}

impl Schedule {
    /// For what a cloud takes seconds or minutes to do.
    pub const CLOUD: Self =
        Self { first: Duration::from_millis(500), factor: 1.5, longest: Duration::from_secs(10) };

    /// For processes on this machine, where a look costs next to nothing.
    pub const LOCAL: Self =
        Self { first: Duration::from_millis(10), factor: 1.5, longest: Duration::from_millis(250) };

    fn pauses(self) -> impl Iterator<Item = Duration> {
        std::iter::successors(Some(self.first), move |pause| {
            Some(pause.mul_f64(self.factor).min(self.longest))
        })
    }
}

/// A limit for the wait of a test on this computer: as many times longer as `DISAGG_TEST_PATIENCE` says.
///
/// # Panics
/// When that is no number of 1 or more.
pub fn patient(limit: Duration) -> Duration {
    let Ok(factor) = std::env::var("DISAGG_TEST_PATIENCE") else { return limit };
    let factor: f64 = factor.parse().expect("DISAGG_TEST_PATIENCE is a number");
    assert!((1.0..1000.0).contains(&factor), "DISAGG_TEST_PATIENCE is 1 or more");
    limit.mul_f64(factor)
}

/// Why a wait ended before its condition was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The time was over.
    #[error("the time was over")]
    Deadline,
    /// The user stopped the run.
    #[error("the run was stopped")]
    Cancelled,
}

/// How a wait can fail.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum WaitError<E> {
    /// The condition was not met in time.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A look failed, or showed that waiting is of no use.
    #[error("a look failed")]
    Failed(#[source] E),
}

/// Looks until `check` has an answer. A look that hangs is cut off by the deadline and by
/// cancellation like the pauses are.
///
/// # Errors
/// [`WaitError::Failed`] with the first error of `check`, else why the wait was interrupted.
pub async fn until<T, E>(
    cancel: &CancellationToken,
    deadline: Instant,
    schedule: Schedule,
    mut check: impl AsyncFnMut() -> Result<Option<T>, E>,
) -> Result<T, WaitError<E>> {
    let looks = async {
        for pause in schedule.pauses() {
            if let Some(answer) = check().await.map_err(WaitError::Failed)? {
                return Ok(answer);
            }
            tokio::time::sleep(pause).await;
        }
        Err(Interrupted::Deadline.into())
    };
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Interrupted::Cancelled.into()),
        // A look that is due at the deadline still counts.
        answer = looks => answer,
        () = tokio::time::sleep_until(deadline) => Err(Interrupted::Deadline.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn looks_early_then_less_often() {
        let start = Instant::now();
        let mut looks = Vec::new();
        let cancel = CancellationToken::new();
        let found = until(&cancel, start + HOUR, Schedule::CLOUD, async || {
            looks.push(start.elapsed().as_millis());
            Ok::<_, ()>((looks.len() == 11).then_some("there"))
        })
        .await;
        assert_eq!(found, Ok("there"));
        expect!["[0, 500, 1250, 2375, 4063, 6595, 10392, 16088, 24631, 34631, 44631]"]
            .assert_eq(&format!("{looks:?}"));
    }

    #[tokio::test(start_paused = true)]
    async fn ends_at_the_deadline_also_while_a_look_hangs() {
        for hang in [false, true] {
            let start = Instant::now();
            let deadline = start + Duration::from_secs(30);
            let cancel = CancellationToken::new();
            let ended = until(&cancel, deadline, Schedule::CLOUD, async || {
                if hang {
                    std::future::pending::<()>().await;
                }
                Ok::<Option<()>, ()>(None)
            })
            .await;
            assert_eq!(ended, Err(Interrupted::Deadline.into()));
            assert!(start.elapsed() - Duration::from_secs(30) < Duration::from_millis(5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_and_failing_end_it_at_once() {
        let deadline = Instant::now() + HOUR;
        let cancel = CancellationToken::new();
        let failed = until(&cancel, deadline, Schedule::LOCAL, async || Err::<Option<()>, _>("no"));
        assert_eq!(failed.await, Err(WaitError::Failed("no")));

        cancel.cancel();
        let stopped = until(&cancel, deadline, Schedule::LOCAL, async || Ok::<_, ()>(Some(())));
        assert_eq!(stopped.await, Err(Interrupted::Cancelled.into()));
    }
}
