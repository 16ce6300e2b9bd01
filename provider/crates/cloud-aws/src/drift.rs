//! What somebody may have changed about a machine besides its state and its tags: its type, its
//! placement, its metadata service, its security groups, its Elastic IP. All of it comes with the list of
//! machines, so that nothing is asked for it.
//!
//! Deliberately not here: user data, which EC2 tells of one machine at a time and which a machine reads
//! once in its life.

use crate::error::During;
use crate::security_group::{self, FleetFacts};
use crate::{Region, egress, tags};
use aws_sdk_ec2::types::{
    HttpTokensState, Instance as Ec2Instance, InstanceMetadataEndpointState,
    InstanceMetadataOptionsResponse, InstanceMetadataTagsState, InstanceNetworkInterface,
};
use cloud::{Finding, FleetKey, InstanceId};

/// Hops that the metadata service answers over: containers share the host's network, so one is enough.
pub(crate) const METADATA_HOPS: i32 = 1;

/// What about a machine is not as it was launched.
pub(crate) fn findings(instance: &Ec2Instance, facts: &FleetFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |repairable: bool, text: String| findings.push(Finding { text, repairable });
    let kind = instance.instance_type().map(|kind| kind.as_str()).unwrap_or_default();
    let client_token = instance.client_token().unwrap_or_default();
    if !cloud::is_token_for(client_token, kind) {
        found(false, format!("its type is `{kind}`, and it was launched as another"));
    }
    let group = instance.placement().and_then(|placement| placement.group_name());
    let group = group.filter(|name| !name.is_empty());
    let is_unplaced = is_tagged_unplaced(instance) || (group.is_none() && is_at_address(instance));
    let wanted = facts.placement_group.as_deref().filter(|_| !is_unplaced);
    if group != wanted {
        let shown = |group: Option<&str>| match group {
            Some(name) => format!("in placement group `{name}`"),
            None => "in no placement group".to_owned(),
        };
        let (now, before) = (shown(group), shown(wanted));
        found(false, format!("it is {now}, and was launched {before}"));
    }
    if let Some(options) = instance.metadata_options()
        && let Some(text) = metadata_finding(options)
    {
        found(true, text.to_owned());
    }
    if let Some(text) = egress::finding(instance) {
        found(true, text.to_owned());
    }
    for interface in instance.network_interfaces() {
        if let Some(groups) = foreign_groups(interface, facts) {
            let id = interface.network_interface_id().unwrap_or_default();
            let wanted = &facts.group_id;
            let text = format!(
                "its interface {id} has the security groups {groups} and not {wanted} alone"
            );
            found(true, text);
        }
    }
    findings
}

/// Whether it says that it was launched outside of the placement.
fn is_tagged_unplaced(instance: &Ec2Instance) -> bool {
    instance.tags().iter().any(|tag| tag.key() == Some(tags::UNPLACED))
}

/// Whether it is at a reserved address, as a router is whatever has become of its tags: its interface outlives it.
fn is_at_address(instance: &Ec2Instance) -> bool {
    let is_kept = |interface: &InstanceNetworkInterface| {
        interface.attachment().is_some_and(|at| at.delete_on_termination() == Some(false))
    };
    instance.network_interfaces().iter().any(is_kept)
}

/// Puts metadata service, security groups and Elastic IP back.
pub(crate) async fn repair(region: &Region, key: &FleetKey, id: &InstanceId) -> cloud::Result<()> {
    const OPERATION: &str = "DescribeInstances";
    let facts = security_group::facts(region, key).await?;
    let answer = region.ec2.describe_instances().instance_ids(&id.0).send().await;
    let answer = answer.during(OPERATION).map_err(|error| error.object(&id.0))?;
    for instance in answer.reservations().iter().flat_map(|found| found.instances()) {
        if instance.metadata_options().and_then(metadata_finding).is_some() {
            let call = region.ec2.modify_instance_metadata_options().instance_id(&id.0);
            let modified = call
                .http_endpoint(InstanceMetadataEndpointState::Enabled)
                .http_tokens(HttpTokensState::Required)
                .http_put_response_hop_limit(METADATA_HOPS)
                .instance_metadata_tags(InstanceMetadataTagsState::Enabled)
                .send()
                .await
                .during("ModifyInstanceMetadataOptions");
            modified.map_err(|error| error.object(&id.0))?;
        }
        if egress::finding(instance).is_some() {
            egress::repair(region, key, instance).await?;
        }
        let changed = instance.network_interfaces().iter();
        for interface in changed.filter(|found| foreign_groups(found, &facts).is_some()) {
            let interface = interface.network_interface_id().unwrap_or_default();
            let call = region.ec2.modify_network_interface_attribute();
            let call = call.network_interface_id(interface).groups(&facts.group_id);
            let modified = call.send().await.during("ModifyNetworkInterfaceAttribute");
            modified.map_err(|error| error.object(interface))?;
        }
    }
    Ok(())
}

fn metadata_finding(options: &InstanceMetadataOptionsResponse) -> Option<&'static str> {
    if options.http_endpoint() == Some(&InstanceMetadataEndpointState::Disabled) {
        return Some("its metadata service is switched off");
    }
    if options.http_tokens() == Some(&HttpTokensState::Optional) {
        return Some("its metadata service answers without a token");
    }
    if options.instance_metadata_tags() == Some(&InstanceMetadataTagsState::Disabled) {
        return Some("its metadata service does not tell its tags");
    }
    let hops = options.http_put_response_hop_limit();
    hops.is_some_and(|hops| hops != METADATA_HOPS)
        .then_some("its metadata service answers over another number of hops than one")
}

/// The security groups of an interface, unless they are the fleet's alone.
fn foreign_groups(interface: &InstanceNetworkInterface, facts: &FleetFacts) -> Option<String> {
    let groups: Vec<&str> =
        interface.groups().iter().filter_map(|group| group.group_id()).collect();
    (groups != [facts.group_id.as_str()]).then(|| match groups.join(", ") {
        none if none.is_empty() => "(none)".to_owned(),
        some => some,
    })
}
