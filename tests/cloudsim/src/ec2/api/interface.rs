//! Network interfaces.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::datacentre::{Datacentre, Interface, VPC, not_found};

pub(super) fn create(datacentre: &mut Datacentre, query: &Query) -> Members {
    let interface = datacentre.create_interface(Interface {
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
    Ok(vec![Element::parent("networkInterface", described(datacentre, &interface))])
}

pub(super) fn delete(datacentre: &mut Datacentre, query: &Query) -> Members {
    datacentre.tidy();
    datacentre.delete_interface(query.required("NetworkInterfaceId")?)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn modify(datacentre: &mut Datacentre, query: &Query) -> Members {
    let groups = query.texts("SecurityGroupId");
    datacentre.set_interface_groups(query.required("NetworkInterfaceId")?, groups)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn describe(datacentre: &mut Datacentre, query: &Query) -> Members {
    datacentre.tidy();
    let (filters, ids) = (Filters::of(query), query.texts("NetworkInterfaceId"));
    if let Some(unknown) = ids.iter().find(|id| !datacentre.interfaces.contains_key(*id)) {
        return Err(not_found(unknown));
    }
    let is_meant = |interface: &&Interface| ids.is_empty() || ids.contains(&interface.id);
    let mut items = Vec::new();
    for interface in
        datacentre.interfaces.values().filter(is_meant).filter(|one| datacentre.knows(&one.id))
    {
        let value = |name: &str| match name {
            "group-id" => Some(interface.groups.clone()),
            "network-interface-id" => Some(vec![interface.id.clone()]),
            "subnet-id" => Some(vec![interface.subnet.clone()]),
            _ => None,
        };
        if filters.pass(&interface.tags, value)? {
            items.push(described(datacentre, interface));
        }
    }
    Ok(vec![Element::list("networkInterfaceSet", items)])
}

fn described(datacentre: &Datacentre, interface: &Interface) -> Vec<Element> {
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
    if let Some(address) = datacentre.public_ip(&interface.id) {
        let association = vec![
            Element::text("publicIp", address.ip),
            Element::text("allocationId", &address.allocation),
        ];
        members.push(Element::parent("association", association));
    }
    members
}
