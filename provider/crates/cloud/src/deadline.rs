//! Until when calls may go on, and who may end them before.

use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The end of one operation, for the calls that it makes.
#[derive(Clone, Debug)]
pub struct Deadline {
    /// When its time is over.
    pub at: Instant,
    /// Fires when the user stops the run.
    pub cancel: CancellationToken,
    /// What the limit is called where it can be changed, for errors.
    pub called: String,
}

impl Deadline {
    /// For calls that belong to no operation.
    pub fn never() -> Self {
        Self {
            at: Instant::now() + TEN_YEARS,
            cancel: CancellationToken::new(),
            called: "no limit".to_owned(),
        }
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
