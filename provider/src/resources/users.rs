//! Who still uses what is to be removed. Those that this very run removes as well are waited for: a
//! configuration that spells ids out tells Terraform nothing of their order.

use crate::error::{Failure, Result};
use crate::readiness::Pace;
use crate::session::{FleetView, Session};
use domain::id::FleetId;
use plugin::Ctx;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Looks until nobody uses it any more, or somebody does who is not being removed; answers those.
/// `users` finds in the fleet each user's path, under which its own removal is known, with its name.
pub(super) async fn left(
    ctx: &Ctx,
    session: &Session,
    fleet: &FleetId,
    what: &str,
    users: impl Fn(&FleetView) -> BTreeMap<String, String>,
) -> Result<Vec<String>> {
    let start = Instant::now();
    let pace = Pace::new(&*session.cloud(ctx, fleet.cloud).await?);
    loop {
        session.forget(fleet);
        let users = users(&*session.view(ctx, fleet).await?);
        let all_go = users.keys().all(|path| session.is_removing(path));
        if users.is_empty() || (!all_go && start.elapsed() > ALL_REMOVALS_HAVE_BEGUN) {
            return Ok(users.into_values().collect());
        }
        let seen = users.into_values().collect::<Vec<_>>().join(", ");
        pace.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("the removal of what uses {what}"),
            seen,
            why,
            kept: true,
        })?;
    }
}

/// Terraform starts the removals that depend on nothing at the same moment.
const ALL_REMOVALS_HAVE_BEGUN: Duration = Duration::from_secs(2);
