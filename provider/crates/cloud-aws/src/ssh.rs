//! Access to a fleet's machines for people: the key pair that machines are launched with, which stands in
//! a tag of the fleet's security group, and a rule for port 22.

use crate::error::During;
use crate::ingress::{SSH_PORT, SSH_RULE};
use crate::tags::{self, Ec2Tags};
use crate::{Region, ingress, security_group};
use aws_sdk_ec2::types::SecurityGroup;
use cloud::{CloudError, ErrorKind, FleetKey, Opening, RequestPart, SshAccess, SshKey};

/// The access as it is, by the group's tags and rules.
pub(crate) fn of(group: &SecurityGroup) -> Option<SshAccess> {
    let key_name = tags::key_name(group.tags())?;
    let rules = ingress::of(group).into_iter();
    let mut rules = rules.filter(|rule| rule.service == SSH_RULE && rule.opening.port == SSH_PORT);
    let cidrs = rules.next().map(|rule| rule.opening.cidrs).unwrap_or_default();
    Some(SshAccess { key: SshKey::Registered(key_name), cidrs })
}

/// A key that the region does not have is told before anything is opened.
pub(crate) async fn set(
    region: &Region,
    key: &FleetKey,
    access: Option<&SshAccess>,
) -> cloud::Result<()> {
    let name = match access.map(|access| &access.key) {
        None => None,
        Some(SshKey::Registered(name)) => Some(name.clone()),
        Some(SshKey::Public(_)) => {
            let message = "machines have key pairs of the region, by their names";
            return Err(CloudError::new(ErrorKind::Unsupported, "DescribeKeyPairs", message)
                .part(RequestPart::SshKey));
        }
    };
    if let Some(name) = &name {
        let found = region.ec2.describe_key_pairs().key_names(name).send().await;
        found.during("DescribeKeyPairs").map_err(|error| error.object(name))?;
    }
    let group = security_group::facts(region, key).await?.group_id;
    let tag = Ec2Tags::from([(tags::SSH_KEY.to_owned(), name.clone().unwrap_or_default())]);
    tags::set(region, &[group], &tag).await?;
    // A server that has not heard of the tag yet would launch machines without the key for good.
    if let Some(facts) = region.fleets.lock().await.get_mut(&key.name) {
        facts.key_name = name;
    }
    let cidrs = access.map(|access| access.cidrs.clone()).unwrap_or_default();
    ingress::set(region, key, SSH_RULE, Opening::to(SSH_PORT, cidrs).as_ref()).await
}
