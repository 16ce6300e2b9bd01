//! What the attributes' own validators cannot see: what goes together and what does not. Pure.

use super::{TIMEOUTS, model};
use crate::resources::attributes::has_text;
use crate::resources::concealment;
use domain::planner::Count;
use domain::secret::SecretReference;
use domain::spec::WorkerRole;
use domain::{duration, engine};
use plugin::{Attr, AttributePath, Diagnostic, Diagnostics};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;

/// What the attributes' own validators cannot see.
pub(crate) fn validate(config: &ReplicaGroup) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    validate_count(config, &mut diagnostics);
    validate_update_strategy(config, &mut diagnostics);
    validate_engine(config, &mut diagnostics);
    validate_secrets(config, &mut diagnostics);
    validate_environment(config, &mut diagnostics);
    validate_market(config, &mut diagnostics);
    validate_drain(config, &mut diagnostics);
    diagnostics.extend(warn_of_secrets(config));
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

fn validate_market(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    match (config.market.as_str(), &config.reservation) {
        (Some("capacity-block"), Attr::Null) => diagnostics.push(
            Diagnostic::error(
                "Missing reservation",
                "`market = \"capacity-block\"` takes machines out of a block that was bought for a \
                 time: `reservation = \"cr-…\"` names it.",
            )
            .at(AttributePath::root("market")),
        ),
        (Some("spot"), Attr::Known(_)) => diagnostics.push(
            Diagnostic::error(
                "Reservation of spot machines",
                "What is reserved is not bought on the spot market. Leave `market` or `reservation` out.",
            )
            .at(AttributePath::root("market")),
        ),
        _ => {}
    }
}

fn validate_update_strategy(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    let Some(given) = config.update_strategy.known() else { return };
    let unknown = given.max_unavailable.is_unknown() || given.max_surge.is_unknown();
    let strategy = model::update_strategy(config);
    if !unknown && strategy.max_unavailable == Some(0) && strategy.max_surge == 0 {
        diagnostics.push(
            Diagnostic::error(
                "Update strategy that cannot begin",
                "With `max_unavailable = 0` and `max_surge = 0` no machine may go and none may come. \
                 Give one of them at least 1.",
            )
            .at(AttributePath::root("update_strategy")),
        );
    }
}

/// A drain is a part of an operation, whose time may be over before its own is: that of a roll is one drain
/// for each of its batches.
fn validate_drain(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    if config.drain_timeout.is_unknown() || config.timeouts.is_unknown() {
        return;
    }
    let limit = model::drain_timeout(config);
    let is_given = config.drain_timeout.known().is_some();
    let timeouts = config.timeouts.known();
    let update = timeouts.map(|timeouts| &timeouts.update);
    let delete = timeouts.map(|timeouts| &timeouts.delete);
    // Decode waits for the prefill that goes with it.
    let drains_of_removal = if model::role(config) == WorkerRole::Decode { 2 } else { 1 };
    for (operation, given, default, drains) in [
        ("update", update, TIMEOUTS.update, batches(config)),
        ("delete", delete, TIMEOUTS.delete, drains_of_removal),
    ] {
        let given = given.filter(|given| !given.is_null());
        let timeout = match given.map(|given| given.known().map(|text| duration::parse(text))) {
            None => default,
            Some(Some(Ok(timeout))) => timeout,
            // Not known yet, or said to be wrong elsewhere.
            Some(_) => continue,
        };
        let needed = limit.saturating_mul(drains);
        if needed < timeout || (!is_given && given.is_none()) {
            continue;
        }
        let path = match is_given {
            true => AttributePath::root("drain_timeout"),
            false => AttributePath::root("timeouts").attribute(operation),
        };
        let times = match (operation, drains) {
            (_, 1) => String::new(),
            ("delete", _) => {
                ", after as long for those of the prefill that goes in the same run".to_owned()
            }
            _ => format!(", in each of the {drains} batches of a roll"),
        };
        diagnostics.push(
            Diagnostic::warning(
                "Drain longer than its operation",
                format!(
                    "Running answers are waited for up to {} seconds (`drain_timeout`){times}, and the whole \
                     operation may take {} (`timeouts.{operation}`). Drains that need all their time end as a \
                     timeout, and the next apply goes on with them. Give the operation more time, or the drain \
                     less.",
                    limit.as_secs(),
                    timeout.as_secs()
                ),
            )
            .at(path),
        );
    }
}

/// In how many batches a roll replaces the machines of a group, one after the other: in one at least, where their
/// number is not known yet.
fn batches(config: &ReplicaGroup) -> u32 {
    let count = match model::count(config) {
        Ok(Count::Fixed(count)) => count,
        Ok(Count::Within { max, .. }) => max,
        Err(_) => return 1,
    };
    count.div_ceil(model::update_strategy(config).batch_size()).max(1)
}

fn validate_engine(config: &ReplicaGroup, diagnostics: &mut Diagnostics) {
    let Some(given) = config.engine.known() else { return };
    let Some(kind) = given.kind.known() else { return };
    let path = AttributePath::root("engine");
    let custom = kind == engine::CUSTOM;
    let has_commands = has_text(&given.commands);
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
                        "The machine reads `{}://…` with an identity of its own. Give `identity`: the {identity} \
                         that may read it. Machines of the local cloud have none: they read `env://NAME`.",
                        reference.scheme()
                    ),
                )
                .at(path),
            );
        }
    }
}

fn warn_of_secrets(config: &ReplicaGroup) -> Diagnostics {
    let mut found = vec![("env", concealment::in_variables(&config.env))];
    if let Some(engine) = config.engine.known() {
        found.push(("engine.args", concealment::in_texts(&engine.args)));
        found.push(("engine.commands", concealment::in_texts(&engine.commands)));
    }
    concealment::warnings(&found, true)
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
