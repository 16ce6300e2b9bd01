//! One process that calls the cloud: what goes wrong with its calls, and what it has called.

use crate::fault::{Effect, Fault};
use cloud::ErrorKind;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

/// A process.
#[derive(Debug, Default)]
pub(crate) struct Process {
    calls: Mutex<Calls>,
    /// Fires when it dies.
    pub(crate) death: CancellationToken,
}

#[derive(Debug, Default)]
struct Calls {
    faults: Vec<Fault>,
    by_operation: BTreeMap<&'static str, u64>,
    log: Vec<Call>,
}

/// A call that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its name in the contract.
    pub operation: &'static str,
    /// What it was about.
    pub object: String,
    /// What went wrong with it by the script.
    pub effect: Option<Effect>,
    /// How it was answered; none while it is not.
    pub answer: Option<Result<(), ErrorKind>>,
}

/// As a line of a story.
impl fmt::Display for Call {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{} {}", self.operation, self.object)?;
        match self.answer {
            None => write!(text, ": no answer")?,
            Some(Ok(())) => {}
            Some(Err(kind)) => write!(text, ": {kind:?}")?,
        }
        self.effect.map_or(Ok(()), |effect| write!(text, "  <- {effect:?}"))
    }
}

impl Process {
    pub(crate) fn add(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    pub(crate) fn clear(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn log(&self) -> Vec<Call> {
        self.lock().log.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().log.len()
    }

    /// A call begins: its place in the log, and what is to go wrong with it.
    pub(crate) fn begin(&self, operation: &'static str, object: String) -> (usize, Option<Effect>) {
        let mut calls = self.lock();
        let count = calls.by_operation.entry(operation).or_default();
        *count += 1;
        let (of_operation, place) = (*count, calls.log.len());
        let number = place as u64 + 1;
        let fault =
            calls.faults.iter().find(|fault| fault.when.is(number, operation, of_operation));
        let effect = fault.map(|fault| fault.effect);
        calls.log.push(Call { operation, object, effect, answer: None });
        (place, effect)
    }

    /// A call is answered.
    pub(crate) fn end(&self, place: usize, answer: Result<(), ErrorKind>) {
        self.lock().log[place].answer = Some(answer);
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // Nothing panics while it holds this lock.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
