//! Launching machines: all or none, idempotent by their token in their zone.

use super::group::unknown_placement_group;
use super::instance::{Instance, MetadataOptions};
use super::interface::{Attachment, Interface};
use super::refusal::{Refusal, not_found_as};
use super::region::Region;
use super::subnet::subnet_of;
use crate::datacentre::{Machine, NewMachine, Tags};
use std::collections::BTreeMap;

/// What machines are to be, as it was asked for; two that are equal are the same request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Launch {
    /// How many.
    pub(super) count: u32,
    /// Their type.
    pub(super) instance_type: String,
    /// Their image.
    pub(super) image: String,
    /// Their zone, where it is named.
    pub(super) zone: Option<String>,
    /// Base64, as it came.
    pub(super) user_data: String,
    /// The placement group's name.
    pub(super) placement_group: Option<String>,
    /// The instance profile's name.
    pub(super) profile: Option<String>,
    /// Interfaces.
    pub(super) interfaces: Vec<LaunchInterface>,
    /// Tags.
    pub(super) tags: Tags,
    /// Everything else that was said, as it came.
    pub(super) more: BTreeMap<String, String>,
}

/// An interface of a launch: one that exists, or a new one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LaunchInterface {
    /// The one that exists.
    pub(super) id: Option<String>,
    /// The subnet of a new one.
    pub(super) subnet: Option<String>,
    /// The groups of a new one.
    pub(super) groups: Vec<String>,
    /// `interface`, `efa` or `efa-only`.
    pub(super) kind: String,
    /// Its place on its card.
    pub(super) device: u32,
    /// Its card.
    pub(super) card: u32,
    /// Whether it goes with the machine.
    pub(super) delete_on_termination: bool,
    /// Whether it is to have a public address.
    pub(super) public: bool,
}

impl Region {
    pub(super) fn run(
        &mut self,
        launch: &Launch,
        token: &str,
        dry_run: bool,
    ) -> Result<Vec<String>, Refusal> {
        self.tidy();
        let zone = self.check(launch)?;
        if dry_run {
            let message = "Request would have succeeded, but DryRun flag is set.";
            return Err(Refusal { status: 412, ..Refusal::new("DryRunOperation", message) });
        }
        // A token counts in its zone.
        let is_earlier = |machine: &Machine, instance: &Instance| {
            !token.is_empty() && instance.token == token && machine.zone == zone
        };
        // Both have the same ids, in their order.
        let both = self.machines.values().zip(self.instances.values());
        let earlier: Vec<(&Machine, &Instance)> =
            both.filter(|(machine, instance)| is_earlier(machine, instance)).collect();
        if let Some((_, first)) = earlier.first() {
            if first.launch != *launch {
                let message = "Arguments on this idempotent request are inconsistent with arguments \
                               used in previous request(s).";
                return Err(Refusal::new("IdempotentParameterMismatch", message));
            }
            if earlier.iter().any(|(machine, _)| !self.state(machine).lives()) {
                let message = "The instance of this client token has been terminated.";
                return Err(Refusal::new("IdempotentInstanceTerminated", message));
            }
            return Ok(earlier.into_iter().map(|(machine, _)| machine.id.clone()).collect());
        }
        self.check_interfaces(launch)?;
        let Launch { count, instance_type, tags, .. } = launch;
        self.check_capacity(&zone, instance_type, tags, *count)
            .map_err(|lack| Refusal::of_launch(instance_type, &zone, lack))?;
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
        let kind = self.account.types.get(&launch.instance_type).ok_or_else(|| {
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
            && !self.account.profiles.contains(profile)
        {
            return Err(invalid(format!(
                "Value ({profile}) for parameter iamInstanceProfile.name is invalid. Invalid IAM \
                 Instance Profile name"
            )));
        }
        if let Some(key) = launch.more.get("KeyName")
            && !self.account.key_pairs.contains(key)
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

    fn start_machine(
        &mut self,
        launch: &Launch,
        token: &str,
        index: u32,
        reservation: &str,
        zone: &str,
    ) -> Result<String, Refusal> {
        let id = self.new_id("i");
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
        let new = NewMachine {
            zone: zone.to_owned(),
            instance_type: launch.instance_type.clone(),
            ip: self.primary(&id).and_then(|interface| interface.ip),
            user_data: launch.user_data.clone(),
            index,
            tags: launch.tags.clone(),
            sees_tags: launch.shows_tags(),
        };
        self.start(&id, new);
        let instance = Instance {
            launch: launch.clone(),
            token: token.to_owned(),
            reservation: reservation.to_owned(),
            metadata: MetadataOptions::of(launch),
        };
        self.instances.insert(id.clone(), instance);
        Ok(id)
    }
}

impl Launch {
    /// Whether the metadata service is to show tags.
    fn shows_tags(&self) -> bool {
        self.more.get("MetadataOptions.InstanceMetadataTags").is_some_and(|said| said == "enabled")
    }
}
