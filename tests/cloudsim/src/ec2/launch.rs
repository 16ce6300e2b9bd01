//! Launching machines: all or none, idempotent by their token in their zone.

use crate::datacentre::{
    Attachment, Datacentre, Interface, Machine, MetadataOptions, Refusal, Tags, not_found_as,
    subnet_of,
};
use crate::ec2::group::unknown_placement_group;
use std::collections::BTreeMap;
use std::time::Duration;

/// What machines are to be, as it was asked for; two that are equal are the same request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// How many.
    pub count: u32,
    /// Their type.
    pub instance_type: String,
    /// Their image.
    pub image: String,
    /// Their zone, where it is named.
    pub zone: Option<String>,
    /// Base64, as it came.
    pub user_data: String,
    /// The placement group's name.
    pub placement_group: Option<String>,
    /// The instance profile's name.
    pub profile: Option<String>,
    /// Interfaces.
    pub interfaces: Vec<LaunchInterface>,
    /// Tags.
    pub tags: Tags,
    /// Everything else that was said, as it came.
    pub more: BTreeMap<String, String>,
}

/// An interface of a launch: one that exists, or a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaunchInterface {
    /// The one that exists.
    pub id: Option<String>,
    /// The subnet of a new one.
    pub subnet: Option<String>,
    /// The groups of a new one.
    pub groups: Vec<String>,
    /// `interface`, `efa` or `efa-only`.
    pub kind: String,
    /// Its place on its card.
    pub device: u32,
    /// Its card.
    pub card: u32,
    /// Whether it goes with the machine.
    pub delete_on_termination: bool,
    /// Whether it is to have a public address.
    pub public: bool,
}

impl Datacentre {
    pub(crate) fn run(
        &mut self,
        launch: &Launch,
        token: &str,
        dry_run: bool,
    ) -> Result<Vec<Machine>, Refusal> {
        self.tidy();
        let zone = self.check(launch)?;
        if dry_run {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(Refusal { status: 412, ..Refusal::new("DryRunOperation", message) });
        }
        // A token counts in its zone.
        let earlier: Vec<&Machine> = self
            .machines
            .values()
            .filter(|machine| !token.is_empty() && machine.token == token && machine.zone == zone)
            .collect();
        if let Some(first) = earlier.first() {
            if first.launch != *launch {
                let message = "Arguments on this idempotent request are inconsistent with arguments \
                               used in previous request(s).";
                return Err(Refusal::new("IdempotentParameterMismatch", message));
            }
            if earlier.iter().any(|machine| !self.state(machine).lives()) {
                let message = "The instance of this client token has been terminated.";
                return Err(Refusal::new("IdempotentInstanceTerminated", message));
            }
            return Ok(earlier.into_iter().cloned().collect());
        }
        self.check_interfaces(launch)?;
        self.check_capacity(launch, &zone)?;
        let reservation = self.new_id("r");
        (0..launch.count)
            .map(|index| self.start_machine(launch, token, index, &reservation, &zone))
            .collect()
    }

    /// Whether the request makes sense; answers its zone.
    fn check(&self, launch: &Launch) -> Result<String, Refusal> {
        let invalid = |message: String| Refusal::new("InvalidParameterValue", message);
        if launch.count == 0 {
            return Err(invalid("Value (0) for parameter minCount is invalid.".to_owned()));
        }
        let kind = self.settings.types.get(&launch.instance_type).ok_or_else(|| {
            invalid(format!("Invalid value '{}' for InstanceType.", launch.instance_type))
        })?;
        // Base64 makes four characters of three bytes.
        let padding = launch.user_data.bytes().rev().take_while(|byte| *byte == b'=').count();
        if launch.user_data.len() / 4 * 3 - padding.min(2) > 16_384 {
            return Err(Refusal::new(
                "InvalidUserData.Malformed",
                "User data is limited to 16384 bytes",
            ));
        }
        let mut zones = launch.zone.iter().cloned().map(Ok).collect::<Vec<_>>();
        for interface in &launch.interfaces {
            let subnet = match &interface.id {
                Some(id) => {
                    let found = self.interfaces.get(id).ok_or_else(|| not_found_as("eni", id))?;
                    Some(found.subnet.clone())
                }
                None => interface.subnet.clone(),
            };
            zones.extend(subnet.map(|subnet| self.subnet(&subnet).map(|found| found.zone)));
        }
        let zones = zones.into_iter().collect::<Result<Vec<_>, _>>()?;
        let zone = zones
            .first()
            .cloned()
            .unwrap_or_else(|| self.settings.zones.keys().next().cloned().unwrap_or_default());
        if zones.iter().any(|other| *other != zone) {
            return Err(invalid("The subnets are in several availability zones.".to_owned()));
        }
        let offered = self
            .settings
            .zones
            .get(&zone)
            .ok_or_else(|| invalid(format!("Invalid availability zone: [{zone}]")))?;
        if offered.without.contains(&launch.instance_type) {
            return Err(Refusal::new(
                "Unsupported",
                format!(
                    "Your requested instance type ({}) is not supported in your requested \
                     Availability Zone ({zone}).",
                    launch.instance_type
                ),
            ));
        }
        if let Some(name) = &launch.placement_group {
            if !self.placement_groups.contains_key(name) {
                return Err(unknown_placement_group(name));
            }
            if !kind.clusters {
                return Err(Refusal::new(
                    "InvalidParameterCombination",
                    "This instance type cannot be launched in a cluster placement group.",
                ));
            }
        }
        if let Some(profile) = &launch.profile
            && !self.settings.profiles.contains(profile)
        {
            return Err(invalid(format!(
                "Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM \
                 Instance Profile name"
            )));
        }
        if let Some(key) = launch.more.get("KeyName")
            && !self.settings.key_pairs.contains(key)
        {
            let message = format!("The key pair '{key}' does not exist");
            return Err(Refusal::new("InvalidKeyPair.NotFound", message));
        }
        if !self.has_image(&launch.image) {
            return Err(Refusal::new(
                "InvalidAMIID.NotFound",
                format!("The image id '[{}]' does not exist", launch.image),
            ));
        }
        self.check_reservation(launch, &zone)?;
        self.check_cards(launch, kind)?;
        Ok(zone)
    }

    fn check_interfaces(&mut self, launch: &Launch) -> Result<(), Refusal> {
        for interface in &launch.interfaces {
            if let Some(id) = &interface.id
                && self.interfaces.get(id).is_some_and(|found| found.attachment.is_some())
            {
                return Err(Refusal::new(
                    "InvalidNetworkInterface.InUse",
                    format!("Interface: [{id}] in use."),
                ));
            }
            for group in &interface.groups {
                self.group(group)?;
            }
        }
        Ok(())
    }

    fn check_capacity(&self, launch: &Launch, zone: &str) -> Result<(), Refusal> {
        let living: Vec<&Machine> =
            self.machines.values().filter(|machine| self.state(machine).lives()).collect();
        let all = u32::try_from(living.len()).unwrap_or(u32::MAX);
        if self.settings.most_machines.is_some_and(|most| all + launch.count > most) {
            return Err(Refusal::new(
                "VcpuLimitExceeded",
                "You have requested more vCPU capacity than your current vCPU limit allows.",
            ));
        }
        for ((key, value), most) in &self.tag_limits {
            let has = |tags: &Tags| tags.get(key) == Some(value);
            let tagged = living.iter().filter(|machine| has(&machine.launch.tags)).count();
            if has(&launch.tags) && tagged + launch.count as usize > *most as usize {
                return Err(no_capacity(&launch.instance_type, zone));
            }
        }
        let is_same = |machine: &&&Machine| {
            machine.zone == zone && machine.instance_type == launch.instance_type
        };
        let same = u32::try_from(living.iter().filter(is_same).count()).unwrap_or(u32::MAX);
        let capacity =
            self.settings.zones.get(zone).and_then(|zone| zone.capacity.get(&launch.instance_type));
        if capacity.is_some_and(|most| same + launch.count > *most) {
            return Err(no_capacity(&launch.instance_type, zone));
        }
        Ok(())
    }

    fn start_machine(
        &mut self,
        launch: &Launch,
        token: &str,
        index: u32,
        reservation: &str,
        zone: &str,
    ) -> Result<Machine, Refusal> {
        let id = self.new_id("i");
        let now = self.now();
        let (order, reason) = self.first_order(&launch.tags);
        let default = LaunchInterface {
            subnet: Some(subnet_of(zone)),
            kind: "interface".to_owned(),
            delete_on_termination: true,
            ..LaunchInterface::default()
        };
        let defaults = [default];
        let wanted = if launch.interfaces.is_empty() { &defaults[..] } else { &launch.interfaces };
        for interface in wanted {
            let attachment = Some(Attachment {
                machine: id.clone(),
                device: interface.device,
                card: interface.card,
                delete_on_termination: interface.delete_on_termination,
            });
            if let Some(found) = interface.id.as_ref().and_then(|id| self.interfaces.get_mut(id)) {
                found.attachment = attachment;
                continue;
            }
            self.create_interface(Interface {
                id: String::new(),
                subnet: interface.subnet.clone().unwrap_or_else(|| subnet_of(zone)),
                ip: None,
                groups: interface.groups.clone(),
                description: String::new(),
                kind: interface.kind.clone(),
                attachment,
                token: None,
                tags: Tags::new(),
            })?;
        }
        let machine = Machine {
            id: id.clone(),
            launch: launch.clone(),
            token: token.to_owned(),
            index,
            reservation: reservation.to_owned(),
            zone: zone.to_owned(),
            launched_at: now,
            older_by: Duration::ZERO,
            instance_type: launch.instance_type.clone(),
            metadata: MetadataOptions::of(launch),
            tags: launch.tags.clone(),
            boots: 1,
            rebooted_at: now,
            console: self.settings.console.clone(),
            reason,
            order,
        };
        self.machines.insert(id, machine.clone());
        Ok(machine)
    }
}

fn no_capacity(instance_type: &str, zone: &str) -> Refusal {
    Refusal::server(
        500,
        "InsufficientInstanceCapacity",
        format!(
            "We currently do not have sufficient {instance_type} capacity in the Availability Zone you \
             requested ({zone})."
        ),
    )
}
