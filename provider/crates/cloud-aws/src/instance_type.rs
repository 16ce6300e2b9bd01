//! What EC2 says of its instance types: where they are offered, and how they are connected.

use crate::Region;
use crate::error::{During, refused};
use crate::interfaces::Network;
use crate::tags::filter;
use aws_sdk_ec2::types::{InstanceTypeInfo, LocationType, PlacementGroupStrategy};
use std::collections::BTreeMap;

/// What a launch must know of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceType {
    pub(crate) network: Network,
    /// Whether machines of it can be in a cluster placement group.
    pub(crate) clusters: bool,
    pub(crate) has_gpus: bool,
    /// `x86_64` or `arm64`.
    pub(crate) architecture: String,
}

/// The zones that offer all of the types, by name.
pub(crate) async fn zones(region: &Region, types: &[String]) -> cloud::Result<Vec<String>> {
    const OPERATION: &str = "DescribeInstanceTypeOfferings";
    if types.is_empty() {
        return all_zones(region).await;
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let call = region.ec2.describe_instance_type_offerings();
    let mut pages = call
        .location_type(LocationType::AvailabilityZone)
        .filters(filter("instance-type", types.iter().map(String::as_str)))
        .into_paginator()
        .items()
        .send();
    while let Some(offering) = pages.next().await {
        let offering = offering.during(OPERATION)?;
        *counts.entry(offering.location.unwrap_or_default()).or_default() += 1;
    }
    let wanted = types.iter().collect::<std::collections::BTreeSet<_>>().len();
    let all = counts.into_iter().filter(|(_, count)| *count == wanted);
    Ok(all.map(|(zone, _)| zone).collect())
}

async fn all_zones(region: &Region) -> cloud::Result<Vec<String>> {
    const OPERATION: &str = "DescribeAvailabilityZones";
    let call = region.ec2.describe_availability_zones();
    let call = call.filters(filter("zone-type", ["availability-zone"]));
    let zones = call.filters(filter("state", ["available"])).send().await.during(OPERATION)?;
    let zones = zones.availability_zones.unwrap_or_default().into_iter();
    Ok(zones.filter_map(|zone| zone.zone_name).collect())
}

/// A type as EC2 describes it. Its whole family is asked for, once in a run: who walks over offers wants
/// the neighbours next.
pub(crate) async fn find(region: &Region, name: &str) -> cloud::Result<InstanceType> {
    const OPERATION: &str = "DescribeInstanceTypes";
    let mut known = region.types.lock().await;
    if !known.contains_key(name) {
        let family = name.split('.').next().unwrap_or(name);
        let call = region.ec2.describe_instance_types();
        let call = call.filters(filter("instance-type", [format!("{family}.*").as_str()]));
        let mut pages = call.into_paginator().items().send();
        while let Some(found) = pages.next().await {
            let found = found.during(OPERATION).map_err(|error| error.object(name))?;
            let found_name = found.instance_type().map(|found| found.as_str().to_owned());
            known.extend(found_name.map(|found_name| (found_name, described(&found))));
        }
    }
    known.get(name).cloned().ok_or_else(|| {
        refused(OPERATION, "InvalidInstanceType", "the region has no such type").object(name)
    })
}

fn described(found: &InstanceTypeInfo) -> InstanceType {
    let positive = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok());
    let network = found.network_info();
    let efa = network.and_then(|network| network.efa_info());
    let strategies = found.placement_group_info().map(|info| info.supported_strategies());
    let architectures = found.processor_info().map(|info| info.supported_architectures());
    InstanceType {
        network: Network {
            cards: positive(network.and_then(|network| network.maximum_network_cards()))
                .unwrap_or(1),
            efa_interfaces: positive(efa.and_then(|efa| efa.maximum_efa_interfaces()))
                .unwrap_or_default(),
        },
        clusters: strategies.unwrap_or_default().contains(&PlacementGroupStrategy::Cluster),
        has_gpus: found.gpu_info().is_some_and(|info| !info.gpus().is_empty()),
        architecture: architectures
            .and_then(|all| all.iter().map(|one| one.as_str()).find(|one| *one != "i386"))
            .unwrap_or("x86_64")
            .to_owned(),
    }
}
