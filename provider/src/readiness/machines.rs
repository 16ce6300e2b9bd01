//! Machines as the cloud sees them: listed, gone, and what their consoles say.

use super::pace::Pace;
use super::passing;
use crate::error::{Doing, Failure, Result};
use cloud::{Cloud, FleetKey, Instance, InstanceId, InstanceState, TagFilter};
use plugin::Ctx;

/// Waits until the cloud no longer lists any instance that matches.
pub(crate) async fn gone(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    what: &str,
    is_meant: impl Fn(&Instance) -> bool,
) -> Result<()> {
    let pace = Pace::new(cloud);
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

/// Whether a machine has got as far as a cloud can tell.
pub(crate) fn is_running(state: InstanceState) -> bool {
    state == InstanceState::Running
}

/// Waits until the cloud lists these machines, and all in a state that is enough.
pub(crate) async fn running(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    what: &str,
    machines: &[InstanceId],
    is_enough: impl Fn(InstanceState) -> bool,
) -> Result<()> {
    let pace = Pace::new(cloud);
    loop {
        let listed = list(cloud, fleet, || format!("watch {what}")).await;
        let seen = match passing(listed)? {
            Ok(listed) => {
                let state = |id: &InstanceId| {
                    listed.iter().find(|found| found.id == *id).map(|found| found.state)
                };
                let not_yet = machines.iter().filter(|id| !state(id).is_some_and(&is_enough));
                let not_yet: Vec<String> = not_yet
                    .map(|id| match state(id) {
                        Some(state) => format!("{id} is {state}"),
                        None => format!("{id} is not listed"),
                    })
                    .collect();
                if not_yet.is_empty() {
                    return Ok(());
                }
                not_yet.join(", ")
            }
            Err(seen) => seen,
        };
        pace.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("{what} to run"),
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
