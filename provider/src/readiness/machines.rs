//! Machines as the cloud sees them: listed, gone, and what their consoles say.

use super::pace::Pace;
use super::passing;
use crate::error::{Doing, Failure, Result};
use cloud::{Cloud, FleetKey, Instance, InstanceId, TagFilter};
use plugin::Ctx;

/// Waits until the cloud no longer lists any instance that matches.
pub(crate) async fn gone(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    what: &str,
    is_meant: impl Fn(&Instance) -> bool,
) -> Result<()> {
    let mut pace = Pace::new(cloud);
    loop {
        let listed = list(cloud, fleet, || format!("watch the removal of {what}")).await;
        let seen = match passing(listed)? {
            Ok(listed) => {
                let left: Vec<String> = listed
                    .iter()
                    .filter(|instance| is_meant(instance))
                    .map(|instance| format!("{} is {}", instance.id, instance.state))
                    .collect();
                if left.is_empty() {
                    return Ok(());
                }
                left.join(", ")
            }
            Err(seen) => seen,
        };
        pace.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("the removal of {what}"),
            seen,
            why,
            kept: true,
        })?;
    }
}

/// Everything that the cloud lists in the fleet.
pub(super) async fn list(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    doing: impl FnOnce() -> String,
) -> Result<Vec<Instance>> {
    cloud.list_instances(fleet, &TagFilter::all()).await.doing(cloud.name(), doing)
}

/// What a machine printed on its serial console.
pub(super) async fn console(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &InstanceId,
) -> Result<String> {
    let console = cloud.console(fleet, id).await;
    console.map(|console| console.text).doing(cloud.name(), || format!("read the console of {id}"))
}
