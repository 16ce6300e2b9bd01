//! What an operation tells while it goes on: what there is now, and what is to be said without ending it.

use crate::failure::{FailedMachine, Failure, Fate};
use crate::object::Object;
use domain::id::GroupId;
use domain::spec::WorkerRole;
use std::time::Duration;

/// Who keeps the record of what an operation makes. Every id is in it before anything is waited for, so that
/// whatever dies, the next operation finds it again.
pub trait Journal<Record>: Send + Sync {
    /// This is there now.
    fn saved(&mut self, record: &Record);
    /// Nothing of it is there any more.
    fn removed(&mut self);
    /// Something to be said.
    fn warned(&mut self, warning: Warning);
}

/// What is to be said, and ends nothing.
#[derive(Debug)]
pub enum Warning {
    /// A failure beside the one that ends the operation: both are told.
    Also(Failure),
    /// What was made and not seen to the end, because of this.
    Unfinished(Object, Failure),
    /// Workers that could not be launched, while others are there.
    WorkersMissing {
        /// The group.
        group: GroupId,
        /// How many.
        missing: usize,
        /// Why.
        cause: Failure,
    },
    /// Workers whose boot failed, or that are late, while others are at work.
    WorkersFailed {
        /// The group.
        group: GroupId,
        /// Those.
        machines: Vec<FailedMachine>,
        /// What has become of them.
        fate: Fate,
    },
    /// Workers to which the router sends no request, although nothing is wrong with their machines.
    WorkersRefused {
        /// The group.
        group: GroupId,
        /// Those.
        machines: Vec<FailedMachine>,
    },
    /// Answers that were running when the time for them was over.
    DrainEnded {
        /// Whose machines.
        group: GroupId,
        /// How long was waited.
        limit: Duration,
        /// What ran where, in words.
        busy: Vec<String>,
    },
    /// The last old decode workers went before the last old prefill.
    WentBeforePrefill {
        /// Whose.
        group: GroupId,
        /// What was waited for, in words.
        missing: String,
    },
    /// Workers that get no request until there are others of the same kind.
    Alone {
        /// Whose.
        group: GroupId,
        /// The role of the others.
        role: WorkerRole,
        /// Where these register.
        namespace: String,
    },
}
