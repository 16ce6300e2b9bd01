//! The one loop of everything that is waited for: look, pause, look again, until the operation ends.

use crate::failure::{Failure, Result};
use crate::readiness::Pace;
use cloud::Deadline;

/// A wait that goes on.
#[derive(Debug)]
pub(crate) struct Poll<'a> {
    deadline: &'a Deadline,
    /// How often is looked.
    pub(crate) pace: Pace,
    waiting_for: String,
    kept: bool,
}

impl<'a> Poll<'a> {
    /// For something, as in `the removal of machine m-1`, beside which what was made is kept.
    pub(crate) fn new(deadline: &'a Deadline, pace: Pace, waiting_for: impl Into<String>) -> Self {
        Self { deadline, pace, waiting_for: waiting_for.into(), kept: true }
    }

    /// The same of an operation that has made nothing so far.
    pub(crate) fn before_anything(self) -> Self {
        Self { kept: false, ..self }
    }

    /// Lets the next pause go by, after a look that has seen this.
    ///
    /// # Errors
    /// When the operation ends before.
    pub(crate) async fn again(&self, seen: impl Into<String>) -> Result<()> {
        self.pace.next(self.deadline).await.map_err(|why| Failure::Interrupted {
            waiting_for: self.waiting_for.clone(),
            seen: seen.into(),
            why,
            kept: self.kept,
        })
    }
}
