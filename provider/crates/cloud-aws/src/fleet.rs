//! A fleet: one security group, whose description says what cannot be asked otherwise, and one cluster
//! placement group of the same name.
//!
//! The security group is the fleet's claim to its name, because names of groups are unique in a VPC.

use crate::claim::Claim;
use crate::error::{During, is, refused};
use crate::security_group::{claim_of, find, fleets, object_name, remember, require};
use crate::subnet::{self, Subnet};
use crate::{Region, address, elastic_ip, ingress, instance, instance_type, placement, ssh, tags};
use aws_sdk_ec2::types::{
    IpPermission, IpRange, NetworkInterface, ResourceType, SecurityGroup, UserIdGroupPair,
};
use cloud::{
    CloudError, ErrorKind, Fleet, FleetClaim, FleetKey, FleetRequest, InstanceId, LabelFilter,
    PlacementStrategy, RequestPart, Site, SiteFilter, Tags, tag,
};
use std::collections::BTreeMap;

/// In a subnet there is one site, elsewhere one in each zone.
pub(crate) async fn find_sites(region: &Region, filter: &SiteFilter) -> cloud::Result<Vec<Site>> {
    let of_subnet = match &filter.subnet {
        Some(subnet) => Some(subnet::find(region, subnet).await?.1),
        None => None,
    };
    let is_meant = |zone: &String| {
        let wanted = [&filter.zone, &of_subnet];
        wanted.into_iter().flatten().all(|wanted| wanted == zone)
    };
    let zones = match (&of_subnet, filter.instance_types.as_slice()) {
        (Some(zone), []) => vec![zone.clone()],
        (_, types) => instance_type::zones(region, types).await?,
    };
    let sites = zones.into_iter().filter(is_meant);
    Ok(sites.map(|zone| Site { zone: Some(zone), subnet: filter.subnet.clone() }).collect())
}

pub(crate) async fn create(region: &Region, request: &FleetRequest) -> cloud::Result<Fleet> {
    const OPERATION: &str = "CreateSecurityGroup";
    let key = &request.key;
    let name = object_name(key);
    if find(region, key).await?.is_none() {
        let (subnet, zone) = site_for(region, request).await?;
        let claim = Claim { zone, subnet: subnet.id, placement: request.placement };
        let call = region.ec2.create_security_group().group_name(&name).vpc_id(&subnet.vpc);
        let created = call
            .description(claim.describe(&key.name))
            .tag_specifications(tags::specification(
                ResourceType::SecurityGroup,
                &tags::named(&request.tags),
            ))
            .send()
            .await
            .during(OPERATION);
        match created {
            // Another run was faster: what it has made is judged below.
            Err(error) if !is(&error, "InvalidGroup.Duplicate") => return Err(error.object(name)),
            _ => {}
        }
    }
    let group = find(region, key).await?.ok_or_else(|| {
        CloudError::new(ErrorKind::NotVisibleYet, OPERATION, "the new group is not listed yet")
            .object(&name)
    })?;
    if let Some(why) = claimed_by_another(&group, request) {
        return Err(refused(OPERATION, "InvalidGroup.Duplicate", why).object(name));
    }
    open(region, &group).await?;
    if request.placement == PlacementStrategy::Cluster {
        placement::create(region, &name, &request.tags).await?;
    }
    // With the rules that it has now.
    let group = require(region, key).await?;
    describe(region, key, &group).await
}

pub(crate) async fn list(region: &Region, name: &str) -> cloud::Result<Vec<FleetKey>> {
    let names = fleets(region).await?.into_iter();
    Ok(names.map(|fleet| FleetKey { region: name.to_owned(), name: fleet }).collect())
}

pub(crate) async fn get(region: &Region, key: &FleetKey) -> cloud::Result<Option<Fleet>> {
    match find(region, key).await? {
        Some(group) => describe(region, key, &group).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn repair(region: &Region, key: &FleetKey) -> cloud::Result<Fleet> {
    let group = require(region, key).await?;
    open(region, &group).await?;
    ingress::close_foreign(region, &group, ssh::of(&group).is_some()).await?;
    let own = key.lasting_tags();
    let id = group.group_id().unwrap_or_default().to_owned();
    tags::set(region, &[id], &tags::own(&own)).await?;
    let claim = claim_of(&group)?;
    if claim.placement == PlacementStrategy::Cluster {
        placement::restore(region, &object_name(key), &own).await?;
    }
    let group = require(region, key).await?;
    describe(region, key, &group).await
}

pub(crate) async fn delete(region: &Region, key: &FleetKey) -> cloud::Result<()> {
    const OPERATION: &str = "DeleteSecurityGroup";
    let Some(group) = find(region, key).await? else { return Ok(()) };
    let all = LabelFilter::all();
    let addresses = address::list(region, key, &all).await?.into_iter().map(|found| found.id.0);
    let instances = instance::list(region, key, &all).await?.into_iter().map(|found| found.id.0);
    let left: Vec<String> = addresses.chain(instances).collect();
    if !left.is_empty() {
        let message = format!("it still has {}", left.join(", "));
        return Err(refused(OPERATION, "DependencyViolation", message).object(key.to_string()));
    }
    // Also of routers whose interface somebody has deleted.
    let of_fleet = tags::wanted(&LabelFilter::all().and(tag::FLEET, key.name.as_str()));
    elastic_ip::release(region, &elastic_ip::list(region, &of_fleet).await?).await?;
    placement::delete(region, &object_name(key)).await?;
    let id = group.group_id().unwrap_or_default();
    let deleted = region.ec2.delete_security_group().group_id(id).send().await;
    match deleted.during(OPERATION).map_err(|error| error.object(id)) {
        Err(error) if is(&error, "InvalidGroup.NotFound") => {}
        Err(error) if error.kind == ErrorKind::InUse => {
            return Err(name_what_is_foreign(region, id, error).await);
        }
        deleted => deleted.map(drop)?,
    }
    region.fleets.lock().await.remove(&key.name);
    Ok(())
}

/// The subnet that is asked for, or else the default one of the zone; and the zone.
async fn site_for(region: &Region, request: &FleetRequest) -> cloud::Result<(Subnet, String)> {
    match (&request.subnet, &request.zone) {
        (Some(id), zone) => {
            let (subnet, of_subnet) = subnet::find(region, id).await?;
            match zone {
                Some(zone) if *zone != of_subnet => {
                    let message =
                        format!("the subnet is in zone {of_subnet}, and the fleet in {zone}");
                    let error = refused("DescribeSubnets", "InvalidSubnet.Conflict", message);
                    Err(error.object(id))
                }
                _ => Ok((subnet, of_subnet)),
            }
        }
        (None, Some(zone)) => Ok((subnet::default_of(region, zone).await?, zone.clone())),
        (None, None) => {
            let message = "a fleet is in a zone or in a subnet";
            let error = CloudError::new(ErrorKind::InvalidRequest, "DescribeSubnets", message);
            Err(error.object(&request.key.name).part(RequestPart::Zone))
        }
    }
}

async fn describe(region: &Region, key: &FleetKey, group: &SecurityGroup) -> cloud::Result<Fleet> {
    remember(region, key, group).await?;
    let Claim { zone, subnet, placement } = claim_of(group)?;
    let shown = tags::from_ec2(group.tags());
    let findings = findings(key, group, &shown);
    Ok(Fleet {
        key: key.clone(),
        zone: Some(zone),
        subnet: Some(subnet),
        placement,
        tags: shown,
        ingress: ingress::of_services(group),
        ssh: ssh::of(group),
        findings,
    })
}

/// Opens the group to and from itself, because EFA wants both rules by name and everything else works by
/// them, and to where packages and models come from.
async fn open(region: &Region, group: &SecurityGroup) -> cloud::Result<()> {
    let id = group.group_id().unwrap_or_default();
    let pair = UserIdGroupPair::builder().group_id(id).build();
    let rule = IpPermission::builder().ip_protocol("-1").user_id_group_pairs(pair).build();
    let tolerate = |result: cloud::Result<()>| match result {
        Err(error) if !is(&error, "InvalidPermission.Duplicate") => Err(error.object(id)),
        _ => Ok(()),
    };
    if !leads_to_itself(group.ip_permissions(), id) {
        let call = region.ec2.authorize_security_group_ingress().group_id(id);
        let opened = call.ip_permissions(rule.clone()).send().await;
        tolerate(opened.during("AuthorizeSecurityGroupIngress").map(drop))?;
    }
    if !leads_to_itself(group.ip_permissions_egress(), id) {
        let call = region.ec2.authorize_security_group_egress().group_id(id);
        let opened = call.ip_permissions(rule).send().await;
        tolerate(opened.during("AuthorizeSecurityGroupEgress").map(drop))?;
    }
    if !leads_anywhere(group.ip_permissions_egress()) {
        let range = IpRange::builder().cidr_ip(ANYWHERE).build();
        let rule = IpPermission::builder().ip_protocol("-1").ip_ranges(range).build();
        let call = region.ec2.authorize_security_group_egress().group_id(id);
        let opened = call.ip_permissions(rule).send().await;
        tolerate(opened.during("AuthorizeSecurityGroupEgress").map(drop))?;
    }
    Ok(())
}

/// As every new group does.
fn leads_anywhere(rules: &[IpPermission]) -> bool {
    rules.iter().any(|rule| {
        rule.ip_protocol() == Some("-1")
            && rule.ip_ranges().iter().any(|range| range.cidr_ip() == Some(ANYWHERE))
    })
}

fn leads_to_itself(rules: &[IpPermission], id: &str) -> bool {
    rules.iter().any(|rule| {
        rule.ip_protocol() == Some("-1")
            && rule.user_id_group_pairs().iter().any(|pair| pair.group_id() == Some(id))
    })
}

fn claimed_by_another(group: &SecurityGroup, request: &FleetRequest) -> Option<&'static str> {
    let Ok(Claim { subnet, placement, .. }) = claim_of(group) else {
        return Some("a security group of this name exists that the provider has not made");
    };
    let tags = tags::from_ec2(group.tags());
    FleetClaim { tags: &tags, placement, subnet: Some(&subnet) }.is_another(request)
}

fn findings(key: &FleetKey, group: &SecurityGroup, found: &Tags) -> BTreeMap<String, String> {
    let id = group.group_id().unwrap_or_default();
    let mut findings = key.tag_findings(found);
    for (direction, rules) in
        [("ingress", group.ip_permissions()), ("egress", group.ip_permissions_egress())]
    {
        if !leads_to_itself(rules, id) {
            let finding = "machines of the fleet cannot reach each other without it".to_owned();
            findings.insert(format!("{direction} rule of {id} for itself"), finding);
        }
    }
    if !leads_anywhere(group.ip_permissions_egress()) {
        let finding = "machines of the fleet cannot install anything without it".to_owned();
        findings.insert(format!("egress rule of {id} for 0.0.0.0/0"), finding);
    }
    for (rule, _) in ingress::foreign(group, ssh::of(group).is_some()) {
        let finding = "opened by somebody else; the next apply closes it".to_owned();
        findings.insert(format!("ingress of {id}: {rule}"), finding);
    }
    findings
}

/// Who else is in the group: EC2 only says that somebody is. Interfaces of machines that have ended are
/// none of these, and go by themselves, within minutes.
async fn name_what_is_foreign(region: &Region, group: &str, error: CloudError) -> CloudError {
    let call = region.ec2.describe_network_interfaces();
    let found = call.filters(tags::filter("group-id", [group])).send().await;
    let Ok(found) = found.during("DescribeNetworkInterfaces") else { return error };
    let interfaces = found.network_interfaces();
    let holder = |interface: &NetworkInterface| {
        let id = interface.attachment().and_then(|attachment| attachment.instance_id());
        id.map(|id| InstanceId(id.to_owned()))
    };
    let holders: Vec<InstanceId> = interfaces.iter().filter_map(holder).collect();
    let Ok(living) = instance::living(region, &holders).await else { return error };
    let foreign = interfaces
        .iter()
        .filter(|interface| holder(interface).is_none_or(|holder| living.contains(&holder)));
    let foreign: Vec<String> = foreign
        .map(|interface| {
            let id = interface.network_interface_id().unwrap_or_default();
            match interface.description() {
                Some(text) if !text.is_empty() => format!("{id} ({text})"),
                _ => id.to_owned(),
            }
        })
        .collect();
    if foreign.is_empty() {
        let message = format!("{}; what held it is on its way out", error.message);
        return CloudError { kind: ErrorKind::Unavailable, message, ..error };
    }
    CloudError { message: format!("{}; in it: {}", error.message, foreign.join(", ")), ..error }
}

const ANYWHERE: &str = "0.0.0.0/0";
