//! What may reach a service from outside: rules of the fleet's security group whose description names the
//! service.
//!
//! EC2 tells rules apart by port and address block alone. Two services of one fleet that let the same
//! clients in at the same port share a rule, whose description names both.

use crate::error::{During, is};
use crate::{Region, security_group};
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, SecurityGroup};
use cloud::{CloudError, ErrorKind, FleetKey, Ingress, Opening};
use std::collections::{BTreeMap, BTreeSet};

/// Where a rule lets whom in: port and address block.
type Entry = (u16, String);

/// Who has asked for a rule: services by their label, `name_uid`, and [`SSH_RULE`].
type Owners = BTreeSet<String>;

/// What the rule for people is described with, as a service's is with its tag.
pub(crate) const SSH_RULE: &str = "ssh";
/// Its port.
pub(crate) const SSH_PORT: u16 = 22;

/// The rules of a group, by service. Somebody may have opened another port in a service's name: that
/// shows as a rule of its own.
pub(crate) fn of(group: &SecurityGroup) -> Vec<Ingress> {
    let mut rules: BTreeMap<(String, u16), Vec<String>> = BTreeMap::new();
    for ((port, block), owners) in entries(group) {
        for owner in owners {
            rules.entry((owner, port)).or_default().push(block.clone());
        }
    }
    let rules = rules.into_iter();
    rules
        .map(|((service, port), cidrs)| Ingress { service, opening: Opening { port, cidrs } })
        .collect()
}

/// The rules of services alone.
pub(crate) fn of_services(group: &SecurityGroup) -> Vec<Ingress> {
    of(group).into_iter().filter(|rule| rule.service != SSH_RULE).collect()
}

/// Makes the rules of one owner exactly this opening, or takes them away.
pub(crate) async fn set(
    region: &Region,
    key: &FleetKey,
    owner: &str,
    opening: Option<&Opening>,
) -> cloud::Result<()> {
    // What one reads, changes and writes, another one of this process does not change in between.
    let _rules = region.rules.lock().await;
    let group = match security_group::require(region, key).await {
        Err(error) if opening.is_none() && is(&error, "InvalidGroup.NotFound") => return Ok(()),
        group => group?,
    };
    let id = group.group_id().unwrap_or_default();
    let mut changes = Changes::default();
    let now = entries(&group);
    let wanted: BTreeSet<Entry> = opening
        .into_iter()
        .flat_map(|Opening { port, cidrs }| cidrs.iter().map(move |cidr| (*port, cidr.clone())))
        .collect();
    for entry in &wanted {
        match now.get(entry) {
            Some(owners) if owners.contains(owner) => {}
            Some(owners) => {
                let mut owners = owners.clone();
                owners.insert(owner.to_owned());
                changes.described.push(permission(entry, &owners)?);
            }
            None => {
                changes.opened.push(permission(entry, &[owner.to_owned()].into())?);
            }
        }
    }
    for (entry, owners) in &now {
        if !owners.contains(owner) || wanted.contains(entry) {
            continue;
        }
        let mut others = owners.clone();
        others.remove(owner);
        match others.is_empty() {
            true => changes.closed.push(permission(entry, owners)?),
            false => changes.described.push(permission(entry, &others)?),
        }
    }
    changes.make(region, id).await
}

/// What is to become of a group's rules.
#[derive(Debug, Default)]
struct Changes {
    opened: Vec<IpPermission>,
    described: Vec<IpPermission>,
    closed: Vec<IpPermission>,
}

impl Changes {
    async fn make(self, region: &Region, id: &str) -> cloud::Result<()> {
        if !self.opened.is_empty() {
            let call = region.ec2.authorize_security_group_ingress().group_id(id);
            let opened = call.set_ip_permissions(Some(self.opened)).send().await;
            match opened.during("AuthorizeSecurityGroupIngress") {
                // Nothing of the call was done. Another run has opened one of them since the look: to look
                // again tells which, and whose it is.
                Err(error) if is(&error, "InvalidPermission.Duplicate") => {
                    let kind = ErrorKind::Unavailable;
                    return Err(CloudError { kind, ..error.object(id) });
                }
                opened => opened.map(drop).map_err(|error| error.object(id))?,
            }
        }
        if !self.described.is_empty() {
            let call = region.ec2.update_security_group_rule_descriptions_ingress().group_id(id);
            let described = call.set_ip_permissions(Some(self.described)).send().await;
            let described = described.during("UpdateSecurityGroupRuleDescriptionsIngress");
            described.map_err(|error| error.object(id))?;
        }
        match self.closed.is_empty() {
            true => Ok(()),
            false => close(region, id, self.closed).await,
        }
    }
}

/// What the group lets in that neither the fleet nor a service of it has opened, in words and as rules. A rule
/// for people is the fleet's own where people are to come in.
pub(crate) fn foreign(group: &SecurityGroup, ssh_wanted: bool) -> Vec<(String, IpPermission)> {
    let own = group.group_id();
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
        let may_be_ssh = ssh_wanted && is_for_ssh(rule);
        let is_ours = |text: Option<&str>| {
            let owners = owners(text.unwrap_or_default());
            owners.iter().any(|owner| owner != SSH_RULE || may_be_ssh)
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
pub(crate) async fn close_foreign(
    region: &Region,
    group: &SecurityGroup,
    ssh_wanted: bool,
) -> cloud::Result<()> {
    let rules: Vec<IpPermission> =
        foreign(group, ssh_wanted).into_iter().map(|(_, rule)| rule).collect();
    if rules.is_empty() {
        return Ok(());
    }
    close(region, group.group_id().unwrap_or_default(), rules).await
}

/// Whether a rule is for that port alone.
fn is_for_ssh(rule: &IpPermission) -> bool {
    let port = Some(i32::from(SSH_PORT));
    rule.ip_protocol() == Some("tcp") && rule.from_port() == port && rule.to_port() == port
}

async fn close(region: &Region, id: &str, rules: Vec<IpPermission>) -> cloud::Result<()> {
    let call = region.ec2.revoke_security_group_ingress().group_id(id);
    let closed = call.set_ip_permissions(Some(rules)).send().await;
    match closed.during("RevokeSecurityGroupIngress") {
        Err(error) if !is(&error, "InvalidPermission.NotFound") => Err(error.object(id)),
        _ => Ok(()),
    }
}

/// Every address block that the group lets in at one TCP port, with who has asked for it; nobody of ours
/// where somebody else has opened it.
fn entries(group: &SecurityGroup) -> BTreeMap<Entry, Owners> {
    let mut entries = BTreeMap::new();
    for rule in group.ip_permissions() {
        let port = rule.from_port().filter(|port| rule.to_port() == Some(*port));
        let Some(port) = port.and_then(|port| u16::try_from(port).ok()) else { continue };
        if rule.ip_protocol() != Some("tcp") {
            continue;
        }
        let four = rule.ip_ranges().iter().map(|range| (range.description(), range.cidr_ip()));
        let six = rule.ipv6_ranges().iter().map(|range| (range.description(), range.cidr_ipv6()));
        for (description, block) in four.chain(six) {
            if let Some(block) = block {
                let owners = owners(description.unwrap_or_default());
                entries.insert((port, block.to_owned()), owners);
            }
        }
    }
    entries
}

/// Those that a description names; none when it says anything else.
fn owners(description: &str) -> Owners {
    let is_of_word = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-';
    let is_word = |text: &str| !text.is_empty() && text.chars().all(is_of_word);
    let is_owner = |text: &str| match text.split_once('_') {
        Some((name, uid)) => is_word(name) && is_word(uid),
        None => text == SSH_RULE,
    };
    let named: Vec<&str> = description.split(' ').collect();
    match named.iter().all(|text| is_owner(text)) {
        true => named.into_iter().map(str::to_owned).collect(),
        false => Owners::new(),
    }
}

fn permission((port, block): &Entry, owners: &Owners) -> cloud::Result<IpPermission> {
    let description = owners.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    if description.len() > LONGEST_DESCRIPTION {
        let message = format!(
            "{} services let {block} in at port {port}, and the rule that they share has no room for more \
             names: give this one another port or another fleet",
            owners.len()
        );
        return Err(CloudError::new(
            ErrorKind::InvalidRequest,
            "UpdateSecurityGroupRuleDescriptionsIngress",
            message,
        ));
    }
    let port = i32::from(*port);
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port);
    let rule = if block.contains(':') {
        rule.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(block).description(description).build())
    } else {
        rule.ip_ranges(IpRange::builder().cidr_ip(block).description(description).build())
    };
    Ok(rule.build())
}

/// Characters that EC2 takes.
const LONGEST_DESCRIPTION: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_names_owners_or_is_somebody_elses() {
        for (text, expected) in [
            ("tiny_2bjd4jni", vec!["tiny_2bjd4jni"]),
            ("other_a1 tiny_2bjd4jni", vec!["other_a1", "tiny_2bjd4jni"]),
            ("ssh", vec!["ssh"]),
            ("", vec![]),
            ("ticket 7, bob@corp.com", vec![]),
            ("tiny_2bjd4jni and more", vec![]),
        ] {
            let expected: Owners = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(owners(text), expected, "{text}");
        }
    }
}
