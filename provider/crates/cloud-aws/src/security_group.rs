//! The security group of a fleet: found by its name, and what it tells of the fleet that never changes.

use crate::claim::Claim;
use crate::error::{During, refused};
use crate::subnet::Subnet;
use crate::{Region, tags};
use aws_sdk_ec2::types::SecurityGroup;
use cloud::{CloudError, FleetKey, PlacementStrategy, tag};
use std::collections::BTreeSet;

/// What never changes about a fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FleetFacts {
    pub(crate) group_id: String,
    pub(crate) subnet: Subnet,
    pub(crate) zone: String,
    /// The name of the placement group, if it has one.
    pub(crate) placement_group: Option<String>,
    /// The key pair of machines that are launched; [`ssh::set`](crate::ssh::set) alone changes it.
    pub(crate) key_name: Option<String>,
    /// Whether a machine of it has ever had an Elastic IP; [`egress`](crate::egress) alone says so.
    pub(crate) has_elastic_ips: bool,
}

/// What never changes about a fleet, asked for once in a run.
pub(crate) async fn facts(region: &Region, key: &FleetKey) -> cloud::Result<FleetFacts> {
    facts_if_any(region, key).await?.ok_or_else(|| absent(key))
}

/// The same of a fleet that may not be there.
pub(crate) async fn facts_if_any(
    region: &Region,
    key: &FleetKey,
) -> cloud::Result<Option<FleetFacts>> {
    if let Some(facts) = region.fleets.lock().await.get(&key.name) {
        return Ok(Some(facts.clone()));
    }
    match find(region, key).await? {
        Some(group) => remember(region, key, &group).await.map(Some),
        None => Ok(None),
    }
}

/// The security group of a fleet, for a request that cannot do without.
pub(crate) async fn require(region: &Region, key: &FleetKey) -> cloud::Result<SecurityGroup> {
    find(region, key).await?.ok_or_else(|| absent(key))
}

fn absent(key: &FleetKey) -> CloudError {
    refused("DescribeSecurityGroups", "InvalidGroup.NotFound", "there is no such fleet")
        .object(key.to_string())
}

/// By its name, which nobody can change, and not by its tags. Where several VPCs have one, the one with
/// our tag.
pub(crate) async fn find(region: &Region, key: &FleetKey) -> cloud::Result<Option<SecurityGroup>> {
    const OPERATION: &str = "DescribeSecurityGroups";
    let call = region.ec2.describe_security_groups();
    let call = call.filters(tags::filter("group-name", [object_name(key).as_str()]));
    let answer = call.send().await.during(OPERATION)?;
    let is_ours = |group: &SecurityGroup| {
        tags::from_ec2(group.tags()).get(tag::MANAGED_BY).map(String::as_str)
            == Some(tag::MANAGED_BY_US)
    };
    let mut groups = answer.security_groups.unwrap_or_default();
    groups.sort_by_key(|group| !is_ours(group));
    Ok(groups.into_iter().next())
}

/// The names of all fleets of the region: by the names of their groups, and not by their tags. A group that says
/// nothing of how a fleet was made is none of ours.
pub(crate) async fn fleets(region: &Region) -> cloud::Result<BTreeSet<String>> {
    const OPERATION: &str = "DescribeSecurityGroups";
    let call = region.ec2.describe_security_groups().max_results(1000);
    let call = call.filters(tags::filter("group-name", [format!("{PREFIX}*").as_str()]));
    let mut pages = call.into_paginator().items().send();
    let mut names = BTreeSet::new();
    while let Some(group) = pages.next().await {
        let group = group.during(OPERATION)?;
        let name = group.group_name().and_then(|name| name.strip_prefix(PREFIX));
        names.extend(name.filter(|_| claim_of(&group).is_ok()).map(str::to_owned));
    }
    Ok(names)
}

/// What the group tells, kept for the length of a run.
pub(crate) async fn remember(
    region: &Region,
    key: &FleetKey,
    group: &SecurityGroup,
) -> cloud::Result<FleetFacts> {
    let Claim { zone, subnet, placement, .. } = claim_of(group)?;
    let facts = FleetFacts {
        group_id: group.group_id().unwrap_or_default().to_owned(),
        subnet: Subnet { id: subnet, vpc: group.vpc_id().unwrap_or_default().to_owned() },
        zone,
        placement_group: (placement == PlacementStrategy::Cluster).then(|| object_name(key)),
        key_name: tags::key_name(group.tags()),
        has_elastic_ips: group.tags().iter().any(|tag| tag.key() == Some(tags::EGRESS)),
    };
    let mut fleets = region.fleets.lock().await;
    let known = fleets.entry(key.name.clone()).or_insert_with(|| facts.clone());
    // Its key is changed by this process alone, whatever a server still says; and who has ever had Elastic
    // IPs may have some.
    let has_elastic_ips = known.has_elastic_ips || facts.has_elastic_ips;
    *known = FleetFacts { key_name: known.key_name.clone(), has_elastic_ips, ..facts };
    Ok(known.clone())
}

/// What the fleet was made with.
pub(crate) fn claim_of(group: &SecurityGroup) -> cloud::Result<Claim> {
    Claim::parse(group.description().unwrap_or_default()).ok_or_else(|| {
        let why = "a security group of this name exists that the provider has not made";
        refused("DescribeSecurityGroups", "InvalidGroup.Duplicate", why)
            .object(group.group_name().unwrap_or_default())
    })
}

/// The name of the fleet's own objects.
pub(crate) fn object_name(key: &FleetKey) -> String {
    format!("{PREFIX}{}", key.name)
}

const PREFIX: &str = "disagg-";
