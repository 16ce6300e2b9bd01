//! Elastic addresses.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::ec2::address::ElasticAddress;
use crate::ec2::region::Region;

pub(super) fn allocate(region: &mut Region, query: &Query) -> Members {
    let address = region.allocate(query.tags_for("elastic-ip"))?;
    Ok(vec![
        Element::text("publicIp", address.ip),
        Element::text("allocationId", address.allocation),
        Element::text("domain", "vpc"),
    ])
}

pub(super) fn associate(region: &mut Region, query: &Query) -> Members {
    let (allocation, interface) =
        (query.required("AllocationId")?, query.required("NetworkInterfaceId")?);
    let may_move = query.text("AllowReassociation") != Some("false");
    let association = region.associate(allocation, interface, may_move)?;
    Ok(vec![Element::text("return", true), Element::text("associationId", association)])
}

pub(super) fn disassociate(region: &mut Region, query: &Query) -> Members {
    region.disassociate(query.required("AssociationId")?)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn release(region: &mut Region, query: &Query) -> Members {
    region.release(query.required("AllocationId")?)?;
    Ok(vec![Element::text("return", true)])
}

pub(super) fn describe(region: &mut Region, query: &Query) -> Members {
    region.tidy();
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for address in region.addresses.values().filter(|one| region.knows(&one.allocation)) {
        let address = region.seen(address);
        let interface = address.association.as_ref().map(|(_, interface)| interface.clone());
        let value = |name: &str| match name {
            "network-interface-id" => Some(interface.clone().into_iter().collect()),
            "allocation-id" => Some(vec![address.allocation.clone()]),
            _ => None,
        };
        if filters.pass(&address.tags, value)? {
            items.push(described(&address));
        }
    }
    Ok(vec![Element::list("addressesSet", items)])
}

fn described(address: &ElasticAddress) -> Vec<Element> {
    let mut members = vec![
        Element::text("publicIp", address.ip),
        Element::text("allocationId", &address.allocation),
        Element::text("domain", "vpc"),
        super::instance::tag_set(&address.tags),
    ];
    if let Some((association, interface)) = &address.association {
        members.push(Element::text("associationId", association));
        members.push(Element::text("networkInterfaceId", interface));
    }
    members
}
