//! How long a creation may go on, and so how long nobody else removes what it has made.

use crate::failure::{Doing, Result};
use cloud::{Address, Cloud, Deadline, FleetKey, Instance, ObjectId, Tags, tag};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// For so long after a launch a creation goes on without saying so.
pub(crate) const USUALLY: Duration = Duration::from_secs(2 * 60 * 60);

/// Says on a service's address until when an operation may go on that is about to launch machines, where it may
/// take longer than creations usually do.
pub(crate) async fn announce(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    address: &Address,
) -> Result<()> {
    let until = seconds(cloud.now()).saturating_add(deadline.remaining().as_secs());
    let is_usual = deadline.remaining() <= USUALLY;
    if is_usual || said(address).is_some_and(|said| said >= until) {
        return Ok(());
    }
    let tags = Tags::from([(tag::CREATING_UNTIL, until.to_string())]);
    let doing = || format!("say at {} until when its service is being made", address.ip);
    let tagged = cloud.tag(fleet, &[ObjectId::Address(address.id.clone())], &tags).await;
    tagged.doing(cloud.name(), doing)
}

/// Whether no creation can go on any more that has launched this machine of a service with this address, at a
/// moment of the cloud's clock.
pub(crate) fn is_over(address: Option<&Address>, machine: &Instance, now: SystemTime) -> bool {
    let usual = machine.launched_at.saturating_add(USUALLY.as_secs());
    let until = address.and_then(said).map_or(usual, |said| said.max(usual));
    seconds(now) > until
}

fn said(address: &Address) -> Option<u64> {
    address.tags.get(tag::CREATING_UNTIL)?.parse().ok()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
