//! The one loop of everything that is waited for: look, pause, look again, until the operation ends.

use crate::failure::{Failure, Result};
use crate::readiness::Pace;
use cloud::Deadline;

/// A wait that goes on.
#[derive(Debug)]
pub(crate) struct Poll<'a> {
    deadline: &'a Deadline,
    /// How often a round comes.
    pub(crate) pace: Pace,
    waiting_for: String,
    kept: bool,
    rounds: u32,
}

impl<'a> Poll<'a> {
    /// For something, as in `the removal of machine m-1`, beside which what was made is kept.
    pub(crate) fn new(deadline: &'a Deadline, pace: Pace, waiting_for: impl Into<String>) -> Self {
        let waiting_for = waiting_for.into();
        Self { deadline, pace, waiting_for, kept: true, rounds: 1 }
    }

    /// The same of an operation that has made nothing so far.
    pub(crate) fn before_anything(self) -> Self {
        Self { kept: false, ..self }
    }

    /// Which round this is, from 1. How many there have been says more than a time, which one slow call may use up.
    pub(crate) fn round(&self) -> u32 {
        self.rounds
    }

    /// Lets the next pause go by, after a round that has seen this.
    ///
    /// # Errors
    /// When the operation ends before.
    pub(crate) async fn again(&mut self, seen: impl Into<String>) -> Result<()> {
        self.rounds += 1;
        self.pace.next(self.deadline).await.map_err(|why| Failure::Interrupted {
            waiting_for: self.waiting_for.clone(),
            seen: seen.into(),
            why,
            kept: self.kept,
        })
    }
}
