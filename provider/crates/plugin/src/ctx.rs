//! The frame of one operation: its end in time, and the user's wish to stop.

use crate::diagnostics::Diagnostic;
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

/// The frame of one operation. A handler that changes something is never dropped in the middle: it looks
/// at this where it waits, and returns with what it has saved.
#[derive(Clone, Debug)]
pub struct Ctx {
    /// When the operation's time is over.
    pub deadline: Instant,
    /// Fires when the user stops the run.
    pub cancel: CancellationToken,
    /// What the user wrote: the only place where a write-only value is. Null in a removal, a look
    /// and an import.
    pub config: Value,
    timeout: Duration,
    /// The attribute that says how long, where there is one.
    attribute: Option<&'static str>,
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
        Self { deadline, cancel, config: Value::Null, timeout, attribute: None }
    }

    /// The same, whose time an attribute says.
    #[must_use]
    pub(crate) fn limited_by(self, attribute: &'static str) -> Self {
        Self { attribute: Some(attribute), ..self }
    }

    /// A frame that ends after another `timeout` from now, and is stopped by what stops this one.
    #[must_use]
    pub fn extended(&self, timeout: Duration) -> Self {
        Self::new(timeout, self.cancel.clone()).with_config(self.config.clone())
    }

    /// What limits its time, for errors: as in `` `timeouts.read` (5m) ``.
    pub fn limit(&self) -> String {
        let timeout =
            jiff::SignedDuration::try_from(self.timeout).unwrap_or(jiff::SignedDuration::MAX);
        match self.attribute {
            Some(attribute) => format!("`{attribute}` ({timeout:#})"),
            None => format!("the limit of {timeout:#}"),
        }
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

    /// Whether it has ended, and why.
    pub fn ended(&self) -> Option<Interrupted> {
        if self.cancel.is_cancelled() {
            return Some(Interrupted::Cancelled);
        }
        self.remaining().is_zero().then_some(Interrupted::Deadline)
    }

    /// Runs a handler that changes nothing. It ends by itself when the operation does, with what it knows to
    /// say; one that has not a moment later is dropped.
    pub(crate) async fn bounded<T>(
        &self,
        handler: impl Future<Output = T>,
    ) -> Result<T, Interrupted> {
        let stopped = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(MOMENT).await;
        };
        tokio::select! {
            biased;
            done = handler => Ok(done),
            () = stopped => Err(Interrupted::Cancelled),
            () = tokio::time::sleep_until(self.deadline + MOMENT) => Err(Interrupted::Deadline),
        }
    }

    /// The error of a handler that was dropped; `doing` is what it did, as in `read disagg_fleet`.
    pub(crate) fn dropped(&self, why: Interrupted, doing: &str) -> Diagnostic {
        match why {
            Interrupted::Deadline => Diagnostic::error(
                format!("Timeout: could not {doing}"),
                format!(
                    "{} was over. Nothing was changed. Run it again, or raise the limit where it only \
                     needs longer.",
                    self.limit()
                ),
            ),
            Interrupted::Cancelled => Diagnostic::error(
                format!("Stopped: could not {doing}"),
                "The run was stopped. Nothing was changed.",
            ),
        }
    }
}

/// A handler whose operation has ended returns within this time.
const MOMENT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    fn ctx() -> Ctx {
        Ctx::new(Duration::from_secs(90), CancellationToken::new())
    }

    #[test]
    fn a_limit_is_told_by_its_attribute() {
        assert_eq!(ctx().limit(), "the limit of 1m 30s");
        assert_eq!(ctx().limited_by("timeouts.read").limit(), "`timeouts.read` (1m 30s)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_does_not_end_is_dropped() {
        let (ctx, start) = (ctx(), Instant::now());
        assert_eq!(ctx.bounded(pending::<()>()).await, Err(Interrupted::Deadline));
        assert_eq!(start.elapsed(), Duration::from_secs(90) + MOMENT);
        assert_eq!(ctx.ended(), Some(Interrupted::Deadline));
        assert_eq!(ctx.extended(Duration::from_secs(1)).ended(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_goes_on_after_a_stop_is_dropped() {
        let (ctx, start) = (ctx(), Instant::now());
        let stop = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            ctx.cancel.cancel();
        };
        let (ended, ()) = tokio::join!(ctx.bounded(pending::<()>()), stop);
        assert_eq!(ended, Err(Interrupted::Cancelled));
        assert_eq!(start.elapsed(), Duration::from_secs(7) + MOMENT);
        assert_eq!(ctx.extended(Duration::from_secs(1)).ended(), Some(Interrupted::Cancelled));
    }
}
