//! What an operation may still do after its end.

use cloud::{Deadline, Interrupted};
use std::time::Duration;

/// The frame of a clean-up after a failure: the operation's own time may be over, and what it launched
/// must go all the same. A user who stops the run while it goes on stops it too.
pub(crate) fn clean_up(deadline: &Deadline) -> Deadline {
    after(deadline, Duration::from_secs(10 * 60))
}

/// The frame of the last things to be said to the cloud: whose machines they are, and which of them came.
pub(crate) fn last_words(deadline: &Deadline) -> Deadline {
    after(deadline, LAST_ROUND)
}

/// The frame of what is said when machines have come or not, and the time for that may be over: the operation's
/// own, and afterwards that of the last words.
pub(crate) fn closing(deadline: &Deadline) -> Deadline {
    match deadline.ended() {
        None => deadline.clone(),
        Some(_) => last_words(deadline),
    }
}

/// The frame of a last round that reads what has become of things when the time is over; a stop ends it.
pub(crate) fn last_round(deadline: &Deadline) -> Deadline {
    deadline.extended(LAST_ROUND)
}

/// A user who has stopped the run waits for no more than a moment.
fn after(deadline: &Deadline, timeout: Duration) -> Deadline {
    match deadline.ended() {
        Some(Interrupted::Cancelled) => Deadline::after_stop(STOPPED),
        Some(Interrupted::Deadline) | None => deadline.extended(timeout),
    }
}

/// Consoles of many machines are read in it, several at once.
const LAST_ROUND: Duration = Duration::from_secs(30);

/// With what a call that was cut off may take, less than the two seconds that a stop may.
const STOPPED: Duration = Duration::from_secs(1);
