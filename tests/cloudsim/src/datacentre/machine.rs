//! Machines: launched all or none, idempotent by their token in their zone, with a life of their own.

use super::address::unknown_interface;
use super::group::unknown_placement_group;
use super::subnet_of;
use super::{Attachment, Datacentre, Interface, Refusal, Tags};
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

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// What it was launched as.
    pub launch: Launch,
    /// The launch's token.
    pub token: String,
    /// Its place in its launch.
    pub index: u32,
    /// Its reservation.
    pub reservation: String,
    /// Its zone.
    pub zone: String,
    /// When it was launched.
    pub launched_at: Duration,
    /// Its type, which changes.
    pub instance_type: String,
    /// Its metadata service, which changes.
    pub metadata: MetadataOptions,
    /// How much older than that it pretends to be.
    pub older_by: Duration,
    /// Its tags, which change.
    pub tags: Tags,
    /// How often it has booted.
    pub boots: u32,
    rebooted_at: Duration,
    /// What it has printed.
    pub console: String,
    pub(super) order: Order,
}

/// How a machine's metadata service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataOptions {
    /// `required` or `optional`.
    pub tokens: String,
    /// `enabled` or `disabled`.
    pub endpoint: String,
    /// Hops of an answer to PUT.
    pub hops: u32,
    /// `enabled` or `disabled`.
    pub tags: String,
}

impl MetadataOptions {
    fn of(launch: &Launch) -> Self {
        let said = |name: &str| launch.more.get(&format!("MetadataOptions.{name}")).cloned();
        Self {
            tokens: said("HttpTokens").unwrap_or_else(|| "optional".to_owned()),
            endpoint: said("HttpEndpoint").unwrap_or_else(|| "enabled".to_owned()),
            hops: said("HttpPutResponseHopLimit").and_then(|hops| hops.parse().ok()).unwrap_or(1),
            tags: said("InstanceMetadataTags").unwrap_or_else(|| "disabled".to_owned()),
        }
    }
}

/// The last thing that it was told, and when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Run(Duration),
    Stop(Duration),
    Terminate(Duration),
}

/// What a machine is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineState {
    /// Not up yet.
    Pending,
    /// Up.
    Running,
    /// On its way to stopped.
    Stopping,
    /// Off.
    Stopped,
    /// On its way out.
    ShuttingDown,
    /// Gone, and still listed.
    Terminated,
}

impl MachineState {
    /// EC2's code and name of it.
    pub(crate) fn code_and_name(self) -> (u32, &'static str) {
        match self {
            Self::Pending => (0, "pending"),
            Self::Running => (16, "running"),
            Self::ShuttingDown => (32, "shutting-down"),
            Self::Terminated => (48, "terminated"),
            Self::Stopping => (64, "stopping"),
            Self::Stopped => (80, "stopped"),
        }
    }

    /// Whether it still holds its place.
    pub fn lives(self) -> bool {
        self != Self::Terminated
    }
}

impl Datacentre {
    /// What a machine is doing now.
    pub fn state(&self, machine: &Machine) -> MachineState {
        let now = self.now();
        let (boot, end) = (self.settings.boot(), self.settings.end());
        match machine.order {
            Order::Run(since) if now < since + boot => MachineState::Pending,
            Order::Run(_) => MachineState::Running,
            Order::Stop(since) if now < since + end => MachineState::Stopping,
            Order::Stop(_) => MachineState::Stopped,
            Order::Terminate(since) if now < since + end => MachineState::ShuttingDown,
            Order::Terminate(_) => MachineState::Terminated,
        }
    }

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

    /// Turns it on again: same address, same disk.
    pub(crate) fn turn_on(&mut self, id: &str) -> Result<(), Refusal> {
        let state = self.state_of(id)?;
        let now = self.now();
        match state {
            MachineState::Pending | MachineState::Running => Ok(()),
            MachineState::Stopped => {
                let machine = self.machine(id)?;
                machine.order = Order::Run(now);
                machine.boots += 1;
                Ok(())
            }
            state => Err(wrong_state(id, state)),
        }
    }

    /// Boots a machine that runs once more.
    pub(crate) fn reboot(&mut self, id: &str) -> Result<(), Refusal> {
        match self.state_of(id)? {
            MachineState::Running => {
                let now = self.now();
                let machine = self.machine(id)?;
                machine.rebooted_at = now;
                machine.boots += 1;
                Ok(())
            }
            state => Err(wrong_state(id, state)),
        }
    }

    /// Since when a machine that runs has been running.
    pub(super) fn up_since(&self, machine: &Machine) -> Duration {
        let ordered = match machine.order {
            Order::Run(since) | Order::Stop(since) | Order::Terminate(since) => since,
        };
        (ordered + self.settings.boot()).max(machine.rebooted_at)
    }

    /// Makes a machine older than it is.
    pub fn age(&mut self, id: &str, by: Duration) {
        if let Some(machine) = self.machines.get_mut(id) {
            machine.older_by += by;
        }
    }

    pub(crate) fn turn_off(&mut self, id: &str) -> Result<(), Refusal> {
        let state = self.state_of(id)?;
        let now = self.now();
        match state {
            MachineState::Pending | MachineState::Running => {
                self.machine(id)?.order = Order::Stop(now);
                Ok(())
            }
            MachineState::Stopping | MachineState::Stopped => Ok(()),
            state => Err(wrong_state(id, state)),
        }
    }

    /// Terminates them all, or none when one is unknown. To repeat it changes nothing.
    pub(crate) fn terminate(&mut self, ids: &[String]) -> Result<(), Refusal> {
        for id in ids {
            self.state_of(id)?;
        }
        let now = self.now();
        for id in ids {
            let machine = self.machine(id)?;
            if !matches!(machine.order, Order::Terminate(_)) {
                machine.order = Order::Terminate(now);
            }
        }
        self.tidy();
        Ok(())
    }

    pub(crate) fn machine(&mut self, id: &str) -> Result<&mut Machine, Refusal> {
        self.machines.get_mut(id).ok_or_else(|| unknown(id))
    }

    pub(crate) fn state_of(&self, id: &str) -> Result<MachineState, Refusal> {
        self.machines.get(id).map(|machine| self.state(machine)).ok_or_else(|| unknown(id))
    }

    /// Switches a machine off behind the provider's back; answers whether there is such a one.
    pub fn power_off(&mut self, id: &str) -> bool {
        self.turn_off(id).is_ok()
    }

    /// Makes a machine disappear; answers whether there was such a one.
    pub fn lose(&mut self, id: &str) -> bool {
        self.terminate(&[id.to_owned()]).is_ok()
    }

    /// The machines that live, in a few words each.
    pub fn living(&self) -> Vec<BTreeMap<String, String>> {
        let machines = self.machines.values().filter(|machine| self.state(machine).lives());
        machines
            .map(|machine| {
                let mut shown = machine.tags.clone();
                shown.insert("id".to_owned(), machine.id.clone());
                let (_, state) = self.state(machine).code_and_name();
                shown.insert("state".to_owned(), state.to_owned());
                shown.insert("type".to_owned(), machine.instance_type.clone());
                let ip = self.running(machine).ip;
                shown.extend(ip.map(|ip| ("ip".to_owned(), ip.to_string())));
                shown
            })
            .collect()
    }

    /// Takes the interfaces of machines that have ended.
    pub(crate) fn tidy(&mut self) {
        let ended: Vec<String> = self
            .machines
            .values()
            .filter(|machine| !self.state(machine).lives())
            .map(|machine| machine.id.clone())
            .collect();
        let is_of = |attachment: &Attachment| ended.contains(&attachment.machine);
        self.interfaces.retain(|_, interface| match &interface.attachment {
            Some(attachment) => !(is_of(attachment) && attachment.delete_on_termination),
            None => true,
        });
        for interface in self.interfaces.values_mut() {
            if interface.attachment.as_ref().is_some_and(is_of) {
                interface.attachment = None;
            }
        }
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
                    let found = self.interfaces.get(id).ok_or_else(|| unknown_interface(id))?;
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
        if launch.interfaces.len() > 1 && launch.interfaces.iter().any(|one| one.public) {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                "The associatePublicIPAddress parameter cannot be specified when launching with \
                 multiple network interfaces.",
            ));
        }
        if !self.has_image(&launch.image) {
            return Err(Refusal::new(
                "InvalidAMIID.NotFound",
                format!("The image id '[{}]' does not exist", launch.image),
            ));
        }
        self.check_reservation(launch, &zone)?;
        let efas = launch.interfaces.iter().filter(|one| one.kind != "interface").count();
        if efas > kind.efa as usize {
            return Err(Refusal::new(
                "InvalidParameterCombination",
                format!("{} has {} EFA interfaces at most.", launch.instance_type, kind.efa),
            ));
        }
        if launch.interfaces.iter().any(|one| one.card >= kind.cards) {
            return Err(invalid("Invalid network card index.".to_owned()));
        }
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
            order: Order::Run(now),
        };
        self.machines.insert(id, machine.clone());
        Ok(machine)
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
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

fn wrong_state(id: &str, state: MachineState) -> Refusal {
    let (_, name) = state.code_and_name();
    Refusal::new(
        "IncorrectInstanceState",
        format!("The instance '{id}' is not in a state from which it can be changed: {name}."),
    )
}
