//! What a change of a service means: the router guard at work. Pure.

use super::model;
use super::record::RouterRecord;
use crate::addresses::Planned;
use crate::diagnose;
use crate::resources::attributes::has_text;
use crate::resources::concealment;
use crate::resources::features;
use domain::catalogue;
use domain::guard::{self, ChangeClass, LiveRouter, NewValue, OnRouterChange};
use domain::id::{FleetId, ServiceId, Uid};
use domain::version::DynamoVersion;
use orchestration::service;
use plugin::{Attr, AttributePath, Change, Diagnostic, Diagnostics};
use schemas::{Router, Service};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// What the attributes' own validators cannot see.
pub(crate) fn validate(config: &Service) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    if let Some(router) = config.router.known() {
        diagnostics.extend(validate_router(router));
    }
    validate_version(config, &mut diagnostics);
    diagnostics
}

/// A Dynamo router is installed from a package lock, and not every version has one.
fn validate_version(config: &Service, diagnostics: &mut Diagnostics) {
    let custom = config
        .router
        .known()
        .is_some_and(|router| router.kind.is_unknown() || router.kind.as_str() == Some("custom"));
    let version = config.version.as_str().and_then(|text| text.parse::<DynamoVersion>().ok());
    if let Some(version) = version.filter(|version| !custom && version.requirements().is_none()) {
        let installable = DynamoVersion::all().filter(|version| version.requirements().is_some());
        let installable: Vec<_> = installable.map(|version| format!("`{version}`")).collect();
        diagnostics.push(
            Diagnostic::error(
                "Unsupported Dynamo version",
                format!(
                    "The provider can install a router of {}, not of `{version}`. With a router of \
                     `type = \"custom\"` your own commands install it.",
                    installable.join(" and ")
                ),
            )
            .at(AttributePath::root("version")),
        );
    }
}

fn validate_router(router: &Router) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let path = |name| AttributePath::root("router").attribute(name);
    let custom = router.kind.known().is_some_and(|kind| kind == "custom");
    let has_commands = has_text(&router.commands);
    if custom && has_commands == Some(false) {
        diagnostics.push(
            Diagnostic::error(
                "Missing commands",
                "A router of type `custom` runs your `commands`, and there are none.",
            )
            .at(path("commands")),
        );
    }
    if !custom && !router.kind.is_unknown() && has_commands == Some(true) {
        diagnostics.push(
            Diagnostic::error(
                "Commands without a custom router",
                "`commands` run only on a router of `type = \"custom\"`. More arguments for \
                 `dynamo.frontend` go into `args`.",
            )
            .at(path("commands")),
        );
    }
    let found = [
        ("router.env", concealment::in_variables(&router.env)),
        ("router.args", concealment::in_texts(&router.args)),
        ("router.commands", concealment::in_texts(&router.commands)),
    ];
    diagnostics.extend(concealment::warnings(&found, false));
    for (name, _) in router.env.known().into_iter().flatten() {
        if let Err(error) = domain::environment::check_reserved(name, custom) {
            diagnostics.push(
                Diagnostic::error("Reserved variable", format!("{error}."))
                    .at(path("env").key(name)),
            );
        }
    }
    diagnostics
}

pub(super) fn plan(change: &mut Change<Service>) -> Diagnostics {
    let Some(planned) = change.planned.clone() else { return Diagnostics::default() };
    let open_before = change.prior.as_ref().is_some_and(is_open);
    let (planned, mut diagnostics) = match change.prior.clone() {
        None => plan_create(change.config.as_ref(), planned),
        Some(prior) => plan_update(change, prior, planned),
    };
    if change.prior.as_ref().is_none_or(|prior| *prior != planned) {
        check_boot_document(&planned, &mut diagnostics);
    }
    if is_open(&planned) && !open_before && !is_on_loopback(&planned) {
        diagnostics.push(
            Diagnostic::warning(
                "Endpoint open to everybody",
                "`ingress_cidrs` lets the whole internet in, and the endpoint asks nobody for a key: \
                 whoever finds it uses the GPUs. Give the blocks of your clients, or put a gateway \
                 with authentication before it.",
            )
            .at(AttributePath::root("ingress_cidrs")),
        );
    }
    change.planned = Some(planned);
    diagnostics
}

/// Which service it is before and after, by name: another one of the same name gets another id.
pub(super) fn addresses(change: &Change<Service>) -> Planned {
    let path = |service: &Service| -> Option<String> {
        Some(format!("{}/{}", service.fleet_id.known()?, service.name.known()?))
    };
    Planned {
        prior: change.prior.as_ref().and_then(path),
        stays: change.planned.is_some(),
        planned: change.planned.as_ref().and_then(path),
    }
}

/// Whether there is user data for the router, as far as it is known now: what is not known yet can
/// only make it larger.
fn check_boot_document(planned: &Service, diagnostics: &mut Diagnostics) {
    let fleet = planned.fleet_id.known().and_then(|id| id.parse::<FleetId>().ok());
    let (Some(fleet), Some(name)) = (fleet, planned.name.known()) else { return };
    let commands = planned.router.known().map(|router| has_text(&router.commands));
    if commands == Some(None) {
        return;
    }
    let id = ServiceId { fleet, name: name.clone(), uid: Uid::from_random(0) };
    let Ok(spec) = model::spec(planned, &id) else { return };
    if let Err(failure) = service::boot_document(&spec, Ipv4Addr::LOCALHOST.into()) {
        diagnostics.extend(diagnose::failure(failure.into(), &[]));
    }
}

/// Whether nobody outside this computer can reach the endpoint, whatever its rule says.
fn is_on_loopback(service: &Service) -> bool {
    let fleet = service.fleet_id.as_str().and_then(|id| id.parse::<FleetId>().ok());
    fleet.is_some_and(|fleet| fleet.cloud.profile().is_this_computer)
}

/// Whether there is no address that may not reach the endpoint.
fn is_open(service: &Service) -> bool {
    model::ingress(service).iter().any(|block| block.ends_with("/0"))
}

fn plan_create(config: Option<&Service>, mut planned: Service) -> (Service, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    planned.drift = Attr::Known(BTreeMap::new());
    planned.script_version = Attr::Known(i64::from(domain::SCRIPT_VERSION));
    if config.is_some_and(|config| config.version.is_null()) {
        planned.version = Attr::Known(DynamoVersion::DEFAULT.to_string());
    }
    planned.internal_ip = Attr::unknown();
    planned.endpoint = Attr::unknown();
    planned.id = Attr::unknown();
    planned.instance_type = Attr::unknown();
    planned.image_id = Attr::unknown();
    planned.hourly_cost = Attr::unknown();
    planned.minimum_hourly_cost = Attr::unknown();
    planned.maximum_hourly_cost = Attr::unknown();
    let fleet = planned.fleet_id.known().and_then(|id| id.parse::<FleetId>().ok());
    if let (Some(fleet), Some(name)) = (fleet, planned.name.known()) {
        planned.id = Attr::unknown_with_prefix(ServiceId::unknown_prefix(&fleet, name));
        let asked = [("image", planned.image.known().is_some())];
        diagnostics.extend(features::missing(fleet.cloud, &asked));
        if let Some(wanted) = model::router_resources(&planned) {
            match catalogue::offers(fleet.cloud, &wanted) {
                Ok(offers) => {
                    model::fill_cost_bounds(&mut planned, &offers);
                    if let [only] = offers.as_slice() {
                        planned.instance_type = Attr::Known(only.instance_type.clone());
                        planned.hourly_cost = Attr::Known(only.hourly_cost);
                    }
                }
                Err(error) => diagnostics.push(
                    Diagnostic::error(
                        "No machine fits the router",
                        format!("On cloud `{}`: {error}.", fleet.cloud),
                    )
                    .at(AttributePath::root("router").attribute("resources")),
                ),
            }
        }
    }
    (planned, diagnostics)
}

fn plan_update(
    change: &mut Change<Service>,
    prior: Service,
    mut planned: Service,
) -> (Service, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    planned.drift = Attr::Known(BTreeMap::new());
    if change.config.as_ref().is_some_and(|config| config.version.is_null()) {
        // The default of the day it was made is kept; a new provider has another.
        planned.version = prior.version.clone();
    }
    let changes = match schemas::changes(&prior, &planned) {
        Ok(changes) => changes,
        Err(error) => {
            diagnostics.extend(diagnose::failure(error.into(), &[]));
            return (planned, diagnostics);
        }
    };
    let baked: Vec<_> =
        changes.into_iter().filter(|change| change.class == ChangeClass::Refused).collect();
    let unknown_only = baked.iter().all(|change| matches!(change.new, NewValue::Unknown));
    let mut replaced = !baked.is_empty() && !unknown_only;

    let id = prior.id.known().cloned().unwrap_or_default();
    let record = RouterRecord::load(&change.prior_private);
    let live = match &record {
        Some(record) => record.live_router(&id),
        // Nothing is known, so it may be live.
        None => prior.internal_ip.known().and_then(|address| {
            Some(LiveRouter { service: id.clone(), address: address.parse().ok()?, workers: None })
        }),
    };
    let allowed = planned.on_router_change.known().is_some_and(|word| word == "replace");
    if let Some(router) = live.as_ref().filter(|_| !baked.is_empty()) {
        let on_change = if allowed { OnRouterChange::Replace } else { OnRouterChange::Refuse };
        for violation in guard::guard(router, &baked, on_change) {
            diagnostics.push(diagnose::violation(&violation));
        }
    } else if unknown_only && !baked.is_empty() {
        // Never healthy, so nothing hangs on it: what may change may as well be replaced.
        replaced = true;
    }
    // With the user's word an unknown value replaces too: were it known to differ only at apply,
    // Terraform would have to refuse the plan that it had shown.
    replaced |= allowed && !baked.is_empty();
    if replaced && (allowed || live.is_none()) {
        for change_of in &baked {
            change.requires_replace(diagnose::attribute_path(&change_of.path));
        }
    }
    // A change in place plans nothing on dependents: what they refer to stays as it is.
    planned.id = prior.id;
    planned.internal_ip = prior.internal_ip;
    planned.minimum_hourly_cost = prior.minimum_hourly_cost;
    planned.maximum_hourly_cost = prior.maximum_hourly_cost;
    let has_drift = prior.drift.known().is_some_and(|drift| !drift.is_empty());
    planned.image_id = match (&prior.image_id, has_drift) {
        // Its router was gone before it could be asked.
        (Attr::Null, true) => Attr::unknown(),
        (image, _) => image.clone(),
    };
    let moves =
        prior.public_ip != planned.public_ip || record.as_ref().is_some_and(|record| record.moved);
    planned.endpoint = if moves { Attr::unknown() } else { prior.endpoint };
    if prior.drift.known().is_none_or(BTreeMap::is_empty) {
        planned.instance_type = prior.instance_type;
        planned.hourly_cost = prior.hourly_cost;
    } else {
        // A new machine is of the type that has capacity on that day.
        planned.instance_type = Attr::unknown();
        planned.hourly_cost = Attr::unknown();
    }
    planned.script_version = prior.script_version;
    (planned, diagnostics)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
