//! Security groups and placement groups.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::ec2::group::{PlacementGroup, Rule, SecurityGroup, Target};
use crate::ec2::refusal::{Refusal, not_found_as};
use crate::ec2::region::Region;
use crate::ec2::subnet::VPC;

pub(super) fn create(region: &mut Region, query: &Query) -> Members {
    let name = query.required("GroupName")?;
    let description = query.required("GroupDescription")?;
    let vpc = query.text("VpcId").unwrap_or(VPC);
    let tags = query.tags_for("security-group");
    let id = region.create_group(name, vpc, description, tags)?;
    Ok(vec![Element::text("return", true), Element::text("groupId", id)])
}

pub(super) fn delete(region: &mut Region, query: &Query) -> Members {
    region.tidy();
    region.delete_group(query.required("GroupId")?)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn describe(region: &mut Region, query: &Query) -> Members {
    let (filters, ids) = (Filters::of(query), query.texts("GroupId"));
    let knows_none = region.hides_groups();
    for id in &ids {
        region.group(id)?;
        if knows_none {
            return Err(not_found_as("sg", id));
        }
    }
    let mut items = Vec::new();
    let is_meant = |id: &String| ids.is_empty() || ids.contains(id);
    let knows = |group: &&SecurityGroup| !knows_none && region.knows(&group.id);
    let known = region.groups.values().filter(knows);
    for group in known.filter(|group| is_meant(&group.id)) {
        let value = |name: &str| match name {
            "group-name" => Some(vec![group.name.clone()]),
            "group-id" => Some(vec![group.id.clone()]),
            "vpc-id" => Some(vec![group.vpc.clone()]),
            _ => None,
        };
        if filters.pass(&group.tags, value)? {
            items.push(vec![
                Element::text("groupId", &group.id),
                Element::text("groupName", &group.name),
                Element::text("groupDescription", &group.description),
                Element::text("vpcId", &group.vpc),
                Element::text("ownerId", "123456789012"),
                Element::list("ipPermissions", permissions(&group.ingress)),
                Element::list("ipPermissionsEgress", permissions(&group.egress)),
                super::instance::tag_set(&group.tags),
            ]);
        }
    }
    Ok(vec![Element::list("securityGroupInfo", items)])
}

pub(super) fn authorize_ingress(region: &mut Region, query: &Query) -> Members {
    region.group(query.required("GroupId")?)?.authorize(true, rules(query))?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn authorize_egress(region: &mut Region, query: &Query) -> Members {
    region.group(query.required("GroupId")?)?.authorize(false, rules(query))?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn revoke(region: &mut Region, query: &Query) -> Members {
    region.group(query.required("GroupId")?)?.revoke(&rules(query))?;
    Ok(vec![Element::text("return", true)])
}

/// Changes how rules are described, and nothing else of them.
pub(super) fn update_descriptions(region: &mut Region, query: &Query) -> Members {
    let group = region.group(query.required("GroupId")?)?;
    let rules = rules(query);
    if rules.is_empty() {
        let message = "The request must contain the parameter IpPermissions";
        return Err(Refusal::new("MissingParameter", message));
    }
    group.describe_ingress(rules)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn create_placement(region: &mut Region, query: &Query) -> Members {
    let (name, strategy) = (query.required("GroupName")?, query.required("Strategy")?);
    let tags = query.tags_for("placement-group");
    let group = region.create_placement_group(name, strategy, tags)?;
    Ok(vec![Element::text("return", true), Element::parent("placementGroup", placement(&group))])
}

pub(super) fn delete_placement(region: &mut Region, query: &Query) -> Members {
    region.delete_placement_group(query.required("GroupName")?)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn describe_placement(region: &mut Region, query: &Query) -> Members {
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for group in region.placement_groups.values() {
        let value = |name: &str| match name {
            "group-name" => Some(vec![group.name.clone()]),
            "strategy" => Some(vec![group.strategy.clone()]),
            _ => None,
        };
        if filters.pass(&group.tags, value)? {
            items.push(placement(group));
        }
    }
    Ok(vec![Element::list("placementGroupSet", items)])
}

fn placement(group: &PlacementGroup) -> Vec<Element> {
    vec![
        Element::text("groupId", &group.id),
        Element::text("groupName", &group.name),
        Element::text("strategy", &group.strategy),
        Element::text("state", "available"),
        super::instance::tag_set(&group.tags),
    ]
}

/// A request may have several blocks and groups in one permission; each is a rule of its own.
fn rules(query: &Query) -> Vec<Rule> {
    let mut rules = Vec::new();
    for permission in query.members("IpPermissions") {
        let protocol = permission.text("IpProtocol").unwrap_or("-1").to_owned();
        let port = |name: &str| permission.text(name).and_then(|port| port.parse().ok());
        let ports = port("FromPort").zip(port("ToPort"));
        let rule = |target, member: &Query| Rule {
            protocol: protocol.clone(),
            ports,
            target,
            description: member.text("Description").map(str::to_owned),
        };
        for (list, name) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
            for member in permission.members(list) {
                let block = member.text(name).unwrap_or_default().to_owned();
                rules.push(rule(Target::Block(block), &member));
            }
        }
        // The query protocol has two names for one list.
        for list in ["Groups", "UserIdGroupPairs"] {
            for member in permission.members(list) {
                let group = member.text("GroupId").unwrap_or_default().to_owned();
                rules.push(rule(Target::Group(group), &member));
            }
        }
    }
    rules
}

/// Rules as they are shown: those of one protocol and the same ports are one permission.
fn permissions(rules: &[Rule]) -> Vec<Vec<Element>> {
    let mut alike: Vec<Vec<&Rule>> = Vec::new();
    for rule in rules {
        let same = |one: &&mut Vec<&Rule>| {
            (&one[0].protocol, one[0].ports) == (&rule.protocol, rule.ports)
        };
        match alike.iter_mut().find(same) {
            Some(permission) => permission.push(rule),
            None => alike.push(vec![rule]),
        }
    }
    alike.iter().map(|rules| permission(rules)).collect()
}

fn permission(rules: &[&Rule]) -> Vec<Element> {
    let mut members = vec![Element::text("ipProtocol", &rules[0].protocol)];
    if let Some((from, to)) = rules[0].ports {
        members.push(Element::text("fromPort", from));
        members.push(Element::text("toPort", to));
    }
    for list in ["groups", "ipRanges", "ipv6Ranges"] {
        let targets = rules.iter().filter_map(|rule| {
            let (of, name, value) = match &rule.target {
                Target::Group(group) => ("groups", "groupId", group),
                Target::Block(block) if block.contains(':') => ("ipv6Ranges", "cidrIpv6", block),
                Target::Block(block) => ("ipRanges", "cidrIp", block),
            };
            let mut target = vec![Element::text(name, value)];
            target.extend(rule.description.as_ref().map(|text| Element::text("description", text)));
            (of == list).then_some(target)
        });
        let targets: Vec<_> = targets.collect();
        if !targets.is_empty() {
            members.push(Element::list(list, targets));
        }
    }
    members
}

/// Groups as instances and interfaces name them.
pub(super) fn references(ids: &[String]) -> impl Iterator<Item = Vec<Element>> {
    ids.iter().map(|id| vec![Element::text("groupId", id)])
}
