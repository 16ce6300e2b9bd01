//! Instances and tags.

use super::Members;
use super::filter::Filters;
use super::query::Query;
use super::xml::Element;
use crate::datacentre::{
    Attachment, Datacentre, Interface, Launch, LaunchInterface, Machine, MachineState,
    MetadataOptions, Refusal, StateReason, Tags, VPC, not_found,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

pub(super) fn run(datacentre: &mut Datacentre, query: &Query) -> Members {
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
    let before: BTreeSet<String> = datacentre.machines.keys().cloned().collect();
    let machines = datacentre.run(&launch, token, query.is_true("DryRun"))?;
    // However fast they boot, they are pending first.
    let state = |machine: &Machine| match before.contains(&machine.id) {
        true => datacentre.state(machine),
        false => MachineState::Pending,
    };
    let launched = machines.iter().map(|one| described(datacentre, one, state(one)));
    let reservation = machines.first().map(|machine| machine.reservation.clone());
    Ok(vec![
        Element::text("reservationId", reservation.unwrap_or_default()),
        Element::text("ownerId", ACCOUNT),
        Element::list("instancesSet", launched),
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
pub(super) fn describe(datacentre: &mut Datacentre, query: &Query) -> Members {
    let (filters, ids) = (Filters::of(query), query.texts("InstanceId"));
    for id in &ids {
        datacentre.state_of(id)?;
    }
    let mut found = Vec::new();
    for machine in datacentre.machines.values().filter(|one| datacentre.knows(&one.id)) {
        let (_, state) = datacentre.state(machine).code_and_name();
        let value = |name: &str| match name {
            "instance-state-name" => Some(vec![state.to_owned()]),
            "instance-type" => Some(vec![machine.instance_type.clone()]),
            "instance-id" => Some(vec![machine.id.clone()]),
            "client-token" => Some(vec![machine.token.clone()]),
            "availability-zone" => Some(vec![machine.zone.clone()]),
            _ => None,
        };
        let is_meant = ids.is_empty() || ids.contains(&machine.id);
        if is_meant && filters.pass(&machine.tags, value)? {
            found.push(machine);
        }
    }
    let start: usize = query.text("NextToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let most = query.number("MaxResults").unwrap_or(1000) as usize;
    let mut reservations: BTreeMap<&str, Vec<Vec<Element>>> = BTreeMap::new();
    for machine in found.iter().skip(start).take(most) {
        let described = described(datacentre, machine, datacentre.state(machine));
        reservations.entry(&machine.reservation).or_default().push(described);
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

pub(super) fn start(datacentre: &mut Datacentre, query: &Query) -> Members {
    changed(datacentre, query, Datacentre::turn_on)
}

pub(super) fn stop(datacentre: &mut Datacentre, query: &Query) -> Members {
    changed(datacentre, query, Datacentre::turn_off)
}

pub(super) fn terminate(datacentre: &mut Datacentre, query: &Query) -> Members {
    datacentre.terminate(&query.texts("InstanceId"))?;
    changed(datacentre, query, |_, _| Ok(()))
}

/// A running machine reboots, and is running all the time as far as EC2 tells.
pub(super) fn reboot(datacentre: &mut Datacentre, query: &Query) -> Members {
    for id in query.texts("InstanceId") {
        datacentre.reboot(&id)?;
    }
    Ok(vec![Element::text("return", true)])
}

fn changed(
    datacentre: &mut Datacentre,
    query: &Query,
    change: impl Fn(&mut Datacentre, &str) -> Result<(), Refusal>,
) -> Members {
    let mut items = Vec::new();
    for id in query.texts("InstanceId") {
        let before = datacentre.state_of(&id)?;
        change(datacentre, &id)?;
        let after = datacentre.state_of(&id)?;
        items.push(vec![
            Element::text("instanceId", id),
            state_as("currentState", after),
            state_as("previousState", before),
        ]);
    }
    Ok(vec![Element::list("instancesSet", items)])
}

pub(super) fn console(datacentre: &mut Datacentre, query: &Query) -> Members {
    let id = query.required("InstanceId")?;
    datacentre.machine(id)?;
    let output = BASE64_STANDARD.encode(datacentre.shown_console(id).unwrap_or_default());
    Ok(vec![Element::text("instanceId", id), Element::text("output", output)])
}

pub(super) fn attribute(datacentre: &mut Datacentre, query: &Query) -> Members {
    let (id, name) = (query.required("InstanceId")?, query.required("Attribute")?);
    let machine = datacentre.machine(id)?;
    if name != "userData" {
        let message = format!("The attribute '{name}' is not there to be asked for.");
        return Err(Refusal::new("InvalidParameterValue", message));
    }
    let value = Element::text("value", &machine.launch.user_data);
    Ok(vec![Element::text("instanceId", id), Element::parent("userData", vec![value])])
}

pub(super) fn modify_metadata_options(datacentre: &mut Datacentre, query: &Query) -> Members {
    let id = query.required("InstanceId")?;
    let metadata = &mut datacentre.machine(id)?.metadata;
    let set = |name: &str, value: &mut String| {
        if let Some(said) = query.text(name) {
            said.clone_into(value);
        }
    };
    set("HttpTokens", &mut metadata.tokens);
    set("HttpEndpoint", &mut metadata.endpoint);
    set("InstanceMetadataTags", &mut metadata.tags);
    metadata.hops = query.number("HttpPutResponseHopLimit").unwrap_or(metadata.hops);
    let described = metadata_options("instanceMetadataOptions", metadata);
    Ok(vec![Element::text("instanceId", id), described])
}

fn metadata_options(name: &str, options: &MetadataOptions) -> Element {
    Element::parent(
        name,
        vec![
            Element::text("state", "applied"),
            Element::text("httpTokens", &options.tokens),
            Element::text("httpPutResponseHopLimit", options.hops),
            Element::text("httpEndpoint", &options.endpoint),
            Element::text("instanceMetadataTags", &options.tags),
        ],
    )
}

/// All are tagged, or none when one is unknown.
pub(super) fn create_tags(datacentre: &mut Datacentre, query: &Query) -> Members {
    let (ids, tags) = (query.texts("ResourceId"), query.tags());
    if let Some(unknown) = ids.iter().find(|id| datacentre.tags_of(id).is_none()) {
        return Err(not_found(unknown));
    }
    for id in &ids {
        datacentre.keep_earlier(id);
        if let Some(own) = datacentre.tags_of(id) {
            own.extend(tags.clone());
        }
    }
    Ok(vec![Element::text("return", true)])
}

fn described(datacentre: &Datacentre, machine: &Machine, state: MachineState) -> Vec<Element> {
    let launched_at =
        SystemTime::now() - (datacentre.now() - machine.launched_at) - machine.older_by;
    let launched_at = jiff::Timestamp::try_from(launched_at).unwrap_or_default();
    let mut placement = vec![Element::text("availabilityZone", &machine.zone)];
    placement.extend(
        machine.launch.placement_group.as_ref().map(|name| Element::text("groupName", name)),
    );
    let mut members = vec![
        Element::text("instanceId", &machine.id),
        Element::text("imageId", &machine.launch.image),
        state_as("instanceState", state),
        Element::text("instanceType", &machine.instance_type),
        Element::text("launchTime", launched_at.strftime("%Y-%m-%dT%H:%M:%S.000Z")),
        Element::text("amiLaunchIndex", machine.index),
        Element::text("clientToken", &machine.token),
        Element::text("vpcId", VPC),
        Element::parent("placement", placement),
        tag_set(&machine.tags),
    ];
    members.extend(machine.reason_in(state).map(|StateReason { code, message }| {
        let reason = vec![Element::text("code", code), Element::text("message", message)];
        Element::parent("stateReason", reason)
    }));
    members.extend(machine.key_pair().map(|name| Element::text("keyName", name)));
    members.push(metadata_options("metadataOptions", &machine.metadata));
    if machine.is_spot() {
        members.push(Element::text("instanceLifecycle", "spot"));
    }
    let reservation = machine.launch.reservation();
    members.extend(reservation.map(|id| Element::text("capacityReservationId", id)));
    let interfaces = datacentre.interfaces.values();
    let own: Vec<_> = interfaces
        .filter_map(|interface| Some((interface, interface.attachment.as_ref()?)))
        .filter(|(_, on)| on.machine == machine.id)
        .collect();
    if let Some((interface, _)) = own.iter().find(|(_, on)| on.device == 0 && on.card == 0) {
        members.push(Element::text("subnetId", &interface.subnet));
        members.extend(interface.ip.map(|ip| Element::text("privateIpAddress", ip)));
        let public = datacentre.public_ip(&interface.id);
        members.extend(public.map(|address| Element::text("ipAddress", address.ip)));
        members.push(Element::list("groupSet", super::group::references(&interface.groups)));
    }
    let described =
        own.iter().map(|(interface, on)| interface_of_machine(datacentre, interface, on));
    members.push(Element::list("networkInterfaceSet", described));
    members
}

fn interface_of_machine(
    datacentre: &Datacentre,
    interface: &Interface,
    on: &Attachment,
) -> Vec<Element> {
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
    if let Some(elastic) = datacentre.public_ip(&interface.id) {
        let association =
            vec![Element::text("ipOwnerId", ACCOUNT), Element::text("publicIp", elastic.ip)];
        members.push(Element::parent("association", association));
    }
    members
}

fn state_as(name: &str, state: MachineState) -> Element {
    let (code, word) = state.code_and_name();
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

const ACCOUNT: &str = "123456789012";
