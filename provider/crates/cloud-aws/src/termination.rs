//! Ending machines, and giving back what went with them.

use crate::error::{During, is_gone};
use crate::{Region, egress};
use cloud::{FleetKey, InstanceId};

/// One id that is not known fails the whole call: the others are then asked for one by one, and all are
/// asked for before one that cannot go is told of.
pub(crate) async fn terminate(
    region: &Region,
    key: &FleetKey,
    ids: &[InstanceId],
) -> cloud::Result<()> {
    let mut terminated = Ok(());
    for chunk in ids.chunks(MOST_TERMINATED) {
        match terminate_all(region, chunk).await {
            Err(error) if is_gone(&error) => {
                for id in chunk {
                    terminated = terminated.and(terminate_one(region, id).await);
                }
            }
            all => terminated = terminated.and(all),
        }
    }
    terminated.and(egress::release(region, key, ids).await)
}

/// One that was launched a moment ago is not gone, and would be paid for: that it is not known yet is an
/// error.
async fn terminate_one(region: &Region, id: &InstanceId) -> cloud::Result<()> {
    match terminate_all(region, std::slice::from_ref(id)).await {
        Err(error) if is_gone(&error) && !region.recent.is_new(&id.0).await => Ok(()),
        terminated => terminated,
    }
}

async fn terminate_all(region: &Region, ids: &[InstanceId]) -> cloud::Result<()> {
    const OPERATION: &str = "TerminateInstances";
    let names: Vec<String> = ids.iter().map(|id| id.0.clone()).collect();
    let object = names.join(", ");
    let call = region.ec2.terminate_instances().set_instance_ids(Some(names));
    call.send().await.during(OPERATION).map_err(|error| error.object(object))?;
    for id in ids {
        region.recent.remove(&id.0).await;
    }
    Ok(())
}

/// Ids that EC2 takes in one TerminateInstances.
const MOST_TERMINATED: usize = 1000;
