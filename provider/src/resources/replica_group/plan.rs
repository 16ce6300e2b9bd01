//! What a change of a replica group means. Pure.

use super::this_computer::{self, ThisComputer};
use super::{model, warnings};
use crate::diagnose;
use crate::resources::attributes::{has_text, service_of};
use crate::resources::features;
use cloud::{CloudName, Feature, Offer};
use domain::catalogue::NoOffer;
use domain::engine;
use domain::guard::{AttributeChange, ChangeClass, NewValue};
use domain::id::{GroupId, ServiceId};
use domain::local_gpus::LocalGpus;
use domain::secret::SecretReference;
use domain::spec::ServiceFacts;
use domain::version::DynamoVersion;
use orchestration::group;
use plugin::{Attr, AttributePath, Change, Diagnostic, Diagnostics};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

pub(super) fn plan(change: &mut Change<ReplicaGroup>, computer: &ThisComputer<'_>) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    if let Some(prior) = &change.prior
        && lets_machines_go(prior, change.planned.as_ref())
        && let Some(cloud) = cloud_of(&prior.service_id)
    {
        warnings::of_drain(change.planned.as_ref().unwrap_or(prior), cloud, &mut diagnostics);
    }
    let Some(mut planned) = change.planned.clone() else { return diagnostics };
    if change.is_create() && change.planned_private.get(KEEPS_ITS_MACHINES).is_some() {
        let name = planned.name.known().cloned().unwrap_or_default();
        diagnostics.push(warnings::of_forced_replacement(&name));
    }
    change.planned_private.remove(KEEPS_ITS_MACHINES);
    planned.drift = Attr::Known(BTreeMap::new());
    match change.prior.clone() {
        None => plan_create(&mut planned, computer, &mut diagnostics),
        Some(prior) => plan_update(change, &prior, &mut planned, computer, &mut diagnostics),
    }
    change.planned = Some(planned);
    diagnostics
}

/// What the plan of a change says that replaces nothing by itself: the plan of a creation that comes with it is
/// the second half of a replacement that Terraform was told to make.
const KEEPS_ITS_MACHINES: &str = "keeps_its_machines";

/// Whether a plan removes machines that may be at work.
fn lets_machines_go(prior: &ReplicaGroup, planned: Option<&ReplicaGroup>) -> bool {
    let count = prior.instance_count.known().copied().unwrap_or_default();
    let Some(planned) = planned else { return count > 0 };
    let makes_others = schemas::changes(prior, planned).is_ok_and(|changes| {
        let classes = [ChangeClass::Replace, ChangeClass::Rolling];
        changes.iter().any(|change| classes.contains(&change.class))
    });
    let most = match (planned.scaling.known(), planned.replicas.known()) {
        (Some(scaling), _) => scaling.max.known().copied(),
        (None, replicas) => replicas.copied(),
    };
    count > 0 && (makes_others || most.is_some_and(|most| most < count))
}

fn plan_create(
    planned: &mut ReplicaGroup,
    computer: &ThisComputer<'_>,
    diagnostics: &mut Diagnostics,
) {
    planned.instance_count = Attr::unknown();
    planned.members = Attr::unknown();
    planned.instance_type = Attr::unknown();
    planned.image_id = Attr::unknown();
    planned.interconnect = Attr::unknown();
    planned.hourly_cost = Attr::unknown();
    planned.minimum_hourly_cost = Attr::unknown();
    planned.maximum_hourly_cost = Attr::unknown();
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
    warnings::of_scaling(planned, diagnostics);
    plan_offers(planned, computer, diagnostics);
}

/// What the catalogue of the cloud says to the resources that are asked for: without a call, and as
/// soon as the cloud is known.
fn plan_offers(
    planned: &mut ReplicaGroup,
    computer: &ThisComputer<'_>,
    diagnostics: &mut Diagnostics,
) {
    let Some(cloud) = cloud_of(&planned.service_id) else { return };
    let gpus = (computer.gpus)(cloud);
    match offers(&gpus, cloud, planned) {
        Some(Ok(offers)) => {
            fill_offer(planned, &offers, diagnostics);
            check_boot_document(planned, &offers, diagnostics);
            if let (true, Some(offer)) = (cloud.profile().is_this_computer, offers.first()) {
                this_computer::refuse(planned, cloud, offer, &gpus, computer, diagnostics);
            }
        }
        Some(Err(error)) => {
            let resources = AttributePath::root("resources");
            let at = match error {
                NoOffer::ThisComputer { .. } => resources.attribute("gpu"),
                _ => resources,
            };
            let detail = format!("On cloud `{cloud}`: {error}.");
            diagnostics.push(Diagnostic::error("No machine fits", detail).at(at));
        }
        None => {}
    }
    refuse_foreign_secrets(cloud, planned, diagnostics);
    let asked = [
        ("identity", planned.identity.known().is_some()),
        ("image", planned.image.known().is_some()),
        ("market", planned.market.known().is_some_and(|market| market != "on-demand")),
        ("reservation", planned.reservation.known().is_some()),
        ("egress", planned.egress.known().is_some_and(|egress| egress != "subnet")),
    ];
    diagnostics.extend(features::missing(cloud, &asked));
}

fn plan_update(
    change: &mut Change<ReplicaGroup>,
    prior: &ReplicaGroup,
    planned: &mut ReplicaGroup,
    computer: &ThisComputer<'_>,
    diagnostics: &mut Diagnostics,
) {
    let changes = match schemas::changes(prior, planned) {
        Ok(changes) => changes,
        Err(error) => {
            diagnostics.extend(diagnose::failure(error.into(), &[]));
            return;
        }
    };
    let of_class = |class| -> Vec<&AttributeChange> {
        changes.iter().filter(|change| change.class == class).collect()
    };
    let (replacing, rolling) = (of_class(ChangeClass::Replace), of_class(ChangeClass::Rolling));
    for change_of in &replacing {
        change.requires_replace(diagnose::attribute_path(&change_of.path));
    }
    if replacing.is_empty() {
        change.planned_private.set(KEEPS_ITS_MACHINES, true.into());
        warnings::of_roll(prior, planned, &rolling, diagnostics);
    } else {
        warnings::of_replacement(prior, planned, &replacing, diagnostics);
    }

    planned.id = prior.id.clone();
    let has_images = cloud_of(&planned.service_id).is_some_and(|cloud| cloud.has(Feature::Image));
    planned.image_id = match (rolling.is_empty(), has_images) {
        (false, true) => Attr::unknown(),
        _ => prior.image_id.clone(),
    };
    // New machines for a certain change are made of the newest scripts; without one nothing changes.
    let newest = Attr::Known(i64::from(domain::SCRIPT_VERSION));
    planned.script_version = if rolling.iter().any(|change| change.new != NewValue::Unknown) {
        newest
    } else if rolling.is_empty() || prior.script_version == newest {
        prior.script_version.clone()
    } else {
        Attr::unknown()
    };
    let has_drift = prior.drift.known().is_some_and(|drift| !drift.is_empty());
    let counts = changes
        .iter()
        .any(|change| change.path == "replicas" || change.path.starts_with("scaling"));
    if changes.iter().any(|change| change.path.starts_with("scaling")) {
        warnings::of_scaling(planned, diagnostics);
    }
    if has_drift || counts || !rolling.is_empty() {
        planned.members = Attr::unknown();
        if has_images && prior.image_id.is_null() {
            // It had no machine that could have told.
            planned.image_id = Attr::unknown();
        }
        // A new machine is of the type that has capacity on that day.
        planned.instance_type = Attr::unknown();
        planned.interconnect = Attr::unknown();
        planned.instance_count = match planned.replicas.known() {
            Some(count) => Attr::Known(*count),
            None => Attr::unknown(),
        };
        planned.hourly_cost = Attr::unknown();
        planned.minimum_hourly_cost = Attr::unknown();
        planned.maximum_hourly_cost = Attr::unknown();
        plan_offers(planned, computer, diagnostics);
        if rolling.is_empty() && planned.instance_type != prior.instance_type {
            // Those that stay are what they are.
            planned.instance_type = Attr::unknown();
            planned.interconnect = Attr::unknown();
            planned.hourly_cost = Attr::unknown();
        }
    } else {
        planned.members = prior.members.clone();
        planned.instance_type = prior.instance_type.clone();
        planned.interconnect = prior.interconnect.clone();
        planned.instance_count = prior.instance_count.clone();
        planned.hourly_cost = prior.hourly_cost.clone();
        planned.minimum_hourly_cost = prior.minimum_hourly_cost.clone();
        planned.maximum_hourly_cost = prior.maximum_hourly_cost.clone();
    }
}

/// Whether there is user data for the workers, as far as it is known now: the service's own facts
/// are not, and can only make it larger.
fn check_boot_document(planned: &ReplicaGroup, offers: &[Offer], diagnostics: &mut Diagnostics) {
    let (Some(service), Some(name)) = (service_of(&planned.service_id), planned.name.known())
    else {
        return;
    };
    if planned.engine.known().is_none_or(|engine| has_text(&engine.commands).is_none()) {
        return;
    }
    let id = GroupId { service, name: name.clone() };
    let (Ok(spec), Some(offer)) = (model::spec(planned, &id), offers.first()) else { return };
    let facts = ServiceFacts {
        id: id.service,
        model: "m".to_owned(),
        version: DynamoVersion::DEFAULT,
        port: 8000,
        router_ip: Ipv4Addr::LOCALHOST.into(),
        script_version: spec.script_version,
    };
    if let Err(failure) = group::check_boot_document(&spec, &facts, offer)
        && !diagnostics.has_error()
    {
        diagnostics.extend(diagnose::failure(failure.into(), &[]));
    }
}

/// The cloud that a service's id tells, also when only its beginning is known.
fn cloud_of(service_id: &Attr<String>) -> Option<CloudName> {
    service_of(service_id).map(|service| service.fleet.cloud)
}

fn offers(
    gpus: &LocalGpus,
    cloud: CloudName,
    group: &ReplicaGroup,
) -> Option<Result<Vec<Offer>, NoOffer>> {
    Some(model::offers(gpus, cloud, &model::resources(group)?))
}

/// What will be bought, as far as it is certain: with several types that fit, capacity decides.
fn fill_offer(group: &mut ReplicaGroup, offers: &[Offer], diagnostics: &mut Diagnostics) {
    let Some(offer) = offers.first() else { return };
    // All of them have as many GPUs and the same fabric.
    group.interconnect = Attr::Known(model::interconnect(offer));
    if let Ok(count) = model::count(group) {
        model::fill_cost_bounds(group, count, offers);
    }
    if offers.len() == 1 {
        group.instance_type = Attr::Known(offer.instance_type.clone());
        if let Some(count) = group.replicas.known() {
            group.hourly_cost = Attr::Known(model::hourly_cost(offer, *count));
        }
    }
    let Some(resources) = model::resources(group) else { return };
    warnings::of_waste(group, offer, resources.wasted_gpus(offer), diagnostics);
    let wanted = group.engine.known().and_then(|engine| engine.tensor_parallel.known()).copied();
    if let Err(error) = engine::check_tensor_parallel(wanted, resources.usable_gpus(offer)) {
        diagnostics.push(
            Diagnostic::error("Tensor parallel size does not fit", format!("{error}."))
                .at(AttributePath::root("engine").attribute("tensor_parallel")),
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
                    format!(
                        "A machine on `{cloud}` cannot resolve `{}://…`, but {}.",
                        reference.scheme(),
                        SecretReference::schemes_on(cloud).join(" and ")
                    ),
                )
                .at(AttributePath::root("secret_env").key(name)),
            );
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
