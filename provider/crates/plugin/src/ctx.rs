//! The frame of one operation: its end in time, and the user's wish to stop.

use crate::value::Value;
use std::{future::Future, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a resource's operations may take, when the configuration does not say.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the creation.
    pub create: Duration,
    /// For one look.
    pub read: Duration,
    /// For a change in place.
    pub update: Duration,
    /// For the removal.
    pub delete: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let twenty = Duration::from_secs(20 * 60);
        Self { create: twenty, read: twenty, update: twenty, delete: twenty }
    }
}

/// Ten years.
const FAR_AWAY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The frame of one operation. A handler is never dropped in the middle: it looks at this where it
/// waits, and returns with what it has saved.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// When the operation's time is over.
    pub deadline: Instant,
    /// Fires when the user stops the run.
    pub cancel: CancellationToken,
    /// What the user wrote: the only place where a write-only value is. Null in a removal, a look
    /// and an import.
    pub config: Value,
}

/// Why a wait ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// The operation's time is over.
    #[error("the time is over")]
    Deadline,
    /// The user stopped the run.
    #[error("the run was stopped")]
    Cancelled,
}

impl Ctx {
    /// A frame that ends after `timeout`.
    pub fn new(timeout: Duration, cancel: CancellationToken) -> Self {
        let now = Instant::now();
        // More than a clock can hold is as good as never.
        let deadline = now.checked_add(timeout).unwrap_or(now + FAR_AWAY);
        Self { deadline, cancel, config: Value::Null }
    }

    /// The same, with what the user wrote.
    #[must_use]
    pub(crate) fn with_config(self, config: Value) -> Self {
        Self { config, ..self }
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
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
            () = tokio::time::sleep_until(self.deadline) => Err(Interrupted::Deadline),
        }
    }
}
