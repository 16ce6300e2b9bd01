//! What may reach a service from outside: rules of the fleet's security group whose description is the
//! service.

use crate::error::{During, is};
use crate::{Region, fleet, ssh};
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroup};
use cloud::{FleetKey, Ingress};
use std::collections::{BTreeMap, BTreeSet};

/// One address block of one rule: service, port, block.
type Block = (String, u16, String);

/// The rules of a group, by service. Somebody may have opened another port in a service's name: that
/// shows as a rule of its own.
pub(crate) fn of(group: &SecurityGroup) -> Vec<Ingress> {
    let mut rules: BTreeMap<(String, u16), Vec<String>> = BTreeMap::new();
    for (service, port, block) in blocks(group) {
        rules.entry((service, port)).or_default().push(block);
    }
    let rules = rules.into_iter();
    rules.map(|((service, port), cidrs)| Ingress { service, port, cidrs }).collect()
}

/// The rules of services alone.
pub(crate) fn of_services(group: &SecurityGroup) -> Vec<Ingress> {
    of(group).into_iter().filter(|rule| rule.service != ssh::RULE).collect()
}

pub(crate) async fn set(region: &Region, key: &FleetKey, rule: &Ingress) -> cloud::Result<()> {
    let group = match fleet::require(region, key).await {
        Err(error) if rule.cidrs.is_empty() && is(&error, "InvalidGroup.NotFound") => return Ok(()),
        group => group?,
    };
    let id = group.group_id().unwrap_or_default();
    let service = rule.service.as_str();
    let now: BTreeSet<Block> =
        blocks(&group).into_iter().filter(|(found, ..)| found == service).collect();
    let cidrs = rule.cidrs.iter();
    let wanted: BTreeSet<Block> =
        cidrs.map(|cidr| (service.to_owned(), rule.port, cidr.clone())).collect();
    let missing: Vec<_> = wanted.difference(&now).map(permission).collect();
    let extra: Vec<_> = now.difference(&wanted).map(permission).collect();
    if !missing.is_empty() {
        let call = region.ec2.authorize_security_group_ingress().group_id(id);
        let opened = call.set_ip_permissions(Some(missing)).send().await;
        match opened.during("AuthorizeSecurityGroupIngress") {
            Err(error) if !is(&error, "InvalidPermission.Duplicate") => {
                return Err(error.object(id));
            }
            _ => {}
        }
    }
    if !extra.is_empty() {
        let call = region.ec2.revoke_security_group_ingress().group_id(id);
        let closed = call.set_ip_permissions(Some(extra)).send().await;
        match closed.during("RevokeSecurityGroupIngress") {
            Err(error) if !is(&error, "InvalidPermission.NotFound") => {
                return Err(error.object(id));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the group lets in that neither the fleet nor a service of it has opened, in words and as rules.
pub(crate) fn foreign(group: &SecurityGroup) -> Vec<(String, IpPermission)> {
    let own = group.group_id();
    let asked_for = ssh::of(group).is_some();
    let has_ssh = |rule: &IpPermission| asked_for && ssh::is_for_it(rule);
    let mut foreign = Vec::new();
    for rule in group.ip_permissions() {
        let port = match (rule.from_port(), rule.to_port()) {
            (Some(from), Some(to)) if from == to => format!(" port {from}"),
            (Some(from), Some(to)) => format!(" ports {from}-{to}"),
            _ => String::new(),
        };
        let protocol = match rule.ip_protocol().unwrap_or_default() {
            "-1" => "everything",
            protocol => protocol,
        };
        let bare = || {
            let bare = IpPermission::builder().set_ip_protocol(rule.ip_protocol.clone());
            bare.set_from_port(rule.from_port).set_to_port(rule.to_port)
        };
        let mut found = |from: &str, rule: IpPermission| {
            foreign.push((format!("{protocol}{port} from {from}"), rule));
        };
        // A service's rules are described by its tag, `name@uid`.
        let is_ours = |text: Option<&str>| {
            text.is_some_and(|text| text.contains('@') || (text == ssh::RULE && has_ssh(rule)))
        };
        for range in rule.ip_ranges().iter().filter(|range| !is_ours(range.description())) {
            found(range.cidr_ip().unwrap_or_default(), bare().ip_ranges(range.clone()).build());
        }
        for range in rule.ipv6_ranges().iter().filter(|range| !is_ours(range.description())) {
            found(range.cidr_ipv6().unwrap_or_default(), bare().ipv6_ranges(range.clone()).build());
        }
        for pair in rule.user_id_group_pairs().iter().filter(|pair| pair.group_id() != own) {
            let group = pair.group_id().unwrap_or_default();
            found(group, bare().user_id_group_pairs(pair.clone()).build());
        }
        for list in rule.prefix_list_ids() {
            found(
                list.prefix_list_id().unwrap_or_default(),
                bare().prefix_list_ids(list.clone()).build(),
            );
        }
    }
    foreign
}

/// Closes what nobody of ours has opened.
pub(crate) async fn close_foreign(region: &Region, group: &SecurityGroup) -> cloud::Result<()> {
    let rules: Vec<IpPermission> = foreign(group).into_iter().map(|(_, rule)| rule).collect();
    if rules.is_empty() {
        return Ok(());
    }
    let id = group.group_id().unwrap_or_default();
    let call = region.ec2.revoke_security_group_ingress().group_id(id);
    let closed = call.set_ip_permissions(Some(rules)).send().await;
    match closed.during("RevokeSecurityGroupIngress") {
        Err(error) if !is(&error, "InvalidPermission.NotFound") => Err(error.object(id)),
        _ => Ok(()),
    }
}

/// Every block that the group lets in for one TCP port with a description.
fn blocks(group: &SecurityGroup) -> Vec<Block> {
    let mut blocks = Vec::new();
    for rule in group.ip_permissions() {
        let port = rule.from_port().filter(|port| rule.to_port() == Some(*port));
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        if rule.ip_protocol() != Some("tcp") {
            continue;
        }
        let four = rule.ip_ranges().iter().map(|range| (range.description(), range.cidr_ip()));
        let six = rule.ipv6_ranges().iter().map(|range| (range.description(), range.cidr_ipv6()));
        for (description, block) in four.chain(six) {
            if let (Some(service), Some(block)) = (description, block) {
                blocks.push((service.to_owned(), port, block.to_owned()));
            }
        }
    }
    blocks
}

fn permission((service, port, block): &Block) -> IpPermission {
    let port = i32::from(*port);
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port);
    if block.contains(':') {
        rule.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(block).description(service).build()).build()
    } else {
        rule.ip_ranges(IpRange::builder().cidr_ip(block).description(service).build()).build()
    }
}
