//! What the groups of a service have to agree on, in the plans of one run. Pure, but for what the plans say
//! to each other.

use super::model;
use crate::resources::attributes::service_of;
use crate::session::Session;
use crate::siblings::Sibling;
use domain::engine::{self, Agreement, Aspect, Difference, Place};
use domain::id::GroupId;
use domain::planner::Count;
use domain::spec::{GroupSpec, WorkerRole};
use plugin::{Attr, AttributePath, Change, Diagnostic, Diagnostics};
use schemas::ReplicaGroup;

/// Tells the plans of other groups what this one makes of its group, and compares it with those that have
/// told before.
pub(super) fn compare(
    session: &Session,
    change: &Change<ReplicaGroup>,
    diagnostics: &mut Diagnostics,
) {
    let siblings = session.siblings();
    if let Some((service, group)) = change.prior.as_ref().and_then(path) {
        siblings.plan_group(service, group, None);
    }
    let Some(group) = &change.planned else { return };
    let Some((service, name)) = path(group) else { return };
    let sibling = sibling(session, group);
    siblings.plan_group(service.clone(), name.clone(), sibling.clone());
    let Some(ours) = sibling else { return };
    let (model, others) = siblings.of(&service, &name);
    for (other, theirs) in others {
        let names = [name.as_str(), other.as_str()];
        let differences = ours.agreement.differences(&theirs.agreement, model.as_deref());
        if must_agree(ours.role, theirs.role) {
            for difference in &differences {
                diagnostics.push(disagreement(names, [&ours, &theirs], difference));
            }
        }
        diagnostics.extend(unequal_gpus(names, &ours, &theirs));
    }
    if let Some(prior) = &change.prior {
        diagnostics.extend(switch(prior, group, &ours, model.as_deref()));
    }
}

/// The service's path, and the group's name in it.
fn path(group: &ReplicaGroup) -> Option<(String, String)> {
    let service = service_of(&group.service_id)?;
    Some((service.path(), group.name.known()?.clone()))
}

/// What other groups have to agree with: none of it when nobody can tell yet, when the group has no
/// machines, or when they run commands of which nobody knows what they start.
fn sibling(session: &Session, group: &ReplicaGroup) -> Option<Sibling> {
    let spec = spec(group)?;
    if model::count(group).ok()? == Count::Fixed(0) {
        return None;
    }
    let agreement = Agreement::of(&spec)?;
    let gpus = || {
        let needs_gpu = engine::find(&spec.engine.kind)?.needs_gpu();
        let cloud = spec.service_id.fleet.cloud;
        let offers = model::offers(&session.local_gpus(cloud), cloud, &spec.resources).ok()?;
        let usable = spec.resources.usable_gpus(offers.first()?);
        let wanted = spec.engine.tensor_parallel.map(i64::from);
        let split = engine::check_tensor_parallel(wanted, usable).ok()?;
        needs_gpu.then_some(split.gpus_per_engine)
    };
    Some(Sibling { role: spec.role, gpus: gpus(), engine: spec.engine.kind, agreement })
}

/// What is baked into the group's machines, where all that engines are told is known.
fn spec(group: &ReplicaGroup) -> Option<GroupSpec> {
    let service = service_of(&group.service_id)?;
    let id = GroupId { service, name: group.name.known()?.clone() };
    let engine = group.engine.known()?;
    let texts = engine.args.known().into_iter().flatten();
    let values = group.env.known().into_iter().flatten().map(|(_, value)| value);
    let is_unknown = engine.args.is_unknown()
        || engine.model.is_unknown()
        || engine.tensor_parallel.is_unknown()
        || group.env.is_unknown()
        || texts.chain(values).any(Attr::is_unknown);
    if is_unknown { None } else { model::spec(group, &id).ok() }
}

/// Those of one role serve side by side, and prefill and decode hand over to each other. Who does both
/// works alone.
fn must_agree(one: WorkerRole, other: WorkerRole) -> bool {
    one == other || (one != WorkerRole::Worker && other != WorkerRole::Worker)
}

fn disagreement(
    [ours, theirs]: [&str; 2],
    [one, other]: [&Sibling; 2],
    difference: &Difference,
) -> Diagnostic {
    let Difference { aspect, ours: here, theirs: there, place } = difference;
    let value = |value: &Option<String>| match value {
        Some(value) => format!("`{value}`"),
        None if *aspect == Aspect::Model => "the service's".to_owned(),
        None => "the default".to_owned(),
    };
    let why = if one.role == WorkerRole::Worker {
        "Both have the role `worker`, and each would serve by itself: the router shares requests out between them, \
         so that what a client gets depends on chance."
            .to_owned()
    } else if one.role == other.role {
        format!(
            "Both have the role `{}`, and a router serves workers of one role only as long as they agree: the \
             others register, are paid for and get no request.",
            one.role
        )
    } else {
        "Prefill and decode hand over KV caches, and can only to workers that keep them alike: requests would \
         fail, or find no pair of workers."
            .to_owned()
    };
    Diagnostic::error(
        format!("Groups of one service differ in their {aspect}"),
        format!(
            "The {aspect} is {} in group `{ours}` and {} in group `{theirs}`. {why}\n\nGive both the same. To \
             change it, change all groups of the service in one apply: each rolls over to it, and the router \
             goes on serving. To remove everything, `terraform destroy -refresh=false` does without this plan.",
            value(here),
            value(there),
        ),
    )
    .at(attribute(place))
}

fn attribute(place: &Place) -> AttributePath {
    let engine = || AttributePath::root("engine");
    match place {
        Place::Model => engine().attribute("model"),
        Place::Args => engine().attribute("args"),
        Place::Env(name) => AttributePath::root("env").key(name),
    }
}

/// KV caches that are kept on another number of GPUs: what is known to work.
fn unequal_gpus([ours, theirs]: [&str; 2], one: &Sibling, other: &Sibling) -> Option<Diagnostic> {
    let hands_over = one.role != other.role && must_agree(one.role, other.role);
    let (here, there) = (one.gpus?, other.gpus?);
    if !hands_over || here == there || one.engine != other.engine {
        return None;
    }
    let known = engine::find(&one.engine)?.unequal_gpus()?;
    Some(
        Diagnostic::warning(
            "Prefill and decode of different tensor parallel sizes",
            format!(
                "An engine process has {here} GPUs in group `{ours}` and {there} in group `{theirs}`, so each \
                 KV cache is divided anew when it is handed over. {known} Try it with your model before you \
                 rely on it, or give both the same `engine.tensor_parallel`."
            ),
        )
        .at(AttributePath::root("engine").attribute("tensor_parallel")),
    )
}

/// A change of what workers have to agree on: the new ones serve beside the old, and never together.
fn switch(
    prior: &ReplicaGroup,
    planned: &ReplicaGroup,
    ours: &Sibling,
    model: Option<&str>,
) -> Option<Diagnostic> {
    let before = Agreement::of(&spec(prior)?)?;
    let differences = ours.agreement.differences(&before, model);
    let first = differences.first()?;
    let changed: Vec<String> =
        differences.iter().map(|difference| difference.aspect.to_string()).collect();
    let changed = changed.join(", ");
    let count = prior.instance_count.known().copied().unwrap_or_default();
    if model::update_strategy(planned).takes_all(u32::try_from(count).unwrap_or(u32::MAX)) {
        return Some(
            Diagnostic::warning(
                "Workers change what they have to agree on",
                format!(
                    "A router does not mix workers that differ in their {changed}, and `update_strategy` lets all \
                     machines of this group go before there are others: the service does not answer until the new \
                     ones of all its groups have loaded the model. With `max_surge = 1`, where there is room, old \
                     and new ones serve beside each other."
                ),
            )
            .at(attribute(&first.place)),
        );
    }
    let partner = match ours.role {
        WorkerRole::Worker => "",
        WorkerRole::Prefill => {
            " New workers serve as soon as there are decode workers of the same kind, and old ones go only \
             then, so the decode group has to change in this apply too; the last old ones of both go together."
        }
        WorkerRole::Decode => {
            " New workers serve as soon as there are prefill workers of the same kind, and old ones go only \
             then, so the prefill group has to change in this apply too."
        }
    };
    Some(
        Diagnostic::warning(
            "Workers change what they have to agree on",
            format!(
                "A router does not mix workers that differ in their {changed}. Old and new workers of this roll \
                 serve beside each other, in namespaces of Dynamo's of their own, between which requests are \
                 shared out by the number of workers.{partner}"
            ),
        )
        .at(attribute(&first.place)),
    )
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
