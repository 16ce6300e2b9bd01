//! Instances and tags.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::datacentre::{Machine, MachineState, Refused, Tags};
use crate::ec2::ending::StateReason;
use crate::ec2::instance::{MetadataOptions, code_and_name};
use crate::ec2::interface::{Attachment, Interface};
use crate::ec2::launch::{Launch, LaunchInterface};
use crate::ec2::refusal::{Refusal, not_found, not_found_as};
use crate::ec2::region::Region;
use crate::ec2::subnet::VPC;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn run(region: &mut Region, query: &Query) -> Members {
    let (least, most) = (query.number("MinCount"), query.number("MaxCount"));
    if least != most {
        return Err(Refusal::new(
            "InvalidParameterCombination",
            "This datacentre launches all or none: MinCount and MaxCount have to be equal.",
        ));
    }
    let mut more = query.all();
    for known in ["ClientToken", "DryRun", "Action", "Version"] {
        more.remove(known);
    }
    let placement = query.below("Placement");
    let profile = query.below("IamInstanceProfile");
    let launch = Launch {
        count: most.unwrap_or_default(),
        instance_type: query.required("InstanceType")?.to_owned(),
        image: query.required("ImageId")?.to_owned(),
        zone: placement.text("AvailabilityZone").map(str::to_owned),
        user_data: query.text("UserData").unwrap_or_default().to_owned(),
        placement_group: placement.text("GroupName").map(str::to_owned),
        profile: profile.text("Name").or(profile.text("Arn")).map(str::to_owned),
        interfaces: interfaces(query),
        tags: query.tags_for("instance"),
        more,
    };
    let token = query.text("ClientToken").unwrap_or_default();
    let before: BTreeSet<String> = region.machines.keys().cloned().collect();
    let ids = region.run(&launch, token, query.is_true("DryRun"))?;
    // However fast they boot, they are pending first.
    let state = |machine: &Machine| match before.contains(&machine.id) {
        true => region.state(machine),
        false => MachineState::Pending,
    };
    let machines = ids.iter().filter_map(|id| region.machines.get(id));
    let launched: Result<Vec<_>, _> =
        machines.map(|machine| described(region, machine, state(machine))).collect();
    let first = ids.first().and_then(|id| region.instances.get(id));
    Ok(vec![
        Element::text("reservationId", first.map_or("", |first| &first.reservation)),
        Element::text("ownerId", ACCOUNT),
        Element::list("instancesSet", launched?),
    ])
}

/// Those that are named, or the one that a subnet or security groups of the request itself mean.
fn interfaces(query: &Query) -> Vec<LaunchInterface> {
    let named: Vec<_> = query.members("NetworkInterface").iter().map(interface).collect();
    let is_meant = query.text("SubnetId").is_some() || !query.texts("SecurityGroupId").is_empty();
    if named.is_empty() && is_meant { vec![interface(query)] } else { named }
}

fn interface(query: &Query) -> LaunchInterface {
    LaunchInterface {
        id: query.text("NetworkInterfaceId").map(str::to_owned),
        subnet: query.text("SubnetId").map(str::to_owned),
        groups: query.texts("SecurityGroupId"),
        kind: query.text("InterfaceType").unwrap_or("interface").to_owned(),
        device: query.number("DeviceIndex").unwrap_or_default(),
        card: query.number("NetworkCardIndex").unwrap_or_default(),
        // A new one goes with its machine, unless it is said otherwise.
        delete_on_termination: match query.text("DeleteOnTermination") {
            Some(said) => said == "true",
            None => query.text("NetworkInterfaceId").is_none(),
        },
        public: query.is_true("AssociatePublicIpAddress"),
    }
}

/// Pages are of so many instances as was asked for; a reservation may be spread over several.
pub(super) fn describe(region: &mut Region, query: &Query) -> Members {
    let (filters, ids) = (Filters::of(query), query.texts("InstanceId"));
    for id in &ids {
        region.instance(id)?;
    }
    let mut found = Vec::new();
    for machine in region.machines.values().filter(|one| region.knows(&one.id)) {
        let (_, instance) = region.instance(&machine.id)?;
        let (_, state) = code_and_name(region.state(machine));
        let value = |name: &str| match name {
            "instance-state-name" => Some(vec![state.to_owned()]),
            "instance-type" => Some(vec![machine.instance_type.clone()]),
            "instance-id" => Some(vec![machine.id.clone()]),
            "client-token" => Some(vec![instance.token.clone()]),
            "availability-zone" => Some(vec![machine.zone.clone()]),
            _ => None,
        };
        let is_meant = ids.is_empty() || ids.contains(&machine.id);
        if is_meant && filters.pass(&machine.tags, value)? {
            found.push((machine, instance));
        }
    }
    let start: usize = query.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let most = query.number("MaxResults").unwrap_or(1000) as usize;
    let mut reservations: BTreeMap<&str, Vec<Vec<Element>>> = BTreeMap::new();
    for (machine, instance) in found.iter().skip(start).take(most) {
        let described = described(region, machine, region.state(machine))?;
        reservations.entry(&instance.reservation).or_default().push(described);
    }
    let items = reservations.into_iter().map(|(id, machines)| {
        vec![Element::text("reservationId", id), Element::list("instancesSet", machines)]
    });
    let mut members = vec![Element::list("reservationSet", items)];
    if start + most < found.len() {
        members.push(Element::text("nextToken", start + most));
    }
    Ok(members)
}

pub(super) fn start(region: &mut Region, query: &Query) -> Members {
    changed(region, query, |region, id| region.turn_on(id))
}

pub(super) fn stop(region: &mut Region, query: &Query) -> Members {
    changed(region, query, |region, id| region.turn_off(id))
}

pub(super) fn terminate(region: &mut Region, query: &Query) -> Members {
    region.terminate(&query.texts("InstanceId"))?;
    changed(region, query, |_, _| Ok(()))
}

/// A running machine reboots, and is running all the time as far as EC2 tells.
pub(super) fn reboot(region: &mut Region, query: &Query) -> Members {
    for id in query.texts("InstanceId") {
        region.reboot(&id).map_err(|refused| Refusal::of_machine(&id, refused))?;
    }
    Ok(vec![Element::text("return", true)])
}

fn changed(
    region: &mut Region,
    query: &Query,
    change: impl Fn(&mut Region, &str) -> Result<(), Refused>,
) -> Members {
    let mut items = Vec::new();
    for id in query.texts("InstanceId") {
        let before = region.instance_state(&id)?;
        change(region, &id).map_err(|refused| Refusal::of_machine(&id, refused))?;
        let after = region.instance_state(&id)?;
        items.push(vec![
            Element::text("instanceId", id),
            state_as("currentState", after),
            state_as("previousState", before),
        ]);
    }
    Ok(vec![Element::list("instancesSet", items)])
}

pub(super) fn console(region: &mut Region, query: &Query) -> Members {
    let id = query.required("InstanceId")?;
    region.instance(id)?;
    let shown = region.shown_console(id, MOST_CONSOLE_BYTES).unwrap_or_default();
    let output = BASE64_STANDARD.encode(shown);
    Ok(vec![Element::text("instanceId", id), Element::text("output", output)])
}

pub(super) fn attribute(region: &mut Region, query: &Query) -> Members {
    let (id, name) = (query.required("InstanceId")?, query.required("Attribute")?);
    let (machine, _) = region.instance(id)?;
    if name != "userData" {
        let message = format!("The attribute '{name}' is not there to be asked for.");
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    let value = Element::text("value", &machine.user_data);
    Ok(vec![Element::text("instanceId", id), Element::parent("userData", vec![value])])
}

pub(super) fn modify_metadata_options(region: &mut Region, query: &Query) -> Members {
    let id = query.required("InstanceId")?;
    if let Ok(machine) = region.machine_mut(id)
        && let Some(said) = query.text("InstanceMetadataTags")
    {
        machine.sees_tags = said == "enabled";
    }
    let instance = region.instances.get_mut(id).ok_or_else(|| not_found_as("i", id))?;
    let metadata = &mut instance.metadata;
    let set = |name: &str, value: &mut String| {
        if let Some(said) = query.text(name) {
            said.clone_into(value);
        }
    };
    set("HttpTokens", &mut metadata.tokens);
    set("HttpEndpoint", &mut metadata.endpoint);
    metadata.hops = query.number("HttpPutResponseHopLimit").unwrap_or(metadata.hops);
    let (machine, instance) = region.instance(id)?;
    let described = metadata_options("instanceMetadataOptions", machine, &instance.metadata);
    Ok(vec![Element::text("instanceId", id), described])
}

fn metadata_options(name: &str, machine: &Machine, options: &MetadataOptions) -> Element {
    let tags = if machine.sees_tags { "enabled" } else { "disabled" };
    Element::parent(
        name,
        vec![
            Element::text("state", "applied"),
            Element::text("httpTokens", &options.tokens),
            Element::text("httpPutResponseHopLimit", options.hops),
            Element::text("httpEndpoint", &options.endpoint),
            Element::text("instanceMetadataTags", tags),
        ],
    )
}

/// All are tagged, or none when one is unknown.
pub(super) fn create_tags(region: &mut Region, query: &Query) -> Members {
    let (ids, tags) = (query.texts("ResourceId"), query.tags());
    if let Some(unknown) = ids.iter().find(|id| region.tags_of(id).is_none()) {
        return Err(not_found(unknown));
    }
    for id in &ids {
        region.keep_earlier(id);
        if let Some(own) = region.tags_of(id) {
            own.extend(tags.clone());
        }
    }
    Ok(vec![Element::text("return", true)])
}

fn described(region: &Region, machine: &Machine, state: MachineState) -> Members {
    let (_, instance) = region.instance(&machine.id)?;
    let launch = &instance.launch;
    let age = region.now() - machine.launched_at + machine.older_by;
    let launched_at = region.time_of_day() - age;
    let launched_at = jiff::Timestamp::try_from(launched_at).unwrap_or_default();
    let mut placement = vec![Element::text("availabilityZone", &machine.zone)];
    placement.extend(launch.placement_group.as_ref().map(|name| Element::text("groupName", name)));
    let mut members = vec![
        Element::text("instanceId", &machine.id),
        Element::text("imageId", &launch.image),
        state_as("instanceState", state),
        Element::text("instanceType", &machine.instance_type),
        Element::text("launchTime", launched_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")),
        Element::text("amiLaunchIndex", machine.index),
        Element::text("clientToken", &instance.token),
        Element::text("vpcId", VPC),
        Element::parent("placement", placement),
        tag_set(&machine.tags),
    ];
    members.extend(StateReason::of(machine, state).map(|StateReason { code, message }| {
        let reason = vec![Element::text("code", code), Element::text("message", message)];
        Element::parent("stateReason", reason)
    }));
    members.extend(instance.key_pair().map(|name| Element::text("keyName", name)));
    members.push(metadata_options("metadataOptions", machine, &instance.metadata));
    if instance.is_spot() {
        members.push(Element::text("instanceLifecycle", "spot"));
    }
    let reservation = launch.reservation();
    members.extend(reservation.map(|id| Element::text("capacityReservationId", id)));
    let interfaces = region.interfaces.values();
    let own: Vec<_> = interfaces
        .filter_map(|interface| Some((interface, interface.attachment.as_ref()?)))
        .filter(|(_, on)| on.machine == machine.id)
        .collect();
    if let Some((interface, _)) = own.iter().find(|(_, on)| on.device == 0 && on.card == 0) {
        members.push(Element::text("subnetId", &interface.subnet));
        members.extend(interface.ip.map(|ip| Element::text("privateIpAddress", ip)));
        let public = region.public_ip(&interface.id);
        members.extend(public.map(|address| Element::text("ipAddress", address.ip)));
        members.push(Element::list("groupSet", super::group::references(&interface.groups)));
    }
    let described = own.iter().map(|(interface, on)| interface_of_machine(region, interface, on));
    members.push(Element::list("networkInterfaceSet", described));
    Ok(members)
}

fn interface_of_machine(region: &Region, interface: &Interface, on: &Attachment) -> Vec<Element> {
    let attachment = vec![
        Element::text("deviceIndex", on.device),
        Element::text("networkCardIndex", on.card),
        Element::text("status", "attached"),
        Element::text("deleteOnTermination", on.delete_on_termination),
    ];
    let mut members = vec![
        Element::text("networkInterfaceId", &interface.id),
        Element::text("subnetId", &interface.subnet),
        Element::text("vpcId", VPC),
        Element::text("description", &interface.description),
        Element::text("status", "in-use"),
        Element::list("groupSet", super::group::references(&interface.groups)),
        Element::parent("attachment", attachment),
        Element::text("interfaceType", &interface.kind),
    ];
    members.extend(interface.ip.map(|ip| Element::text("privateIpAddress", ip)));
    if let Some(elastic) = region.public_ip(&interface.id) {
        let association =
            vec![Element::text("ipOwnerId", ACCOUNT), Element::text("publicIp", elastic.ip)];
        members.push(Element::parent("association", association));
    }
    members
}

fn state_as(name: &str, state: MachineState) -> Element {
    let (code, word) = code_and_name(state);
    Element::parent(name, vec![Element::text("code", code), Element::text("name", word)])
}

pub(super) fn tag_set(tags: &Tags) -> Element {
    tags_as("tagSet", tags)
}

pub(super) fn tags_as(name: &str, tags: &Tags) -> Element {
    let items = tags.iter();
    Element::list(
        name,
        items.map(|(key, value)| vec![Element::text("key", key), Element::text("value", value)]),
    )
}

/// What EC2 keeps of a console.
const MOST_CONSOLE_BYTES: usize = 64 << 10;
const ACCOUNT: &str = "123456789012";
