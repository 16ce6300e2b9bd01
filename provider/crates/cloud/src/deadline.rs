//! Until when an operation may go on, and who may end it before.

use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The end of one operation: of its calls to a cloud, and of what it waits for.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// When its time is over.
    pub at: Instant,
    /// Fires when the user stops the run.
    pub cancel: CancellationToken,
    /// What the limit is called where it can be changed, for errors.
    pub called: String,
}

/// Why a wait ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The operation's time is over.
    Deadline,
    /// The user stopped the run.
    Cancelled,
}

impl Deadline {
    /// For calls that belong to no operation.
    pub fn never() -> Self {
        let cancel = CancellationToken::new();
        Self { at: Instant::now() + TEN_YEARS, cancel, called: "no limit".to_owned() }
    }

    /// After this time, unless it is stopped before.
    pub fn after(timeout: Duration, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        // More than a clock can hold is as good as never.
        let at = now.checked_add(timeout).unwrap_or(now + TEN_YEARS);
        Self { at, cancel, called: format!("the limit of {timeout:?}") }
    }

    /// Another `timeout` from now, stopped by what stops this one.
    #[must_use]
    pub fn extended(&self, timeout: Duration) -> Self {
        Self::after(timeout, self.cancel.clone())
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether it has come, and why.
    pub fn ended(&self) -> Option<Interrupted> {
        if self.cancel.is_cancelled() {
            return Some(Interrupted::Cancelled);
        }
        self.remaining().is_zero().then_some(Interrupted::Deadline)
    }

    /// Waits for something, at most until the operation ends.
    ///
    /// # Errors
    /// When it ends first; the future is dropped then.
    pub async fn checked<T>(&self, future: impl Future<Output = T>) -> Result<T, Interrupted> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Interrupted::Cancelled),
            done = future => Ok(done),
            () = tokio::time::sleep_until(self.at) => Err(Interrupted::Deadline),
        }
    }
}

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
