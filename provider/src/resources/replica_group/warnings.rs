//! What a plan warns of: machines that are replaced, and money that buys nothing. Pure.

use super::model;
use crate::diagnose;
use cloud::{CloudName, Interconnect, Offer};
use domain::engine;
use domain::guard::AttributeChange;
use domain::planner::UpdateStrategy;
use domain::ports::ETCD;
use orchestration::group::WaitFor;
use plugin::{Attr, AttributePath, Diagnostic, Diagnostics};
use schemas::ReplicaGroup;

/// Machines are replaced while the group serves: say which change does that, and how.
pub(super) fn of_roll(
    prior: &ReplicaGroup,
    planned: &ReplicaGroup,
    rolling: &[&AttributeChange],
    diagnostics: &mut Diagnostics,
) {
    let Some(first) = rolling.first() else { return };
    let id = prior.id.known().cloned().unwrap_or_default();
    let count = prior.instance_count.known().copied().unwrap_or_default();
    if count == 0 {
        return;
    }
    // The count is made right before the first batch.
    let rolled = planned.replicas.known().map_or(count, |wanted| count.min(*wanted));
    let rolled = u32::try_from(rolled).unwrap_or(u32::MAX);
    let strategy = model::update_strategy(planned);
    let changed: Vec<_> = rolling.iter().map(|change| format!("`{}`", change.path)).collect();
    let changed = changed.join(", ");
    let (summary, detail) = if model::wait_for(planned) == WaitFor::Running {
        (
            "Roll does not wait for registration",
            format!(
                "A change of {changed} makes other machines: those of {id} ({count}) are replaced batch \
                 by batch, and with `wait_for = \"running\"` each batch only waits until the one before it \
                 runs. Nobody looks whether new workers serve before all the old ones are gone."
            ),
        )
    } else if strategy.takes_all(rolled) {
        (
            "Roll takes the whole group",
            format!(
                "A change of {changed} makes other machines, and `update_strategy` lets all those of \
                 {id} ({count}) go at a time, so the group does not serve until new ones have loaded \
                 the model. With `max_surge = 1`, or without `max_unavailable`, new ones are ready before the \
                 last old one goes."
            ),
        )
    } else {
        (
            "Replica group is rolled",
            format!(
                "A change of {changed} makes other machines: those of {id} ({count}) are replaced batch \
                 by batch, {}, each batch when the one before it has registered.",
                bounds_of(strategy, rolled)
            ),
        )
    };
    diagnostics
        .push(Diagnostic::warning(summary, detail).at(diagnose::attribute_path(&first.path)));
}

/// How many machines are missing, and how many there are beyond the count.
fn bounds_of(strategy: UpdateStrategy, count: u32) -> String {
    let UpdateStrategy { max_unavailable, max_surge } = strategy;
    match max_unavailable {
        Some(missing) => {
            format!("with at most {missing} missing and {max_surge} beyond the count")
        }
        None if count <= 1 => {
            "and none goes before its successor serves, so that there is 1 beyond the count meanwhile, which is \
             paid for"
                .to_owned()
        }
        None => format!(
            "with at most 1 missing and {max_surge} beyond the count, and the last that serves goes only when \
             its successor does"
        ),
    }
}

/// Every machine of the group goes: say so, and why.
pub(super) fn of_replacement(
    prior: &ReplicaGroup,
    planned: &ReplicaGroup,
    replacing: &[&AttributeChange],
    diagnostics: &mut Diagnostics,
) {
    let Some(first) = replacing.first() else { return };
    let id = prior.id.known().cloned().unwrap_or_default();
    let count = prior.instance_count.known().copied().unwrap_or_default();
    let moved = prior.service_id != planned.service_id;
    let (summary, detail) = if moved {
        (
            "Workers go with their router",
            format!(
                "The service of replica group {id} is replaced or changed, so its machines \
                 ({count}) are removed and launched again for the new router. They load the model \
                 again. With `create_before_destroy` on the service the new one is refused when they are gone \
                 already, unless it has another name."
            ),
        )
    } else {
        let changed: Vec<_> = replacing.iter().map(|change| format!("`{}`", change.path)).collect();
        let way_out = match planned.name.known().is_some() && planned.name != prior.name {
            true => {
                "`lifecycle { create_before_destroy = true }` brings the new ones first, as they have another \
                 name."
            }
            false => {
                "To keep serving, add a second group with the change, and remove this one when it is ready."
            }
        };
        (
            "Replica group is replaced",
            format!(
                "A change of {} makes other machines: unless the resource has `create_before_destroy`, those of \
                 {id} ({count}) are removed before new ones are launched, and the group does not serve \
                 meanwhile. {way_out}",
                changed.join(", ")
            ),
        )
    };
    diagnostics
        .push(Diagnostic::warning(summary, detail).at(diagnose::attribute_path(&first.path)));
}

/// Terraform was told to replace a group in which nothing changes that would need it.
pub(super) fn of_forced_replacement(id: &str) -> Diagnostic {
    Diagnostic::warning(
        "Replica group is replaced",
        format!(
            "Nothing in its configuration asks for that (`-replace`, or a `replace_triggered_by`). All machines of \
             {id} are removed before new ones are launched, and the group does not serve meanwhile; with \
             `create_before_destroy` the new ones are refused, as their name is taken. To make all machines anew \
             while the group serves, raise its `boot_revision` instead."
        ),
    )
}

/// Machines go, in a cloud whose routers cannot be told that from everywhere: say what that means.
pub(super) fn of_drain(prior: &ReplicaGroup, cloud: CloudName, diagnostics: &mut Diagnostics) {
    let is_custom =
        prior.engine.known().and_then(|engine| engine.kind.as_str()) == Some(engine::CUSTOM);
    let limit = model::drain_timeout(prior);
    if cloud.profile().is_this_computer || is_custom || limit.is_zero() {
        return;
    }
    let id = prior.id.known().cloned().unwrap_or_default();
    diagnostics.push(
        Diagnostic::warning(
            "Machines drain before they go",
            format!(
                "Machines of {id} are removed. Where the machine that runs Terraform has a route to the \
                 router (port {ETCD}) and to the workers, the router chooses them no longer and the answers \
                 that run on them are waited for, up to {} seconds (`drain_timeout`). Without such a route \
                 each machine does that itself, when it sees the tag `disagg:phase = draining`, and says on \
                 its console when it is done. One that does not see it drains when it is stopped, and the \
                 cloud decides how long that may take: EC2 gives a few minutes.",
                limit.as_secs()
            ),
        )
        .at(AttributePath::root("drain_timeout")),
    );
}

/// Bounds are kept, and nobody moves the count inside them.
pub(super) fn of_scaling(planned: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    let Some(scaling) = planned.scaling.known() else { return };
    let bound = |bound: &Attr<i64>| bound.known().map_or("?".to_owned(), i64::to_string);
    let (min, max) = (bound(&scaling.min), bound(&scaling.max));
    diagnostics.push(
        Diagnostic::warning(
            "Nothing scales by itself",
            format!(
                "`scaling` says how many machines there may be, {min} to {max}. The provider has no autoscaler that \
                 moves the count with the load: the group begins with {min} and stays there, until something else \
                 launches or removes machines, or the bounds change. For a certain count use `replicas`."
            ),
        )
        .at(AttributePath::root("scaling")),
    );
}

/// What is paid for without being of use.
pub(super) fn of_waste(
    group: &ReplicaGroup,
    offer: &Offer,
    wasted: u32,
    diagnostics: &mut Diagnostics,
) {
    let gpu = offer.gpu.as_deref().unwrap_or_default();
    if wasted > 0 {
        diagnostics.push(
            Diagnostic::warning(
                "GPUs are wasted",
                format!(
                    "The smallest machine that fits, `{}`, has {} {gpu}. {wasted} of them are paid \
                     for and not used.",
                    offer.instance_type, offer.gpu_count
                ),
            )
            .at(AttributePath::root("resources").attribute("gpu")),
        );
    }
    let kind = group.engine.known().and_then(|engine| engine.kind.as_str()).unwrap_or_default();
    let hands_over = group.role.as_str().is_some_and(|role| role != "worker");
    let on_gpu = engine::find(kind).is_some_and(|engine| engine.needs_gpu());
    if hands_over && on_gpu && offer.interconnect == Interconnect::Tcp {
        diagnostics.push(
            Diagnostic::warning(
                "KV transfer over TCP",
                format!(
                    "`{}` has no fabric with RDMA, so prefill hands the KV cache to decode over TCP, which \
                     upstream measured to cost about 90 s to the first token of long prompts. Choose \
                     machines with EFA or InfiniBand, or workers of `role = \"worker\"`.",
                    offer.instance_type
                ),
            )
            .at(AttributePath::root("resources")),
        );
    }
}
