//! Watching machines become ready: over HTTP where the router can be reached, on the serial
//! console always. The first proof wins.
//!
//! Everything here reads and waits; nothing is changed or removed. A reading that fails for a reason
//! that passes by itself tells nothing, and the wait goes on: an outage of the cloud's API says
//! nothing about machines that are paid for.
//!
//! | to change | look in |
//! |---|---|
//! | how a router is judged | `router.rs` |
//! | what a router tells of itself and of its workers, and how long that is shared | `observed.rs`, `observations.rs` |
//! | how workers are judged | `workers.rs`, with those of other groups `partners.rs` |
//! | when a machine counts as gone, and how consoles are read | `machines.rs`, `pace.rs` |
//! | how an endpoint is judged | `endpoint.rs` |
//! | when nothing runs on a machine any more | `drain.rs`, `engines.rs`, `self_drain.rs` |
//! | how often is looked, and which lists are shared | `pace.rs`, `listings.rs` |
//! | what may still be done when the time is over | `grace.rs` |

mod access;
mod drain;
mod endpoint;
mod engines;
mod grace;
mod listings;
mod machines;
mod observations;
mod observed;
mod pace;
mod partners;
mod router;
mod self_drain;
mod workers;

pub use access::{Restarted, RouterAccess};
pub(crate) use drain::{Drain, Drained};
pub use endpoint::{EndpointProbe, Proof, endpoint};
pub(crate) use grace::{clean_up, closing, last_words};
pub use listings::Listings;
pub(crate) use machines::{consoles, gone, is_running, running};
pub use observations::Observations;
pub(crate) use pace::Pace;
pub(crate) use partners::others;
pub(crate) use router::{
    answers, boot_has_failed, latest_boot, refusals, refusals_of_itself, refuse_if_failed,
    registered_addresses, registrations, router, seen_unready,
};
pub(crate) use workers::{Worker, failed, workers};

use crate::failure::{Failure, Result};

/// What was seen in a round that the end of the operation has cut off.
const ROUND_CUT: &str = "the last round did not end";

/// What a reading found, or why this one found nothing; any other failure ends the wait. One that the end of
/// the operation has cut off is no failure of its own: the wait knows that end by itself.
fn passing<T>(read: Result<T>) -> Result<Result<T, String>> {
    match read {
        Ok(found) => Ok(Ok(found)),
        Err(Failure::Cloud { doing, error, .. }) if error.kind.may_be_done() => {
            Ok(Err(format!("could not {doing}: {error}")))
        }
        Err(failure) => Err(failure),
    }
}
