//! What the cloud offers: zones, types, images, and the account's default network.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::datacentre::{Tags, WayOut};
use crate::ec2::account::InstanceType;
use crate::ec2::refusal::Refusal;
use crate::ec2::region::Region;

pub(super) fn zones(region: &mut Region, query: &Query) -> Members {
    let filters = Filters::of(query);
    let name = region.settings.region.clone();
    let mut items = Vec::new();
    for zone in region.settings.zones.keys() {
        let value = |name: &str| match name {
            "zone-name" => Some(vec![zone.clone()]),
            "zone-type" => Some(vec!["availability-zone".to_owned()]),
            "state" => Some(vec!["available".to_owned()]),
            _ => None,
        };
        if filters.pass(&Tags::new(), value)? {
            items.push(vec![
                Element::text("zoneName", zone),
                Element::text("zoneState", "available"),
                Element::text("regionName", &name),
                Element::text("zoneType", "availability-zone"),
            ]);
        }
    }
    Ok(vec![Element::list("availabilityZoneInfo", items)])
}

pub(super) fn offerings(region: &mut Region, query: &Query) -> Members {
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for (name, zone) in &region.settings.zones {
        for kind in region.account.types.keys() {
            let value = |filter: &str| match filter {
                "instance-type" => Some(vec![kind.clone()]),
                "location" => Some(vec![name.clone()]),
                _ => None,
            };
            if !zone.without.contains(kind) && filters.pass(&Tags::new(), value)? {
                items.push(vec![
                    Element::text("instanceType", kind),
                    Element::text("locationType", "availability-zone"),
                    Element::text("location", name),
                ]);
            }
        }
    }
    Ok(vec![Element::list("instanceTypeOfferingSet", items)])
}

pub(super) fn types(region: &mut Region, query: &Query) -> Members {
    let wanted = query.texts("InstanceType");
    if let Some(unknown) = wanted.iter().find(|name| !region.account.types.contains_key(*name)) {
        return Err(Refusal::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{unknown}]"),
        ));
    }
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for (name, kind) in &region.account.types {
        let value = |filter: &str| match filter {
            "instance-type" => Some(vec![name.clone()]),
            _ => None,
        };
        if (wanted.is_empty() || wanted.contains(name)) && filters.pass(&Tags::new(), value)? {
            items.push(described(name, kind));
        }
    }
    Ok(vec![Element::list("instanceTypeSet", items)])
}

fn described(name: &str, kind: &InstanceType) -> Vec<Element> {
    let cards = (0..kind.cards).map(|card| {
        vec![
            Element::text("networkCardIndex", card),
            Element::text("maximumNetworkInterfaces", kind.interfaces),
        ]
    });
    let mut network = vec![
        Element::text("maximumNetworkInterfaces", kind.cards * kind.interfaces),
        Element::list("networkCards", cards),
        Element::text("maximumNetworkCards", kind.cards),
        Element::text("defaultNetworkCardIndex", 0),
        Element::text("efaSupported", kind.efa > 0),
    ];
    if kind.efa > 0 {
        let efa = vec![Element::text("maximumEfaInterfaces", kind.efa)];
        network.push(Element::parent("efaInfo", efa));
    }
    let strategies: &[&str] =
        if kind.clusters { &["cluster", "partition", "spread"] } else { &["partition", "spread"] };
    let mut members = vec![
        Element::text("instanceType", name),
        Element::parent(
            "processorInfo",
            vec![Element::texts("supportedArchitectures", ["x86_64"])],
        ),
        Element::parent("vCpuInfo", vec![Element::text("defaultVCpus", kind.cpu)]),
        Element::parent("memoryInfo", vec![Element::text("sizeInMiB", kind.memory_gb * 1024)]),
        Element::parent("networkInfo", network),
        Element::parent(
            "placementGroupInfo",
            vec![Element::texts("supportedStrategies", strategies)],
        ),
    ];
    if let Some((count, model)) = &kind.gpus {
        let gpu = vec![
            Element::text("name", model),
            Element::text("manufacturer", "NVIDIA"),
            Element::text("count", count),
        ];
        members.push(Element::parent("gpuInfo", vec![Element::list("gpus", [gpu])]));
    }
    members
}

/// The images that a provider looks for, of each kind an older and a newer one, and those of the settings.
pub(super) fn images(region: &mut Region, query: &Query) -> Members {
    let (filters, owners, ids) = (Filters::of(query), query.texts("Owner"), query.texts("ImageId"));
    if let Some(unknown) = ids.iter().find(|id| !region.has_image(id)) {
        return Err(Refusal::new(
            "InvalidAMIID.NotFound",
            format!("The image id '[{unknown}]' does not exist"),
        ));
    }
    let mut items = Vec::new();
    for Image { id, owner, name, architecture, date } in all_images(region) {
        let value = |filter: &str| match filter {
            "name" => Some(vec![name.clone()]),
            "state" => Some(vec!["available".to_owned()]),
            "architecture" => Some(vec![architecture.clone()]),
            _ => None,
        };
        let is_meant =
            (owners.is_empty() || owners.contains(&owner)) && (ids.is_empty() || ids.contains(&id));
        if is_meant && filters.pass(&Tags::new(), value)? {
            items.push(vec![
                Element::text("imageId", &id),
                Element::text("imageOwnerId", &owner),
                Element::text("name", &name),
                Element::text("imageState", "available"),
                Element::text("architecture", &architecture),
                Element::text("rootDeviceName", "/dev/sda1"),
                Element::text("creationDate", format!("{date}T00:00:00.000Z")),
            ]);
        }
    }
    Ok(vec![Element::list("imagesSet", items)])
}

struct Image {
    id: String,
    owner: String,
    name: String,
    architecture: String,
    date: String,
}

fn all_images(region: &Region) -> Vec<Image> {
    let builds = &region.account.builds;
    let of_vendor = |(owner, name, architecture): &(&str, &str, &str)| {
        let of_build = |(build, date): (&String, &String)| Image {
            id: format!("ami-{owner}{build}"),
            owner: (*owner).to_owned(),
            name: format!("{name}{build}"),
            architecture: (*architecture).to_owned(),
            date: date.clone(),
        };
        builds.iter().map(of_build).collect::<Vec<_>>()
    };
    let own = region.account.images.iter().map(|id| Image {
        id: id.clone(),
        owner: "123456789012".to_owned(),
        name: format!("baked {id}"),
        architecture: "x86_64".to_owned(),
        date: "2026-10-01".to_owned(),
    });
    IMAGES.iter().flat_map(of_vendor).chain(own).collect()
}

impl Region {
    /// Whether there is an image of this id.
    pub(in crate::ec2) fn has_image(&self, id: &str) -> bool {
        all_images(self).iter().any(|image| image.id == id)
    }
}

/// Owner, beginning of the name, architecture.
const IMAGES: &[(&str, &str, &str)] = &[
    ("898082745236", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) ", "x86_64"),
    ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-", "x86_64"),
];

pub(super) fn subnets(region: &mut Region, query: &Query) -> Members {
    let (filters, ids) = (Filters::of(query), query.texts("SubnetId"));
    for id in &ids {
        region.subnet(id)?;
    }
    let mut items = Vec::new();
    for (id, subnet) in region.subnets() {
        let is_default = !region.account.subnets.contains_key(&id);
        let value = |name: &str| match name {
            "availability-zone" => Some(vec![subnet.zone.clone()]),
            "default-for-az" => Some(vec![is_default.to_string()]),
            "subnet-id" => Some(vec![id.clone()]),
            "vpc-id" => Some(vec![subnet.vpc.clone()]),
            _ => None,
        };
        if (ids.is_empty() || ids.contains(&id)) && filters.pass(&Tags::new(), value)? {
            items.push(vec![
                Element::text("subnetId", &id),
                Element::text("vpcId", &subnet.vpc),
                Element::text("availabilityZone", &subnet.zone),
                Element::text("cidrBlock", region.private_range()),
                Element::text("defaultForAz", is_default),
                Element::text("state", "available"),
            ]);
        }
    }
    Ok(vec![Element::list("subnetSet", items)])
}

/// Each network's main table, which its default subnets use, and one for each subnet of the settings.
pub(super) fn route_tables(region: &mut Region, query: &Query) -> Members {
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for (id, subnet) in region.subnets() {
        let is_main = !region.account.subnets.contains_key(&id);
        let value = |name: &str| match name {
            "vpc-id" => Some(vec![subnet.vpc.clone()]),
            "association.main" => Some(vec![is_main.to_string()]),
            "association.subnet-id" => Some(if is_main { Vec::new() } else { vec![id.clone()] }),
            _ => None,
        };
        // All default subnets have the same.
        let is_known = is_main && !items.is_empty();
        if !is_known && filters.pass(&Tags::new(), value)? {
            let table = if is_main { "rtb-default".to_owned() } else { format!("rtb-{id}") };
            items.push(vec![
                Element::text("routeTableId", table),
                Element::text("vpcId", &subnet.vpc),
                Element::list("routeSet", routes(&region.private_range(), subnet.way_out)),
                Element::list("associationSet", [association(&id, is_main)]),
            ]);
        }
    }
    Ok(vec![Element::list("routeTableSet", items)])
}

/// The main table is that of every subnet without one of its own.
fn association(subnet: &str, is_main: bool) -> Vec<Element> {
    let mut members = vec![
        Element::text("routeTableAssociationId", format!("rtbassoc-{subnet}")),
        Element::text("main", is_main),
    ];
    if !is_main {
        members.push(Element::text("subnetId", subnet));
    }
    members
}

fn routes(own: &str, way_out: WayOut) -> Vec<Vec<Element>> {
    let active = |mut route: Vec<Element>| {
        route.push(Element::text("state", "active"));
        route
    };
    let to = |block: &str, through: &str, id: &str| {
        active(vec![Element::text("destinationCidrBlock", block), Element::text(through, id)])
    };
    let mut routes = vec![to(own, "gatewayId", "local")];
    match way_out {
        WayOut::None => {}
        WayOut::Endpoints => routes.push(active(vec![
            Element::text("destinationPrefixListId", "pl-7ba54012"),
            Element::text("gatewayId", "vpce-0123456789abcdef0"),
        ])),
        WayOut::Gateway => routes.push(to("0.0.0.0/0", "gatewayId", "igw-default")),
        WayOut::Nat => routes.push(to("0.0.0.0/0", "natGatewayId", "nat-0123456789abcdef0")),
    }
    routes
}

/// EC2 refuses a name that nothing has.
pub(super) fn key_pairs(region: &mut Region, query: &Query) -> Members {
    let wanted = query.texts("KeyName");
    let known = &region.account.key_pairs;
    if let Some(unknown) = wanted.iter().find(|name| !known.contains(name)) {
        let message = format!("The key pair '{unknown}' does not exist");
        return Err(Refusal::new("InvalidKeyPair.NotFound", message));
    }
    let found = known.iter().filter(|name| wanted.is_empty() || wanted.contains(name));
    let items = found.map(|name| {
        vec![Element::text("keyPairId", format!("key-{name}")), Element::text("keyName", name)]
    });
    Ok(vec![Element::list("keySet", items)])
}
