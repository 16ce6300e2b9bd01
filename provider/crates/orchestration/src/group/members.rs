//! The machines of a group as they are in the cloud: which are its own, in which slots, and what
//! about them is not as it was made. Pure.

use crate::drift::{changed_settings, changed_tag};
use crate::snapshot::Snapshot;
use cloud::{Instance, InstanceId, InstanceState, Phase, Tags, tag};
use domain::console::Refusal;
use domain::finding::{Deviation, Finding, Subject, add};
use domain::id::GroupId;
use domain::planner::{self, Count};
use domain::scaling::Scale;
use domain::spec::GroupSpec;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The machines that carry the group's tags, and those that are known, whatever has become of
/// their tags. Those on their way out do not count.
pub fn of_group(snapshot: &Snapshot, id: &GroupId, known: &BTreeMap<u32, String>) -> Vec<Instance> {
    let named = names(id);
    let is_ours = |instance: &Instance| {
        has_tags(instance, &named) || known.values().any(|known| *known == instance.id.0)
    };
    let instances = snapshot.instances.iter();
    instances
        .filter(|instance| is_ours(instance) && instance.state != InstanceState::Terminating)
        .cloned()
        .collect()
}

/// Those that count, and those on their way out, which an operation that did not end has left.
pub fn counted_and_leaving(machines: Vec<Instance>) -> (Vec<Instance>, Vec<Instance>) {
    machines.into_iter().partition(|machine| machine.phase() != Phase::Draining)
}

/// The launch tokens of the group's machines, also of those on their way out.
pub(crate) fn launch_tokens(snapshot: &Snapshot, id: &GroupId) -> BTreeSet<String> {
    let named = names(id);
    let instances = snapshot.instances.iter().filter(|instance| has_tags(instance, &named));
    instances.filter_map(|instance| instance.tags.get(tag::LAUNCH).cloned()).collect()
}

/// The tags that say whose a machine is.
fn names(id: &GroupId) -> Tags {
    Tags::from([(tag::SERVICE, id.service.label()), (tag::GROUP, id.name.clone())])
}

/// Puts machines into slots; those that had one keep it.
pub fn in_slots(machines: &[Instance], known: &BTreeMap<u32, String>) -> BTreeMap<u32, Instance> {
    planner::assign_slots(known, machines)
}

/// The tags that a group's machines carry as long as they live.
pub(crate) fn own_tags(spec: &GroupSpec) -> Tags {
    let service = &spec.service_id;
    Tags::from([
        (tag::MANAGED_BY, tag::MANAGED_BY_US.to_owned()),
        (tag::FLEET, service.fleet.name.clone()),
        (tag::SERVICE, service.label()),
        (tag::GROUP, spec.group.clone()),
        (tag::ROLE, spec.role.to_string()),
        (tag::DIGEST, spec.digest()),
    ])
}

/// Whether a machine carries these tags.
pub(crate) fn has_tags(instance: &Instance, tags: &Tags) -> bool {
    tags.iter().all(|(key, value)| instance.tags.get(key) == Some(value))
}

/// How many machines are wanted: a roll that was stopped keeps the count that it began with, which
/// under scaling stands nowhere else.
pub(crate) fn count(scale: &Scale, slots: &BTreeMap<u32, Instance>, leaving: &[Instance]) -> Count {
    match (scale.count(), rolling(slots, leaving)) {
        (Count::Within { min, max }, Some(count)) => Count::Fixed(count.clamp(min, max.max(min))),
        (count, _) => count,
    }
}

/// The count that a roll began with that has not ended: whichever machines are left of it.
pub(crate) fn rolling(slots: &BTreeMap<u32, Instance>, leaving: &[Instance]) -> Option<u32> {
    let machines = slots.values().chain(leaving);
    let tags = machines.filter_map(|instance| instance.tags.get(tag::ROLLING));
    tags.filter_map(|count| count.parse().ok()).max()
}

/// The tag of the machines that holds the group's size.
pub(crate) fn scale_tag(scale: &Scale) -> Tags {
    Tags::from([(tag::COUNT, scale.to_string())])
}

/// The machines of a group, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Members<'a> {
    /// The id of the machine that each slot had.
    pub known: &'a BTreeMap<u32, String>,
    /// The machines that count.
    pub slots: &'a BTreeMap<u32, Instance>,
    /// Those on their way out.
    pub leaving: &'a [Instance],
    /// Why the router refuses which addresses.
    pub refusals: &'a BTreeMap<IpAddr, Refusal>,
}

/// What is not as it was made.
pub fn findings(spec: &GroupSpec, scale: &Scale, members: Members<'_>) -> Vec<Finding> {
    let Members { known, slots, leaving, refusals } = members;
    let mut own = own_tags(spec);
    if scale.is_scaled() {
        // Whoever scales acts on these bounds.
        own.extend(scale_tag(scale));
    }
    let mut findings = Vec::new();
    for (slot, instance) in slots {
        // Who is refused is up and registered, so nothing else is as important.
        let refusal = instance.ip.and_then(|ip| refusals.get(&ip)).cloned();
        let what = refusal.map(Deviation::Refused).or_else(|| deviation(instance, &own));
        let object = Subject::Machine(instance.id.clone(), Some(*slot));
        findings.extend(what.map(|what| Finding::of(object, what)));
    }
    for instance in leaving {
        let object = Subject::Machine(instance.id.clone(), None);
        findings.push(Finding::of(object, Deviation::Draining));
    }
    let mut known = known.clone();
    known.retain(|_, id| leaving.iter().all(|instance| instance.id.0 != *id));
    let count = slots.len();
    match scale.count() {
        Count::Within { min, max } if count < min as usize || count > max as usize => {
            let what = Deviation::OutsideBounds { count, min, max };
            findings.push(Finding::of(Subject::Count, what));
        }
        Count::Within { .. } => {
            let before = rolling(slots, leaving).filter(|before| *before as usize != count);
            let what = before.map(|before| Deviation::DuringRoll { count, before });
            findings.extend(what.map(|what| Finding::of(Subject::Count, what)));
        }
        Count::Fixed(_) if count < known.len() => {
            for (slot, id) in known {
                if slots.values().all(|instance| instance.id.0 != id) {
                    let object = Subject::Machine(InstanceId(id), Some(slot));
                    add(&mut findings, Finding::of(object, Deviation::Gone));
                }
            }
        }
        Count::Fixed(_) => {}
    }
    findings
}

fn deviation(instance: &Instance, own: &Tags) -> Option<Deviation> {
    match instance.state {
        InstanceState::Impaired => Some(Deviation::Impaired),
        InstanceState::Stopping | InstanceState::Stopped => Some(Deviation::Stopped),
        InstanceState::Pending
        | InstanceState::Running
        | InstanceState::Unreachable
        | InstanceState::Terminating => {
            let is_unfinished = instance.phase() != Phase::Ready;
            changed_tag(&instance.tags, own)
                .or_else(|| changed_settings(instance))
                .or_else(|| is_unfinished.then_some(Deviation::Unfinished))
        }
    }
}
