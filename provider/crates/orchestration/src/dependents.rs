//! Who still uses what is to be removed. Those that this process removes as well are waited for: whoever
//! spells ids out says nothing of their order.

use crate::failure::Result;
use crate::object::Object;
use crate::orchestrator::Orchestrator;
use crate::poll::Poll;
use crate::readiness::Pace;
use crate::snapshot::{Freshness, Snapshot};
use cloud::Deadline;
use domain::id::FleetId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Waits until nothing uses it any more, or something does that is not being removed; answers those.
/// `users` finds in the fleet each user's path, under which its own removal is known, with its name.
pub(crate) async fn wait_until_unused(
    deadline: &Deadline,
    orchestrator: &Orchestrator,
    fleet: &FleetId,
    what: &Object,
    users: impl Fn(&Snapshot) -> BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let pace = Pace::new(&*orchestrator.cloud(deadline, fleet.cloud).await?);
    let mut poll = Poll::new(deadline, pace, format!("the removal of what uses {what}"));
    loop {
        let users = users(&*orchestrator.snapshot(deadline, fleet, Freshness::New).await?);
        let all_go = users.keys().all(|path| orchestrator.in_flight().is_removing(path));
        let have_begun = poll.pace.waited() > ALL_REMOVALS_HAVE_BEGUN;
        if users.is_empty() || (!all_go && have_begun) {
            return Ok(users.into_values().collect());
        }
        poll.again(users.into_values().collect::<Vec<_>>().join(", ")).await?;
    }
}

/// A program starts the removals that depend on nothing at the same moment.
const ALL_REMOVALS_HAVE_BEGUN: Duration = Duration::from_secs(2);
