//! Model ↔ spec: what a group's attributes mean.

use crate::error::{Failure, Result};
use crate::resources::attributes::{from_pairs, from_texts, number, pairs, texts, word};
use cloud::{CloudName, Egress, Instance, Offer, Phase, tag};
use domain::catalogue::{self, NoOffer, Resources as Wanted};
use domain::console::Refusal;
use domain::drain;
use domain::id::GroupId;
use domain::local_gpus::LocalGpus;
use domain::market::Market;
use domain::planner::{self, Count, UpdateStrategy};
use domain::scaling::{self, Scale};
use domain::spec::{EngineSpec, GroupSpec, WorkerRole};
use orchestration::group::{GroupPolicy, KnownGroup, WaitFor};
use plugin::Attr;
use schemas::{Engine, Member, ReplicaGroup, Resources, Scaling};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// What each machine must have, unless it is not known yet.
pub(super) fn resources(group: &ReplicaGroup) -> Option<Wanted> {
    let resources = match &group.resources {
        Attr::Unknown(_) => return None,
        Attr::Null => return Some(Wanted::default()),
        Attr::Known(resources) => resources,
    };
    Some(Wanted {
        gpu: match &resources.gpu {
            Attr::Null => None,
            Attr::Unknown(_) => return None,
            Attr::Known(gpu) => Some(gpu.parse().ok()?),
        },
        cpu: number(&resources.cpu, None)?,
        memory_gb: number(&resources.memory_gb, None)?,
        disk_gb: number(&resources.disk_gb, None)?,
    })
}

/// The machines that a group may be made of, cheapest first: all with as many GPUs and the same
/// fabric as the first, because one user data serves them all.
pub(crate) fn offers(
    gpus: &LocalGpus,
    cloud: CloudName,
    wanted: &Wanted,
) -> Result<Vec<Offer>, NoOffer> {
    let mut offers = gpus.offers(cloud, wanted)?;
    let shape = |offer: &Offer| (offer.gpu_count, offer.interconnect, offer.fabric.clone());
    let first = offers.first().map(shape);
    offers.retain(|offer| Some(shape(offer)) == first);
    Ok(offers)
}

/// What is baked into each machine of a group that has an id.
pub(crate) fn spec(group: &ReplicaGroup, id: &GroupId) -> Result<GroupSpec> {
    let missing = |name: &str| Failure::Unreadable {
        what: format!("replica group {id}"),
        detail: format!("`{name}` is missing or none that a configuration could give"),
    };
    let engine = group.engine.known().ok_or_else(|| missing("engine"))?;
    let mut secret_env = BTreeMap::new();
    for (name, reference) in group.secret_env.known().into_iter().flatten() {
        let reference = reference.known().and_then(|text| text.parse().ok());
        secret_env.insert(name.clone(), reference.ok_or_else(|| missing("secret_env"))?);
    }
    let role = group.role.known().and_then(|role| role.parse::<WorkerRole>().ok());
    Ok(GroupSpec {
        service_id: id.service.clone(),
        group: id.name.clone(),
        role: role.ok_or_else(|| missing("role"))?,
        engine: EngineSpec {
            kind: engine.kind.known().cloned().ok_or_else(|| missing("engine.type"))?,
            tensor_parallel: number(&engine.tensor_parallel, None)
                .ok_or_else(|| missing("engine"))?,
            args: texts(&engine.args),
            model: engine.model.known().cloned(),
            image: engine.image.known().cloned(),
            runtime: engine.runtime.known().and_then(|runtime| runtime.parse().ok()),
            commands: texts(&engine.commands),
        },
        resources: resources(group).ok_or_else(|| missing("resources"))?,
        env: pairs(&group.env),
        secret_env,
        identity: group.identity.known().cloned(),
        image: group.image.known().cloned(),
        market: group
            .market
            .known()
            .map_or(Ok(Market::default()), |market| market.parse())
            .map_err(|_| missing("market"))?,
        reservation: group.reservation.known().cloned(),
        egress: group
            .egress
            .known()
            .map_or(Ok(Egress::default()), |egress| egress.parse())
            .map_err(|_| missing("egress"))?,
        boot_revision: number(&group.boot_revision, None).flatten().unwrap_or_default(),
        script_version: number(&group.script_version, None)
            .flatten()
            .unwrap_or(domain::SCRIPT_VERSION),
    })
}

/// The configuration that a group's machines were made from; what they cannot know is its default.
pub(super) fn from_spec(spec: &GroupSpec) -> ReplicaGroup {
    let count = |value: Option<u32>| Attr::from(value.map(i64::from));
    let resources = Resources {
        gpu: Attr::from(spec.resources.gpu.as_ref().map(ToString::to_string)),
        cpu: count(spec.resources.cpu),
        memory_gb: count(spec.resources.memory_gb),
        disk_gb: count(spec.resources.disk_gb),
    };
    let secrets = spec.secret_env.iter();
    ReplicaGroup {
        id: Attr::Known(spec.id().to_string()),
        name: word(&spec.group),
        service_id: Attr::Known(spec.service_id.to_string()),
        role: Attr::Known(spec.role.to_string()),
        resources: if resources == Resources::default() {
            Attr::Null
        } else {
            Attr::Known(resources)
        },
        engine: Attr::Known(Engine {
            kind: word(&spec.engine.kind),
            tensor_parallel: count(spec.engine.tensor_parallel),
            args: from_texts(&spec.engine.args),
            model: Attr::from(spec.engine.model.clone()),
            image: Attr::from(spec.engine.image.clone()),
            runtime: Attr::from(spec.engine.runtime.map(|runtime| runtime.to_string())),
            commands: from_texts(&spec.engine.commands),
        }),
        env: from_pairs(spec.env.clone()),
        secret_env: from_pairs(
            secrets.map(|(name, reference)| (name.clone(), reference.to_string())),
        ),
        identity: Attr::from(spec.identity.clone()),
        image: Attr::from(spec.image.clone()),
        market: match spec.market {
            Market::OnDemand => Attr::Null,
            market => word(market.as_str()),
        },
        reservation: Attr::from(spec.reservation.clone()),
        egress: match spec.egress {
            Egress::Subnet => Attr::Null,
            egress => word(egress.as_str()),
        },
        boot_revision: Attr::Known(i64::from(spec.boot_revision)),
        drain_timeout: word("10m"),
        wait_for: word("ready"),
        on_boot_failure: word("remove"),
        script_version: Attr::Known(i64::from(spec.script_version)),
        ..ReplicaGroup::default()
    }
}

/// The id that a group's state carries.
pub(super) fn id(group: &ReplicaGroup) -> Result<GroupId> {
    let text = group.id.known().cloned().unwrap_or_default();
    text.parse().map_err(|error| Failure::Unreadable {
        what: "a replica group".to_owned(),
        detail: format!("Its id: {error}"),
    })
}

/// The id that a group's configuration makes.
pub(super) fn configured_id(group: &ReplicaGroup) -> Result<GroupId> {
    let service = group.service_id.known().cloned().unwrap_or_default();
    let name = group.name.known().cloned().unwrap_or_default();
    let text = format!("{service}/{name}");
    text.parse().map_err(|error| Failure::Unreadable {
        what: "a replica group".to_owned(),
        detail: format!("Its id: {error}"),
    })
}

/// What its workers do. Every group has a role that its schema knows.
pub(super) fn role(group: &ReplicaGroup) -> WorkerRole {
    let role = group.role.known().and_then(|role| role.parse().ok());
    role.unwrap_or(WorkerRole::Worker)
}

/// Why a group has no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSize {
    /// A plan may know it only after another apply.
    #[error("`{0}` is not known yet")]
    Unknown(&'static str),
    /// An import of machines that tell none, or a state that was edited.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// Validation has let it pass, or it was edited.
    #[error("`{0}` is {1}, which is no number of machines")]
    NoCount(&'static str, i64),
}

/// How many machines are wanted, or between how many.
///
/// # Errors
/// With what the group says instead.
pub(super) fn count(group: &ReplicaGroup) -> Result<Count, NoSize> {
    scale(group).map(|scale| scale.count())
}

/// How many machines are wanted, or within which bounds and by what.
///
/// # Errors
/// With what the group says instead.
pub(super) fn scale(group: &ReplicaGroup) -> Result<Scale, NoSize> {
    let number = |attribute: &Attr<i64>, name| match attribute {
        Attr::Unknown(_) => Err(NoSize::Unknown(name)),
        Attr::Null => Err(NoSize::Missing(name)),
        Attr::Known(number) => u32::try_from(*number).map_err(|_| NoSize::NoCount(name, *number)),
    };
    Ok(match &group.scaling {
        Attr::Unknown(_) => return Err(NoSize::Unknown("scaling")),
        Attr::Known(scaling) => Scale::Within(scaling::Scaling {
            min: number(&scaling.min, "scaling.min")?,
            max: number(&scaling.max, "scaling.max")?,
            metric: scaling.metric.known().cloned().unwrap_or_default(),
            target: scaling.target.known().copied().unwrap_or_default(),
        }),
        Attr::Null => Scale::Fixed(number(&group.replicas, "replicas")?),
    })
}

impl From<NoSize> for Failure {
    fn from(why: NoSize) -> Self {
        Self::Unreadable { what: "a replica group".to_owned(), detail: why.to_string() }
    }
}

/// How a group is handled.
pub(super) fn policy(group: &ReplicaGroup) -> Result<GroupPolicy> {
    Ok(GroupPolicy {
        scale: scale(group)?,
        update: update_strategy(group),
        wait_for: wait_for(group),
        keeps_failed: group.on_boot_failure.known().is_some_and(|word| word == "keep"),
        drain_limit: drain_timeout(group),
        image: group.image_id.known().cloned(),
    })
}

/// Whether a machine is there when it has registered, or when it runs.
pub(super) fn wait_for(group: &ReplicaGroup) -> WaitFor {
    match group.wait_for.as_str() {
        Some("running") => WaitFor::Running,
        _ => WaitFor::Registered,
    }
}

/// What its state knows of a group.
pub(super) fn known(group: &ReplicaGroup) -> KnownGroup {
    KnownGroup { slots: known_slots(group), image: group.image_id.known().cloned() }
}

/// How a change is rolled out. A `max_unavailable` that is left out is none, and not 1: only what was
/// said takes the last machine that serves.
pub(super) fn update_strategy(group: &ReplicaGroup) -> UpdateStrategy {
    let Some(given) = group.update_strategy.known() else { return UpdateStrategy::default() };
    let value = |attribute: &Attr<i64>| attribute.known().and_then(|it| u32::try_from(*it).ok());
    UpdateStrategy {
        max_unavailable: value(&given.max_unavailable),
        max_surge: value(&given.max_surge).unwrap_or_default(),
    }
}

/// How long the machines of a group may take to end what runs on them, before they go.
pub(super) fn drain_timeout(group: &ReplicaGroup) -> Duration {
    let given = group.drain_timeout.known().and_then(|text| drain::parse_limit(text).ok());
    given.unwrap_or(DRAIN_TIMEOUT)
}

/// The default of `drain_timeout`, which a state of an earlier release does not have.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Puts the size that the machines' tag holds into an imported group, as far as it is one.
pub(super) fn scale_from_tag(group: &mut ReplicaGroup, value: &str) {
    match value.parse() {
        Ok(Scale::Within(scaling::Scaling { min, max, metric, target })) => {
            group.scaling = Attr::Known(Scaling {
                min: Attr::Known(min.into()),
                max: Attr::Known(max.into()),
                metric: Attr::Known(metric),
                target: Attr::Known(target),
            });
        }
        Ok(Scale::Fixed(count)) => group.replicas = Attr::Known(count.into()),
        Err(error) => tracing::warn!(%error, "the tag of the machines tells no size"),
    }
}

/// Puts what the cloud has into the group: the machines that count, and those on their way out, which
/// somebody still pays for.
pub(super) fn fill_members(
    group: &mut ReplicaGroup,
    cloud: CloudName,
    slots: &BTreeMap<u32, Instance>,
    leaving: &[Instance],
) {
    let taken = slots.iter().map(|(slot, instance)| (*slot, instance.id.0.clone()));
    let mut known = known_slots(group);
    known.retain(|slot, _| !slots.contains_key(slot));
    known.extend(taken);
    let all: Vec<Instance> = slots.values().chain(leaving).cloned().collect();
    let members = planner::assign_slots(&known, &all).into_iter().map(|(slot, instance)| {
        let is_leaving = instance.phase() == Phase::Draining;
        let member = Member {
            id: instance.id.to_string(),
            address: instance.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            state: match is_leaving {
                true => Phase::Draining.as_str().to_owned(),
                false => instance.state.to_string(),
            },
            digest: instance.tags.get(tag::DIGEST).cloned().unwrap_or_default(),
        };
        (slot.to_string(), member)
    });
    group.members = Attr::Known(members.collect());
    let count = i64::try_from(slots.len()).unwrap_or(i64::MAX);
    group.instance_count = Attr::Known(count);
    if let Some(instance) = slots.values().next() {
        group.instance_type = Attr::Known(instance.instance_type.clone());
    }
    if group.image_id.known().is_none() {
        // Whatever was launched last is what the next one will be made from.
        let newest = slots.values().max_by_key(|instance| instance.launched_at);
        group.image_id = Attr::from(newest.and_then(|instance| instance.image.clone()));
    }
    let instance_type = group.instance_type.known().cloned().unwrap_or_default();
    let offer = catalogue::find(cloud, &instance_type);
    let planned = group.interconnect.known().cloned();
    let interconnect = offer.as_ref().map(interconnect).or(planned);
    group.interconnect = Attr::Known(interconnect.unwrap_or_default());
    group.hourly_cost = Attr::Known(offer.as_ref().map_or(0.0, |offer| hourly_cost(offer, count)));
    group.instance_type = Attr::Known(instance_type);
}

/// Says of members that their router sends them no request.
pub(super) fn mark_refused(group: &mut ReplicaGroup, refusals: &BTreeMap<IpAddr, Refusal>) {
    let Attr::Known(members) = &mut group.members else { return };
    let is_refused =
        |member: &Member| member.address.parse().is_ok_and(|ip: IpAddr| refusals.contains_key(&ip));
    for member in members.values_mut().filter(|member| is_refused(member)) {
        "refused".clone_into(&mut member.state);
    }
}

/// What the group costs at its smallest and at its greatest count, whichever of the offers it gets.
pub(super) fn fill_cost_bounds(group: &mut ReplicaGroup, count: Count, offers: &[Offer]) {
    let (least, most) = match count {
        Count::Fixed(count) => (count, count),
        Count::Within { min, max } => (min, max),
    };
    let at = |count: u32| offers.iter().map(move |offer| hourly_cost(offer, i64::from(count)));
    group.minimum_hourly_cost = Attr::Known(at(least).reduce(f64::min).unwrap_or_default());
    group.maximum_hourly_cost = Attr::Known(at(most).reduce(f64::max).unwrap_or_default());
}

/// The slots that the state knows, by the id of the machine in them.
pub(super) fn known_slots(group: &ReplicaGroup) -> BTreeMap<u32, String> {
    let members = group.members.known().into_iter().flatten();
    members.filter_map(|(slot, member)| Some((slot.parse().ok()?, member.id.clone()))).collect()
}

/// The fabric for KV transfer.
pub(super) fn interconnect(offer: &Offer) -> String {
    offer.interconnect.as_str().to_owned()
}

/// Dollars an hour, to the cent.
pub(super) fn hourly_cost(offer: &Offer, count: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of machines is far below 2^52")]
    let total = offer.hourly_cost * count as f64;
    (total * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_size_is_said() {
        let scaling = |min: Attr<i64>| Scaling {
            min,
            max: Attr::Known(4),
            metric: Attr::Known("rps".to_owned()),
            target: Attr::Known(3.0),
        };
        let fixed = |replicas| ReplicaGroup { replicas, ..ReplicaGroup::default() };
        let within =
            |min| ReplicaGroup { scaling: Attr::Known(scaling(min)), ..ReplicaGroup::default() };
        let unknown = ReplicaGroup { scaling: Attr::unknown(), ..fixed(Attr::Known(2)) };
        for (group, expected) in [
            (fixed(Attr::Known(0)), Ok(Count::Fixed(0))),
            (within(Attr::Known(1)), Ok(Count::Within { min: 1, max: 4 })),
            (fixed(Attr::Null), Err("`replicas` is missing")),
            (fixed(Attr::unknown()), Err("`replicas` is not known yet")),
            (fixed(Attr::Known(-1)), Err("`replicas` is -1, which is no number of machines")),
            (within(Attr::unknown()), Err("`scaling.min` is not known yet")),
            (within(Attr::Null), Err("`scaling.min` is missing")),
            (unknown, Err("`scaling` is not known yet")),
        ] {
            let found = count(&group).map_err(|why| why.to_string());
            assert_eq!(found, expected.map_err(str::to_owned));
        }
    }
}
