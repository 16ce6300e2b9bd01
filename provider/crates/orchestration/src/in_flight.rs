//! What this process is making and removing right now, so that nothing is made twice and what goes is waited
//! for.

use crate::failure::{Failure, Result};
use crate::object::Object;
use crate::poll::Poll;
use crate::readiness::Pace;
use cloud::Deadline;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Paths of what is being made, and of what is being removed.
#[derive(Debug, Default)]
pub struct InFlight {
    creating: Paths,
    removing: Paths,
}

type Paths = Arc<Mutex<BTreeSet<String>>>;

/// What is going on at a path, for as long as this is held.
#[derive(Debug)]
pub struct Guard {
    path: String,
    paths: Paths,
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.paths).remove(&self.path);
    }
}

impl InFlight {
    /// Says that machines are being launched for this. Two operations of one name would find each other's
    /// unfinished machines and take them for their own.
    ///
    /// # Errors
    /// [`Failure::MadeTwice`] when another operation makes it at this moment.
    pub fn creating(&self, what: &Object) -> Result<Guard> {
        let path = what.path().to_owned();
        match lock(&self.creating).insert(path.clone()) {
            true => Ok(Guard { path, paths: Arc::clone(&self.creating) }),
            false => Err(Failure::MadeTwice(what.clone())),
        }
    }

    /// Says that what is at `path` is being removed.
    pub fn removing(&self, path: String) -> Guard {
        lock(&self.removing).insert(path.clone());
        Guard { path, paths: Arc::clone(&self.removing) }
    }

    /// Whether what is at `path` is being removed by this process.
    pub fn is_removing(&self, path: &str) -> bool {
        lock(&self.removing).contains(path)
    }

    /// Waits until this process removes it no longer: its name is free then.
    ///
    /// # Errors
    /// When the operation ends first.
    pub async fn after_removal(&self, deadline: &Deadline, what: &Object) -> Result<()> {
        let removal = format!("the removal of {what} by this same run");
        let mut poll = Poll::new(deadline, Pace::every(REMOVAL_PAUSE), removal).before_anything();
        while self.is_removing(what.path()) {
            poll.again("it is not gone yet").await?;
        }
        Ok(())
    }
}

/// Between two questions about a removal of this process.
const REMOVAL_PAUSE: Duration = Duration::from_millis(200);

fn lock(paths: &Mutex<BTreeSet<String>>) -> MutexGuard<'_, BTreeSet<String>> {
    // No code panics while it holds one of these; if it did, the data would still be whole.
    paths.lock().unwrap_or_else(PoisonError::into_inner)
}
