//! What goes wrong with calls, as a script: nothing here happens by chance.

use cloud::ErrorKind;
use std::time::Duration;

/// Something that goes wrong with a call of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// With which.
    pub when: When,
    /// What.
    pub effect: Effect,
}

/// Calls of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The one of this number, from 1, whatever it calls.
    Call(u64),
    /// The one of this number, from 1, of the calls of this operation, by its name in the contract.
    Of(&'static str, u64),
    /// All of this operation.
    Every(&'static str),
    /// All from the one of this number to that of the other one, both included.
    During(u64, u64),
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It fails, without effect.
    Fails(ErrorKind),
    /// It has its effect, and this is what the caller is told.
    AnswerLost(ErrorKind),
    /// It has no effect and no answer.
    NeverAnswers,
    /// It has its effect and no answer.
    AnswerNeverComes,
    /// It has its effect so much later, also when the caller has gone by then.
    DecidedAfter(Duration),
    /// It has its effect at once, and its answer comes so much later.
    AnsweredAfter(Duration),
    /// It is answered, and if it reads, as everything was so long ago.
    Stale(Duration),
    /// The process dies before it calls: no call of it is answered any more.
    DiesBefore,
    /// The process dies when the call has had its effect.
    DiesAfter,
}

impl When {
    /// Whether a call is meant: which of all it is, what it calls, and which of those it is.
    pub(crate) fn is(self, number: u64, operation: &str, of_operation: u64) -> bool {
        match self {
            Self::Call(meant) => meant == number,
            Self::Of(name, meant) => name == operation && meant == of_operation,
            Self::Every(name) => name == operation,
            Self::During(first, last) => (first..=last).contains(&number),
        }
    }
}
