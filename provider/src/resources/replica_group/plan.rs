//! What a change of a replica group means. Pure.

use super::model;
use crate::diagnose;
use cloud::{CloudName, Offer};
use domain::catalogue::NoOffer;
use domain::engine;
use domain::guard::ChangeClass;
use domain::id::{GroupId, ServiceId, ServicePrefix};
use domain::secret::SecretReference;
use plugin::{Attr, AttributePath, Change, Diagnostic, Diagnostics};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;

/// What the attributes' own validators cannot see.
pub(super) fn validate(config: &ReplicaGroup) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    validate_count(config, &mut diagnostics);
    validate_engine(config, &mut diagnostics);
    validate_secrets(config, &mut diagnostics);
    validate_environment(config, &mut diagnostics);
    diagnostics
}

fn validate_count(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    match (&config.replicas, &config.scaling) {
        (Attr::Null, Attr::Null) => diagnostics.push(
            Diagnostic::error(
                "Missing replicas",
                "Say how many machines there are to be: `replicas = 1`, or `scaling = { min = 1, \
                 max = 4, target = 3 }`.",
            )
            .at(AttributePath::root("replicas")),
        ),
        (Attr::Known(_), Attr::Known(_)) => diagnostics.push(
            Diagnostic::error(
                "Both replicas and scaling",
                "`replicas` fixes the count and `scaling` leaves it to an autoscaler. Give one of \
                 them.",
            )
            .at(AttributePath::root("scaling")),
        ),
        _ => {}
    }
    let Some(scaling) = config.scaling.known() else { return };
    if let (Some(min), Some(max)) = (scaling.min.known(), scaling.max.known())
        && min > max
    {
        diagnostics.push(
            Diagnostic::error(
                "Invalid bounds",
                format!("`min` is {min} and `max` is {max}; `min` must not be the greater one."),
            )
            .at(AttributePath::root("scaling").attribute("min")),
        );
    }
}

fn validate_engine(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    let Some(given) = config.engine.known() else { return };
    let Some(kind) = given.kind.known() else { return };
    let path = AttributePath::root("engine");
    let custom = kind == engine::CUSTOM;
    let has_commands = match &given.commands {
        Attr::Known(commands) => Some(!commands.is_empty()),
        Attr::Null => Some(false),
        Attr::Unknown(_) => None,
    };
    if custom && has_commands == Some(false) {
        diagnostics.push(
            Diagnostic::error(
                "Missing commands",
                "An engine of type `custom` runs your `commands`, and there are none.",
            )
            .at(path.clone().attribute("commands")),
        );
    }
    if !custom && has_commands == Some(true) {
        diagnostics.push(
            Diagnostic::error(
                "Commands without a custom engine",
                format!(
                    "`commands` run only with `type = \"custom\"`. More arguments for `{kind}` go \
                     into `args`."
                ),
            )
            .at(path.clone().attribute("commands")),
        );
    }
    let no_gpu = match &config.resources {
        Attr::Null => true,
        Attr::Known(resources) => resources.gpu.is_null(),
        Attr::Unknown(_) => false,
    };
    if no_gpu && engine::find(kind).is_some_and(|engine| engine.needs_gpu()) {
        diagnostics.push(
            Diagnostic::error(
                "Missing GPU",
                format!(
                    "The engine `{kind}` needs GPUs: `resources = {{ gpu = \"H200:8\" }}` asks for \
                     machines with eight."
                ),
            )
            .at(AttributePath::root("resources")),
        );
    }
}

fn validate_secrets(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    for (name, reference) in config.secret_env.known().into_iter().flatten() {
        let path = AttributePath::root("secret_env").key(name);
        if config.env.known().is_some_and(|env| env.contains_key(name)) {
            diagnostics.push(
                Diagnostic::error(
                    "Variable given twice",
                    format!("`{name}` stands in `env` and in `secret_env`. Give it once."),
                )
                .at(path.clone()),
            );
        }
        let Some(Ok(reference)) = reference.known().map(|text| text.parse::<SecretReference>())
        else {
            continue;
        };
        if let Some(identity) = reference.needs_identity()
            && config.identity.is_null()
        {
            diagnostics.push(
                Diagnostic::error(
                    "Missing identity",
                    format!(
                        "The machine reads `{}://…` with an identity of its own. Give `identity`: \
                         the {identity} that may read it.",
                        reference.scheme()
                    ),
                )
                .at(path),
            );
        }
    }
}

fn validate_environment(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    let custom = config
        .engine
        .known()
        .and_then(|engine| engine.kind.known())
        .is_some_and(|kind| kind == engine::CUSTOM);
    let names = |map: &Attr<BTreeMap<String, Attr<String>>>| -> Vec<String> {
        map.known().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    for (root, names) in [("env", names(&config.env)), ("secret_env", names(&config.secret_env))] {
        for name in names {
            if let Err(error) = domain::environment::check_reserved(&name, custom) {
                diagnostics.push(
                    Diagnostic::error("Reserved variable", format!("{error}."))
                        .at(AttributePath::root(root).key(&name)),
                );
            }
        }
    }
}

pub(super) fn plan(change: &mut Change<ReplicaGroup>) -> Diagnostics {
    let Some(mut planned) = change.planned.clone() else { return Diagnostics::default() };
    let mut diagnostics = Diagnostics::default();
    planned.drift = Attr::Known(BTreeMap::new());
    match change.prior.clone() {
        None => plan_create(&mut planned, &mut diagnostics),
        Some(prior) => plan_update(change, &prior, &mut planned, &mut diagnostics),
    }
    change.planned = Some(planned);
    diagnostics
}

fn plan_create(planned: &mut ReplicaGroup, diagnostics: &mut Diagnostics) {
    planned.instance_count = Attr::unknown();
    planned.members = Attr::unknown();
    planned.instance_type = Attr::unknown();
    planned.interconnect = Attr::unknown();
    planned.hourly_cost = Attr::unknown();
    planned.script_version = Attr::Known(i64::from(domain::SCRIPT_VERSION));
    planned.id = match (&planned.service_id, planned.name.known()) {
        (Attr::Known(service), Some(name)) => match service.parse::<ServiceId>() {
            Ok(service) => Attr::Known(GroupId { service, name: name.clone() }.to_string()),
            Err(_) => Attr::unknown(),
        },
        (Attr::Unknown(unknown), _) => match &unknown.prefix {
            Some(prefix) => Attr::unknown_with_prefix(prefix.clone()),
            None => Attr::unknown(),
        },
        _ => Attr::unknown(),
    };
    let Some(cloud) = cloud_of(&planned.service_id) else { return };
    match offers(cloud, planned) {
        Some(Ok(offers)) => fill_offer(planned, &offers, diagnostics),
        Some(Err(error)) => diagnostics.push(
            Diagnostic::error("No machine fits", format!("On cloud `{cloud}`: {error}."))
                .at(AttributePath::root("resources").attribute("gpu")),
        ),
        None => {}
    }
    refuse_foreign_secrets(cloud, planned, diagnostics);
}

fn plan_update(
    change: &mut Change<ReplicaGroup>,
    prior: &ReplicaGroup,
    planned: &mut ReplicaGroup,
    diagnostics: &mut Diagnostics,
) {
    let changes = match schemas::changes(prior, planned) {
        Ok(changes) => changes,
        Err(error) => {
            diagnostics.extend(diagnose::failure(error.into()));
            return;
        }
    };
    let baked: Vec<_> = changes
        .iter()
        .filter(|change| matches!(change.class, ChangeClass::Rolling | ChangeClass::Replace))
        .collect();
    for change_of in &baked {
        change.requires_replace(diagnose::attribute_path(&change_of.path));
    }
    warn_of_replacement(prior, planned, &baked, diagnostics);

    planned.id = prior.id.clone();
    planned.script_version = prior.script_version.clone();
    let has_drift = prior.drift.known().is_some_and(|drift| !drift.is_empty());
    let counts = changes
        .iter()
        .any(|change| change.path == "replicas" || change.path.starts_with("scaling"));
    if has_drift || counts {
        planned.members = Attr::unknown();
        // A new machine is of the type that has capacity on that day.
        planned.instance_type = Attr::unknown();
        planned.interconnect = Attr::unknown();
        if let Some(cloud) = cloud_of(&planned.service_id)
            && let Some(Ok(offers)) = offers(cloud, planned)
            && let [offer] = &offers[..]
            && prior.instance_type.known() == Some(&offer.instance_type)
        {
            planned.instance_type = prior.instance_type.clone();
            planned.interconnect = prior.interconnect.clone();
        }
        planned.instance_count = match planned.replicas.known() {
            Some(count) => Attr::Known(*count),
            None => Attr::unknown(),
        };
        planned.hourly_cost = Attr::unknown();
    } else {
        planned.members = prior.members.clone();
        planned.instance_type = prior.instance_type.clone();
        planned.interconnect = prior.interconnect.clone();
        planned.instance_count = prior.instance_count.clone();
        planned.hourly_cost = prior.hourly_cost.clone();
    }
}

/// Every machine of the group goes: say so, and why.
fn warn_of_replacement(
    prior: &ReplicaGroup,
    planned: &ReplicaGroup,
    baked: &[&domain::guard::AttributeChange],
    diagnostics: &mut Diagnostics,
) {
    let Some(first) = baked.first() else { return };
    let id = prior.id.known().cloned().unwrap_or_default();
    let count = prior.instance_count.known().copied().unwrap_or_default();
    let machines = match count {
        1 => "its 1 machine is".to_owned(),
        count => format!("all {count} machines are"),
    };
    let moved = prior.service_id != planned.service_id;
    let (summary, detail) = if moved {
        (
            "Workers go with their router",
            format!(
                "The service of replica group {id} is replaced or changed, so {machines} removed and \
                 launched again for the new router. They load the model again."
            ),
        )
    } else {
        let changed: Vec<_> = baked.iter().map(|change| format!("`{}`", change.path)).collect();
        (
            "Replica group is replaced",
            format!(
                "A change of {} makes other machines: of {id}, {machines} removed before new ones \
                 are launched, and the group does not serve meanwhile. To keep serving, add a second \
                 group with the change, and remove this one when it is ready.",
                changed.join(", ")
            ),
        )
    };
    diagnostics
        .push(Diagnostic::warning(summary, detail).at(diagnose::attribute_path(&first.path)));
}

/// The cloud that a service's id tells, also when only its beginning is known.
fn cloud_of(service_id: &Attr<String>) -> Option<CloudName> {
    match service_id {
        Attr::Known(id) => id.parse::<ServiceId>().ok().map(|id| id.fleet.cloud),
        Attr::Unknown(unknown) => {
            let prefix = ServicePrefix::parse(unknown.prefix.as_deref()?).ok()?;
            Some(prefix.fleet.cloud)
        }
        Attr::Null => None,
    }
}

fn offers(cloud: CloudName, group: &ReplicaGroup) -> Option<Result<Vec<Offer>, NoOffer>> {
    Some(model::offers(cloud, &model::resources(group)?))
}

/// What will be bought, as far as it is certain: with several types that fit, capacity decides.
fn fill_offer(group: &mut ReplicaGroup, offers: &[Offer], diagnostics: &mut Diagnostics) {
    let Some(offer) = offers.first() else { return };
    // All of them have as many GPUs and the same fabric.
    group.interconnect = Attr::Known(model::interconnect(offer));
    if offers.len() == 1 {
        group.instance_type = Attr::Known(offer.instance_type.clone());
        if let Some(count) = group.replicas.known() {
            group.hourly_cost = Attr::Known(model::hourly_cost(offer, *count));
        }
    }
    let Some(resources) = model::resources(group) else { return };
    warn_of_waste(group, offer, resources.wasted_gpus(offer), diagnostics);
    let wanted = group.engine.known().and_then(|engine| engine.tensor_parallel.known()).copied();
    if let Err(error) = engine::check_tensor_parallel(wanted, resources.usable_gpus(offer)) {
        diagnostics.push(
            Diagnostic::error("Tensor parallel size does not fit", format!("{error}."))
                .at(AttributePath::root("engine").attribute("tensor_parallel")),
        );
    }
}

/// What is paid for without being of use.
fn warn_of_waste(group: &ReplicaGroup, offer: &Offer, wasted: u32, diagnostics: &mut Diagnostics) {
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
                    "`{}` has no fast fabric, so prefill hands the KV cache to decode over TCP, which \
                     upstream measured to cost about 90 s to the first token of long prompts. Choose \
                     machines with EFA or InfiniBand, or workers of `role = \"worker\"`.",
                    offer.instance_type
                ),
            )
            .at(AttributePath::root("resources")),
        );
    }
}

fn refuse_foreign_secrets(cloud: CloudName, group: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    for (name, reference) in group.secret_env.known().into_iter().flatten() {
        let Some(Ok(reference)) = reference.known().map(|text| text.parse::<SecretReference>())
        else {
            continue;
        };
        if !reference.works_on(cloud) {
            diagnostics.push(
                Diagnostic::error(
                    "Secret cannot be read there",
                    format!("A machine on `{cloud}` cannot resolve `{}://…`.", reference.scheme()),
                )
                .at(AttributePath::root("secret_env").key(name)),
            );
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
