//! The machines of a replica group: started, rebooted, removed, launched, by difference only.

use super::slots::lowest_free;
use cloud::{InstanceId, InstanceState};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// How many machines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exactly so many.
    Fixed(u32),
    /// Any number inside the bounds is right: an autoscaler moves it.
    Within {
        /// The smallest number.
        min: u32,
        /// The greatest number.
        max: u32,
    },
}

impl Count {
    /// The right number that is nearest to what there is.
    pub fn nearest(self, present: u32) -> u32 {
        match self {
            Self::Fixed(count) => count,
            Self::Within { min, max } => present.min(max).max(min),
        }
    }
}

/// A machine of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its slot.
    pub slot: u32,
    /// Its id in the cloud.
    pub id: InstanceId,
    /// What it is doing.
    pub state: InstanceState,
    /// The digest of what is baked into it.
    pub digest: String,
    /// Whether all its engines are registered.
    pub ready: bool,
    /// The moment it was asked for, seconds since 1970.
    pub launched_at: u64,
}

/// One thing to do for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start a machine that is stopped.
    Start(InstanceId),
    /// Reboot a machine that does not work.
    Reboot(InstanceId),
    /// Remove these machines at once; their slots are free from then on.
    Remove(Vec<Removal>),
    /// Launch one machine for each of these slots, all or none.
    Launch {
        /// Free slots, lowest first.
        slots: Vec<u32>,
    },
}

/// A machine to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Its slot.
    pub slot: u32,
    /// Its id.
    pub id: InstanceId,
}

/// What is to be done for a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPlan {
    /// In this order.
    pub steps: Vec<Step>,
}

/// Plans a group: what is stopped is started, what is impaired rebooted, and the count is met by
/// adding or removing the difference. Removed are the unready before the ready, those of
/// another digest before those of this one, and the newest before the oldest. Machines on their way out do not count; machines of another digest do, and stay as they
/// are: they are rolled, which is [`next_batch`](super::next_batch).
pub fn plan_group(wanted: Count, digest: &str, observed: &[Member]) -> GroupPlan {
    let mut present: Vec<&Member> =
        observed.iter().filter(|member| member.state != InstanceState::Terminating).collect();
    let count = u32::try_from(present.len()).unwrap_or(u32::MAX);
    let target = wanted.nearest(count);

    let is_current = |member: &Member| member.digest == digest;
    present.sort_by_key(|member| {
        (member.ready, is_current(member), Reverse(member.launched_at), Reverse(member.slot))
    });
    let staying = present.split_off(count.saturating_sub(target) as usize);
    let leaving = present;

    let current = by_slot(&staying).filter(|member| member.digest == digest);
    let mut steps: Vec<Step> = current.filter_map(revived).collect();
    if !leaving.is_empty() {
        steps.push(Step::Remove(leaving.into_iter().map(removed).collect()));
    }
    if target > count {
        let taken: BTreeSet<u32> = staying.iter().map(|member| member.slot).collect();
        let free = lowest_free(|slot| taken.contains(&slot));
        steps.push(Step::Launch { slots: free.take((target - count) as usize).collect() });
    }
    GroupPlan { steps }
}

fn by_slot<'a>(members: &[&'a Member]) -> impl Iterator<Item = &'a Member> + use<'a> {
    let mut members = members.to_vec();
    members.sort_by_key(|member| member.slot);
    members.into_iter()
}

fn revived(member: &Member) -> Option<Step> {
    match member.state {
        InstanceState::Pending
        | InstanceState::Running
        | InstanceState::Unreachable
        | InstanceState::Terminating => None,
        InstanceState::Impaired => Some(Step::Reboot(member.id.clone())),
        InstanceState::Stopping | InstanceState::Stopped => Some(Step::Start(member.id.clone())),
    }
}

fn removed(member: &Member) -> Removal {
    Removal { slot: member.slot, id: member.id.clone() }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
