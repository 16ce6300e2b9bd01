//! Access to a fleet's machines for people: the key pair that machines are launched with, which stands in
//! a tag of the fleet's security group, and a rule for port 22.

use crate::error::During;
use crate::{Region, fleet, ingress, instance, tags};
use aws_sdk_ec2::types::{IpPermission, SecurityGroup};
use cloud::{FleetKey, Ingress, SshAccess, Tags};

/// What the rule is described with, as a service's is with its tag.
pub(crate) const RULE: &str = "ssh";

const PORT: u16 = 22;

/// The access as it is, by the group's tags and rules.
pub(crate) fn of(group: &SecurityGroup) -> Option<SshAccess> {
    let key_name = key_name(&tags::from_ec2(group.tags()))?;
    let rules = ingress::of(group).into_iter();
    let mut rules = rules.filter(|rule| rule.service == RULE && rule.port == PORT);
    let cidrs = rules.next().map(|rule| rule.cidrs).unwrap_or_default();
    Some(SshAccess { key_name, cidrs })
}

/// Whether a rule is for the port alone.
pub(crate) fn is_for_it(rule: &IpPermission) -> bool {
    let port = Some(i32::from(PORT));
    rule.ip_protocol() == Some("tcp") && rule.from_port() == port && rule.to_port() == port
}

/// The key pair of machines that are launched now.
pub(crate) fn key_name(of_group: &Tags) -> Option<String> {
    of_group.get(tags::SSH_KEY).filter(|name| !name.is_empty()).cloned()
}

/// A key that the region does not have is told before anything is opened.
pub(crate) async fn set(
    region: &Region,
    key: &FleetKey,
    access: Option<&SshAccess>,
) -> cloud::Result<()> {
    if let Some(access) = access {
        let call = region.ec2.describe_key_pairs().key_names(&access.key_name);
        let found = call.send().await.during("DescribeKeyPairs");
        found.map_err(|error| error.object(&access.key_name))?;
    }
    let group = fleet::facts(region, key).await?.group_id;
    let name = access.map(|access| access.key_name.clone());
    let tag = Tags::from([(tags::SSH_KEY.to_owned(), name.clone().unwrap_or_default())]);
    instance::set_tags(region, &[group], &tag).await?;
    // A server that has not heard of the tag yet would launch machines without the key for good.
    if let Some(facts) = region.fleets.lock().await.get_mut(&key.name) {
        facts.key_name = name;
    }
    let cidrs = access.map(|access| access.cidrs.clone()).unwrap_or_default();
    ingress::set(region, key, &Ingress { service: RULE.to_owned(), port: PORT, cidrs }).await
}
