//! Network interfaces.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::ec2::interface::Interface;
use crate::ec2::refusal::not_found;
use crate::ec2::region::Region;
use crate::ec2::subnet::VPC;

pub(super) fn create(region: &mut Region, query: &Query) -> Members {
    let interface = region.create_interface(Interface {
        id: String::new(),
        subnet: query.required("SubnetId")?.to_owned(),
        ip: None,
        groups: query.texts("SecurityGroupId"),
        description: query.text("Description").unwrap_or_default().to_owned(),
        kind: query.text("InterfaceType").unwrap_or("interface").to_owned(),
        attachment: None,
        token: query.text("ClientToken").map(str::to_owned),
        tags: query.tags_for("network-interface"),
    })?;
    Ok(vec![Element::parent("networkInterface", described(region, &interface))])
}

pub(super) fn delete(region: &mut Region, query: &Query) -> Members {
    region.tidy();
    region.delete_interface(query.required("NetworkInterfaceId")?)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn modify(region: &mut Region, query: &Query) -> Members {
    let groups = query.texts("SecurityGroupId");
    region.set_interface_groups(query.required("NetworkInterfaceId")?, groups)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn describe(region: &mut Region, query: &Query) -> Members {
    region.tidy();
    let (filters, ids) = (Filters::of(query), query.texts("NetworkInterfaceId"));
    if let Some(unknown) = ids.iter().find(|id| !region.interfaces.contains_key(*id)) {
        return Err(not_found(unknown));
    }
    let is_meant = |interface: &&Interface| ids.is_empty() || ids.contains(&interface.id);
    let mut items = Vec::new();
    for interface in region.interfaces.values().filter(is_meant).filter(|one| region.knows(&one.id))
    {
        let value = |name: &str| match name {
            "group-id" => Some(interface.groups.clone()),
            "network-interface-id" => Some(vec![interface.id.clone()]),
            "subnet-id" => Some(vec![interface.subnet.clone()]),
            _ => None,
        };
        if filters.pass(&interface.tags, value)? {
            items.push(described(region, interface));
        }
    }
    Ok(vec![Element::list("networkInterfaceSet", items)])
}

fn described(region: &Region, interface: &Interface) -> Vec<Element> {
    let status = if interface.attachment.is_some() { "in-use" } else { "available" };
    let groups = interface.groups.iter().map(|group| vec![Element::text("groupId", group)]);
    let mut members = vec![
        Element::text("networkInterfaceId", &interface.id),
        Element::text("subnetId", &interface.subnet),
        Element::text("vpcId", VPC),
        Element::text("description", &interface.description),
        Element::text("status", status),
        Element::text("interfaceType", &interface.kind),
        Element::list("groupSet", groups),
        super::instance::tags_as("tagSet", &interface.tags),
    ];
    if let Some(ip) = interface.ip {
        members.push(Element::text("privateIpAddress", ip));
    }
    if let Some(attachment) = &interface.attachment {
        members.push(Element::parent(
            "attachment",
            vec![
                Element::text("instanceId", &attachment.machine),
                Element::text("deviceIndex", attachment.device),
                Element::text("networkCardIndex", attachment.card),
                Element::text("deleteOnTermination", attachment.delete_on_termination),
                Element::text("status", "attached"),
            ],
        ));
    }
    if let Some(address) = region.public_ip(&interface.id) {
        let association = vec![
            Element::text("publicIp", address.ip),
            Element::text("allocationId", &address.allocation),
        ];
        members.push(Element::parent("association", association));
    }
    members
}
