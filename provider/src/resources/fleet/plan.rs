//! What a change of a fleet means. Pure.

use crate::addresses::Planned;
use crate::clouds;
use crate::resources::features;
use cloud::{CloudName, Feature, Interconnect, Offer};
use domain::catalogue;
use domain::local_gpus::LocalGpus;
use domain::text::shown;
use plugin::{Attr, AttributePath, Change, Diagnostic, Diagnostics};
use schemas::Fleet;
use std::collections::BTreeMap;

/// What the attributes' own validators cannot see.
pub(super) fn validate(config: &Fleet) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    // Of a word that is none the attribute's own format tells; what else would follow from it is noise.
    let cloud = config.cloud.known().and_then(|cloud| cloud.parse::<CloudName>().ok());
    let Some(cloud) = cloud else { return diagnostics };
    if let Some(error) = clouds::not_built_in(cloud) {
        diagnostics.push(
            Diagnostic::error("Cloud is not available", error).at(AttributePath::root("cloud")),
        );
        return diagnostics;
    }
    let profile = cloud.profile();
    for (name, places, given) in
        [("region", profile.regions, &config.region), ("zone", profile.zones, &config.zone)]
    {
        // Without a region of its own, a fleet has the provider's, which the plan knows.
        if let (Some(only), Some(given)) = (places.only(), given.known())
            && given != only
        {
            let detail = format!(
                "Cloud `{cloud}` has one {name}, `{only}`, not `{}`. Leave `{name}` out.",
                shown(given)
            );
            diagnostics.push(
                Diagnostic::error(format!("Invalid {name}"), detail).at(AttributePath::root(name)),
            );
        }
    }
    let asked =
        [("subnet", config.subnet.known().is_some()), ("ssh", config.ssh.known().is_some())];
    diagnostics.extend(features::missing(cloud, &asked));
    diagnostics.extend(clouds::validate_fleet(cloud, config));
    let no_gpus = match &config.gpus {
        Attr::Null => true,
        Attr::Known(gpus) => gpus.is_empty(),
        Attr::Unknown(_) => false,
    };
    let is_chosen = profile.zones.only().is_some();
    if !is_chosen && config.zone.is_null() && config.subnet.is_null() && no_gpus {
        diagnostics.push(
            Diagnostic::error(
                "Missing zone",
                "Give a `zone` or a `subnet`, or `gpus` from which a zone is chosen, as in `gpus = \
                 [\"H200:8\"]`.",
            )
            .at(AttributePath::root("zone")),
        );
    }
    diagnostics
}

/// Which fleet it is before and after.
pub(super) fn addresses(change: &Change<Fleet>) -> Planned {
    let path = |fleet: &Fleet| -> Option<String> {
        let parts = [fleet.cloud.known()?, fleet.region.known()?, fleet.name.known()?];
        Some(parts.map(String::as_str).join("/"))
    };
    Planned {
        prior: change.prior.as_ref().and_then(path),
        stays: change.planned.is_some(),
        planned: change.planned.as_ref().and_then(path),
    }
}

/// `default_region` is the provider's own, for the fleet's cloud.
pub(super) fn plan(
    change: &mut Change<Fleet>,
    default_region: impl Fn(CloudName) -> Attr<String>,
    local_gpus: impl Fn(CloudName) -> LocalGpus,
) -> Diagnostics {
    let prior = change.prior.clone();
    let replacement = change.is_replacement();
    let Some(planned) = change.planned.as_mut() else { return Diagnostics::default() };
    planned.drift = Attr::Known(BTreeMap::new());
    match prior {
        None => {
            let cloud = planned.cloud.known().and_then(|cloud| cloud.parse::<CloudName>().ok());
            if change.config.as_ref().is_some_and(|config| config.region.is_null()) {
                planned.region = match cloud {
                    Some(cloud) => match cloud.profile().regions.only() {
                        Some(only) => Attr::Known(only.to_owned()),
                        None => match default_region(cloud) {
                            Attr::Null => return missing_region(cloud).into(),
                            region => region,
                        },
                    },
                    None => Attr::unknown(),
                };
            }
            if cloud.is_some_and(|cloud| !cloud.has(Feature::Subnet)) {
                planned.subnet = Attr::Null;
            }
            planned.id = match (planned.cloud.known(), planned.region.known(), planned.name.known())
            {
                (Some(cloud), Some(region), Some(name)) => {
                    Attr::Known(format!("{cloud}/{region}/{name}"))
                }
                _ => Attr::unknown(),
            };
            judge_gpus(planned, local_gpus)
        }
        Some(prior) => {
            // What the provider found at creation stays; a change of what the user gives replaces.
            planned.id = prior.id;
            let asks_for_others = planned.gpus != prior.gpus;
            let config = change.config.as_ref();
            if config.is_some_and(|config| config.region.is_null()) {
                planned.region = prior.region;
            }
            if config.is_some_and(|config| config.zone.is_null()) {
                planned.zone = prior.zone;
            }
            if config.is_some_and(|config| config.subnet.is_null()) {
                planned.subnet = prior.subnet;
            }
            let mut diagnostics = match asks_for_others {
                true => judge_gpus(planned, local_gpus),
                false => Diagnostics::default(),
            };
            if replacement {
                diagnostics.push(warning_of_replacement(planned));
            }
            diagnostics
        }
    }
}

/// GPUs that no machine of the cloud has choose no zone, and those whose machines cannot hand over the KV
/// cache to each other are a fleet that is paid for and slow.
fn judge_gpus(fleet: &Fleet, local_gpus: impl Fn(CloudName) -> LocalGpus) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let Some(Ok(cloud)) = fleet.cloud.known().map(|cloud| cloud.parse::<CloudName>()) else {
        return diagnostics;
    };
    let mut earlier: Vec<(&str, Vec<Offer>)> = Vec::new();
    for (index, gpu) in fleet.gpus.known().into_iter().flatten().enumerate() {
        let attribute = AttributePath::root("gpus").index(index);
        let Some((gpu, Ok(request))) = gpu.known().map(|gpu| (gpu.0.as_str(), gpu.0.parse()))
        else {
            continue;
        };
        let wanted = catalogue::Resources { gpu: Some(request), ..Default::default() };
        let offers = match local_gpus(cloud).offers(cloud, &wanted) {
            Ok(offers) => offers,
            Err(error) => {
                let detail = format!("On cloud `{cloud}`: {error}.");
                diagnostics.push(Diagnostic::error("No machine fits", detail).at(attribute));
                continue;
            }
        };
        let stranger =
            earlier.iter().find_map(|(other, others)| Some((*other, never_meet(&offers, others)?)));
        if let Some((other, (ours, theirs))) = stranger {
            diagnostics.push(
                Diagnostic::warning(
                    "GPUs without a fabric in common",
                    format!(
                        "{ours} of the machines with {gpu} does not reach {theirs} of those with {other}: with \
                         prefill on the one and decode on the other, the KV cache has no fast way \
                         between them, and may have none at all. Choose GPUs of one family for both."
                    ),
                )
                .at(attribute),
            );
        }
        earlier.push((gpu, offers));
    }
    diagnostics
}

/// What both are on when none of these machines reaches any of those.
fn never_meet(these: &[Offer], those: &[Offer]) -> Option<(Interconnect, Interconnect)> {
    let mut pairs = these.iter().flat_map(|one| those.iter().map(move |other| (one, other)));
    let is_apart = pairs.all(|(one, other)| !one.reaches(other));
    let kinds = (these.first()?.interconnect, those.first()?.interconnect);
    is_apart.then_some(kinds)
}

fn missing_region(cloud: CloudName) -> Diagnostic {
    let defaults = clouds::other_ways_to_a_region(cloud);
    Diagnostic::error(
        "Missing region",
        format!("A fleet on `{cloud}` needs a `region`, as in `us-east-2`{defaults}."),
    )
    .at(AttributePath::root("region"))
}

/// A fleet cannot be removed with a service in it, and a service keeps its fleet: Terraform sees the
/// one and not the other, and would find out half-way.
fn warning_of_replacement(fleet: &Fleet) -> Diagnostic {
    let name = fleet.name.as_str().unwrap_or("?");
    Diagnostic::warning(
        "Fleet is replaced",
        format!(
            "Fleet {name} is removed and made again, which the apply refuses while a service is in it: \
             machines do not move to another zone or placement. Either make a fleet of another name \
             beside it, a service in that one, and switch your clients over; or replace the services \
             in this same apply, which ends them for a while:\n\n  terraform apply \
             -replace=disagg_service.NAME"
        ),
    )
}
