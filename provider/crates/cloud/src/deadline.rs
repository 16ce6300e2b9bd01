//! Until when an operation may go on, and who may end it before.

use crate::ErrorKind;
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
    /// What it means when its time is over: of what may still be done after a stop, that the run was stopped.
    pub over: Interrupted,
}

/// Why a wait ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The operation's time is over.
    Deadline,
    /// The user stopped the run.
    Cancelled,
}

impl Interrupted {
    /// The kind of a call's error that it cuts off.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Deadline => ErrorKind::Timeout,
            Self::Cancelled => ErrorKind::Cancelled,
        }
    }
}

impl Deadline {
    /// For calls that belong to no operation.
    pub fn never() -> Self {
        let cancel = CancellationToken::new();
        let over = Interrupted::Deadline;
        Self { at: Instant::now() + TEN_YEARS, cancel, called: "no limit".to_owned(), over }
    }

    /// For what may still be done, within this time, after the user has stopped the run.
    pub fn after_stop(timeout: Duration) -> Self {
        Self { over: Interrupted::Cancelled, ..Self::after(timeout, CancellationToken::new()) }
    }

    /// After this time, unless it is stopped before.
    pub fn after(timeout: Duration, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        // More than a clock can hold is as good as never.
        let at = now.checked_add(timeout).unwrap_or(now + TEN_YEARS);
        let called = format!("the limit of {timeout:?}");
        Self { at, cancel, called, over: Interrupted::Deadline }
    }

    /// Another `timeout` from now, stopped by what stops this one.
    #[must_use]
    pub fn extended(&self, timeout: Duration) -> Self {
        Self { over: self.over, ..Self::after(timeout, self.cancel.clone()) }
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
        self.remaining().is_zero().then_some(self.over)
    }

    /// How an end of this is told, as in `` `timeouts.read` (5m) was over ``.
    pub fn told(&self, why: Interrupted) -> String {
        match why {
            Interrupted::Deadline => format!("{} was over", self.called),
            Interrupted::Cancelled => "the run was stopped".to_owned(),
        }
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
            () = tokio::time::sleep_until(self.at) => Err(self.over),
        }
    }
}

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
