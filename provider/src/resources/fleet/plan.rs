//! What a change of a fleet means. Pure.

use super::{LOCAL_REGION, LOCAL_ZONE, is_local};
use crate::addresses::Planned;
use crate::clouds;
use cloud::{CloudName, Offer};
use domain::catalogue;
use domain::local_gpus::LocalGpus;
use domain::text::shown;
use plugin::{Attr, AttributePath, Change, Diagnostic, Diagnostics};
use schemas::Fleet;
use std::collections::BTreeMap;

/// What the attributes' own validators cannot see.
pub(super) fn validate(config: &Fleet) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let Some(cloud) = config.cloud.known() else { return diagnostics };
    if cloud.parse::<CloudName>().is_err() {
        // The attribute's own format says so; what else would follow from it is noise.
        return diagnostics;
    }
    if let Some(error) = clouds::not_built_in(cloud) {
        diagnostics.push(
            Diagnostic::error("Cloud is not available", error).at(AttributePath::root("cloud")),
        );
        return diagnostics;
    }
    let region = AttributePath::root("region");
    match (is_local(cloud), &config.region) {
        (true, Attr::Known(given)) if given != LOCAL_REGION => diagnostics.push(
            Diagnostic::error(
                "Invalid region",
                format!(
                    "The local cloud has one region, `{LOCAL_REGION}`, not `{}`. Leave `region` out.",
                    shown(given)
                ),
            )
            .at(region),
        ),
        // Without one, the provider's own is known in the plan.
        _ => {}
    }
    if is_local(cloud) && config.zone.known().is_some_and(|zone| zone != LOCAL_ZONE) {
        diagnostics.push(
            Diagnostic::error(
                "Invalid zone",
                format!("The local cloud has one zone, `{LOCAL_ZONE}`. Leave `zone` out."),
            )
            .at(AttributePath::root("zone")),
        );
    }
    let no_gpus = match &config.gpus {
        Attr::Null => true,
        Attr::Known(gpus) => gpus.is_empty(),
        Attr::Unknown(_) => false,
    };
    if is_local(cloud) && config.subnet.known().is_some() {
        diagnostics.push(
            Diagnostic::error(
                "Subnet without a cloud that has any",
                "The local cloud has no subnets. Leave `subnet` out.",
            )
            .at(AttributePath::root("subnet")),
        );
    }
    if is_local(cloud) && config.ssh.known().is_some() {
        diagnostics.push(
            Diagnostic::error(
                "SSH without a cloud that has any",
                "Machines of the local cloud are processes of this computer. Leave `ssh` out.",
            )
            .at(AttributePath::root("ssh")),
        );
    }
    if cloud == CloudName::Aws.as_str() {
        diagnostics.extend(validate_names_of_aws(config));
    }
    if !is_local(cloud) && config.zone.is_null() && config.subnet.is_null() && no_gpus {
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

/// What EC2 would refuse at sight.
fn validate_names_of_aws(config: &Fleet) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    if let Some(subnet) = config.subnet.known().filter(|subnet| !subnet.starts_with("subnet-")) {
        diagnostics.push(
            Diagnostic::error(
                "Invalid subnet",
                format!(
                    "A subnet is named by its id, as in `subnet-0123456789abcdef0`, not `{}`.",
                    shown(subnet)
                ),
            )
            .at(AttributePath::root("subnet")),
        );
    }
    if let (Some(region), Some(zone)) = (config.region.known(), config.zone.known())
        && !zone.starts_with(region.as_str())
    {
        diagnostics.push(
            Diagnostic::error(
                "Zone of another region",
                format!(
                    "Zones of region `{}` are named after it; `{}` is none.",
                    shown(region),
                    shown(zone)
                ),
            )
            .at(AttributePath::root("zone")),
        );
    }
    diagnostics
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
            if change.config.as_ref().is_some_and(|config| config.region.is_null()) {
                planned.region = match planned.cloud.known().map(|cloud| cloud.parse()) {
                    Some(Ok(CloudName::Local)) => Attr::Known(LOCAL_REGION.to_owned()),
                    Some(Ok(cloud)) => match default_region(cloud) {
                        Attr::Null => return missing_region(cloud).into(),
                        region => region,
                    },
                    Some(Err(_)) | None => Attr::unknown(),
                };
            }
            if planned.cloud.known().is_some_and(|cloud| is_local(cloud)) {
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
        if let Some((other, _)) = earlier.iter().find(|(_, others)| never_meet(&offers, others)) {
            diagnostics.push(
                Diagnostic::warning(
                    "GPUs without a fabric in common",
                    format!(
                        "EFA of the machines with {gpu} does not reach EFA of those with {other}: with \
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

fn never_meet(these: &[Offer], those: &[Offer]) -> bool {
    let mut pairs = these.iter().flat_map(|one| those.iter().map(move |other| (one, other)));
    pairs.all(|(one, other)| !catalogue::fabrics_meet(&one.instance_type, &other.instance_type))
}

fn missing_region(cloud: CloudName) -> Diagnostic {
    let defaults = match cloud {
        CloudName::Aws => {
            ", or give the provider one: `aws = { region = … }` in its block, or `AWS_REGION` in its \
             environment"
        }
        CloudName::Local | CloudName::Gcp | CloudName::Azure => "",
    };
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
