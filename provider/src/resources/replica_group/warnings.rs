//! What a plan warns of: machines that are replaced, and money that buys nothing. Pure.

use super::model;
use crate::diagnose;
use cloud::Offer;
use domain::engine;
use domain::guard::AttributeChange;
use plugin::{AttributePath, Diagnostic, Diagnostics};
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
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    if count == 0 {
        return;
    }
    let strategy = model::update_strategy(planned);
    let changed: Vec<_> = rolling.iter().map(|change| format!("`{}`", change.path)).collect();
    let changed = changed.join(", ");
    let (summary, detail) = if !model::waits_for_registration(planned) {
        (
            "Roll does not wait for registration",
            format!(
                "A change of {changed} makes other machines: those of {id} ({count}) are replaced batch \
                 by batch, and with `wait_for = \"running\"` each batch only waits until the one before it \
                 runs. Nobody looks whether new workers serve before all the old ones are gone."
            ),
        )
    } else if strategy.takes_all(count) && strategy.max_surge == 0 {
        (
            "Roll takes the whole group",
            format!(
                "A change of {changed} makes other machines, and `update_strategy` lets all those of \
                 {id} ({count}) go at a time, so the group does not serve until new ones have loaded \
                 the model. With `max_surge = 1` new ones are ready before old ones go."
            ),
        )
    } else {
        (
            "Replica group is rolled",
            format!(
                "A change of {changed} makes other machines: those of {id} ({count}) are replaced batch \
                 by batch, with at most {} missing and {} beyond the count, each batch when the one before \
                 it has registered.",
                strategy.max_unavailable, strategy.max_surge
            ),
        )
    };
    diagnostics
        .push(Diagnostic::warning(summary, detail).at(diagnose::attribute_path(&first.path)));
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
                 again."
            ),
        )
    } else {
        let changed: Vec<_> = replacing.iter().map(|change| format!("`{}`", change.path)).collect();
        (
            "Replica group is replaced",
            format!(
                "A change of {} makes other machines: those of {id} ({count}) are removed before \
                 new ones are launched, and the group does not serve meanwhile. To keep serving, add \
                 a second group with the change, and remove this one when it is ready.",
                changed.join(", ")
            ),
        )
    };
    diagnostics
        .push(Diagnostic::warning(summary, detail).at(diagnose::attribute_path(&first.path)));
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
    if hands_over && on_gpu && offer.interconnect.is_none() {
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
