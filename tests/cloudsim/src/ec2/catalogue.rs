//! What the cloud offers: zones, types, images, and the account's default network.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::datacentre::{Datacentre, InstanceType, Refusal, Tags, subnet_of};

pub(super) const VPC: &str = "vpc-default";

pub(super) fn zones(datacentre: &mut Datacentre, query: &Query) -> Members {
    let filters = Filters::of(query);
    let region = datacentre.settings.region.clone();
    let mut items = Vec::new();
    for zone in datacentre.settings.zones.keys() {
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
                Element::text("regionName", &region),
                Element::text("zoneType", "availability-zone"),
            ]);
        }
    }
    Ok(vec![Element::list("availabilityZoneInfo", items)])
}

pub(super) fn offerings(datacentre: &mut Datacentre, query: &Query) -> Members {
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for (name, zone) in &datacentre.settings.zones {
        for kind in datacentre.settings.types.keys() {
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

pub(super) fn types(datacentre: &mut Datacentre, query: &Query) -> Members {
    let wanted = query.texts("InstanceType");
    if let Some(unknown) = wanted.iter().find(|name| !datacentre.settings.types.contains_key(*name))
    {
        return Err(Refusal::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{unknown}]"),
        ));
    }
    let types = datacentre.settings.types.iter();
    let meant = types.filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    Ok(vec![Element::list("instanceTypeSet", meant.map(|(name, kind)| described(name, kind)))])
}

fn described(name: &str, kind: &InstanceType) -> Vec<Element> {
    let mut network = vec![
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

/// The images that a provider looks for: of each kind an older and a newer one.
pub(super) fn images(_: &mut Datacentre, query: &Query) -> Members {
    let (filters, owners) = (Filters::of(query), query.texts("Owner"));
    let mut items = Vec::new();
    for (owner, name, architecture) in IMAGES {
        for (build, date) in [("20260901", "2026-09-01"), ("20261101", "2026-11-01")] {
            let name = format!("{name}{build}");
            let value = |filter: &str| match filter {
                "name" => Some(vec![name.clone()]),
                "state" => Some(vec!["available".to_owned()]),
                "architecture" => Some(vec![(*architecture).to_owned()]),
                _ => None,
            };
            let owned = owners.is_empty() || owners.iter().any(|wanted| wanted == owner);
            if owned && filters.pass(&Tags::new(), value)? {
                items.push(vec![
                    Element::text("imageId", format!("ami-{owner}{build}")),
                    Element::text("imageOwnerId", owner),
                    Element::text("name", &name),
                    Element::text("imageState", "available"),
                    Element::text("architecture", architecture),
                    Element::text("rootDeviceName", "/dev/sda1"),
                    Element::text("creationDate", format!("{date}T00:00:00.000Z")),
                ]);
            }
        }
    }
    Ok(vec![Element::list("imagesSet", items)])
}

/// Owner, beginning of the name, architecture.
const IMAGES: &[(&str, &str, &str)] = &[
    ("898082745236", "Deep Learning Base OSS Nvidia Driver GPU AMI (Ubuntu 24.04) ", "x86_64"),
    ("099720109477", "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-", "x86_64"),
];

pub(super) fn subnets(datacentre: &mut Datacentre, query: &Query) -> Members {
    let filters = Filters::of(query);
    let mut items = Vec::new();
    for zone in datacentre.settings.zones.keys() {
        let id = subnet_of(zone);
        let value = |name: &str| match name {
            "availability-zone" => Some(vec![zone.clone()]),
            "default-for-az" => Some(vec!["true".to_owned()]),
            "subnet-id" => Some(vec![id.clone()]),
            "vpc-id" => Some(vec![VPC.to_owned()]),
            _ => None,
        };
        if filters.pass(&Tags::new(), value)? {
            items.push(vec![
                Element::text("subnetId", &id),
                Element::text("vpcId", VPC),
                Element::text("availabilityZone", zone),
                Element::text("cidrBlock", "172.31.0.0/16"),
                Element::text("defaultForAz", true),
                Element::text("state", "available"),
            ]);
        }
    }
    Ok(vec![Element::list("subnetSet", items)])
}

/// One main table, for all subnets.
pub(super) fn route_tables(datacentre: &mut Datacentre, query: &Query) -> Members {
    let value = |name: &str| match name {
        "vpc-id" => Some(vec![VPC.to_owned()]),
        "association.main" => Some(vec!["true".to_owned()]),
        "association.subnet-id" => Some(Vec::new()),
        _ => None,
    };
    if !Filters::of(query).pass(&Tags::new(), value)? {
        return Ok(vec![Element::list("routeTableSet", Vec::new())]);
    }
    let route = |block: &str, gateway: &str| {
        vec![
            Element::text("destinationCidrBlock", block),
            Element::text("gatewayId", gateway),
            Element::text("state", "active"),
        ]
    };
    let mut routes = vec![route("172.31.0.0/16", "local")];
    if datacentre.settings.public {
        routes.push(route("0.0.0.0/0", "igw-default"));
    }
    let table = vec![
        Element::text("routeTableId", "rtb-default"),
        Element::text("vpcId", VPC),
        Element::list("routeSet", routes),
    ];
    Ok(vec![Element::list("routeTableSet", [table])])
}
