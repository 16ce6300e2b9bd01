//! How long a creation may go on, and so how long nobody else removes what it has launched.

use crate::failure::{Doing, Result};
use cloud::{Cloud, Deadline, FleetKey, Instance, ObjectId, Tags, tag};
use std::time::Duration;

/// For so long after a launch a creation goes on without saying so.
pub(crate) const USUALLY: Duration = Duration::from_secs(2 * 60 * 60);

/// After its own end an operation still removes, or marks as owned, what it has launched.
const CLEARING_UP: Duration = Duration::from_secs(15 * 60);

/// Says on machines that are launched, or gone on with, until when their creation may go on, where it may take
/// longer than creations usually do.
pub(crate) async fn announce(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    machines: &[Instance],
) -> Result<()> {
    let end = cloud.now().saturating_add(deadline.remaining().as_secs());
    let is_late = |machine: &&Instance| end > until(machine);
    let late: Vec<ObjectId> = machines
        .iter()
        .filter(is_late)
        .map(|machine| ObjectId::Instance(machine.id.clone()))
        .collect();
    if late.is_empty() {
        return Ok(());
    }
    let tags = Tags::from([(tag::CREATING_UNTIL, end.to_string())]);
    let doing = || "say on machines until when they are being made".to_owned();
    cloud.tag(fleet, &late, &tags).await.doing(cloud.name(), doing)
}

/// Whether no creation can go on any more that has launched this machine, at a moment of the cloud's clock.
pub(crate) fn is_over(machine: &Instance, now: u64) -> bool {
    now > until(machine).saturating_add(CLEARING_UP.as_secs())
}

/// After so many hours of its life no creation goes on with a machine.
pub(crate) fn hours(machine: &Instance) -> u64 {
    until(machine).saturating_sub(machine.launched_at).div_ceil(60 * 60)
}

fn until(machine: &Instance) -> u64 {
    let usual = machine.launched_at.saturating_add(USUALLY.as_secs());
    let said = machine.tags.get(tag::CREATING_UNTIL).and_then(|until| until.parse().ok());
    said.map_or(usual, |said: u64| said.max(usual))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cloud::{InstanceId, InstanceState};

    const HOUR: u64 = 60 * 60;
    const LAUNCHED: u64 = 1_000 * HOUR;

    fn machine(creating_until: Option<&str>) -> Instance {
        let note = creating_until.map(|until| (tag::CREATING_UNTIL, until.to_owned()));
        Instance {
            id: InstanceId("m-1".to_owned()),
            state: InstanceState::Running,
            ip: None,
            instance_type: "cpu".to_owned(),
            image: None,
            launched_at: LAUNCHED,
            tags: note.into_iter().collect(),
            findings: Vec::new(),
        }
    }

    #[test]
    fn a_creation_is_over_when_it_said_and_not_before_it_usually_is() {
        let hours_later = |hours: u64| (LAUNCHED + hours * HOUR).to_string();
        for (said, hours, is_over_after_minutes) in [
            (None, 2, 135),
            (Some(hours_later(1)), 2, 135),
            (Some(hours_later(10)), 10, 615),
            // What nobody of us has written says nothing.
            (Some("tomorrow".to_owned()), 2, 135),
        ] {
            let machine = machine(said.as_deref());
            let after = |minutes: u64| is_over(&machine, LAUNCHED + minutes * 60 + 1);
            assert_eq!(super::hours(&machine), hours, "{said:?}");
            assert!(!after(is_over_after_minutes - 1), "{said:?}");
            assert!(after(is_over_after_minutes), "{said:?}");
        }
    }
}
