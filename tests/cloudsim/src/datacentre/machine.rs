//! Machines: what they are, and their life from launched to gone.

use super::ending::BY_USER;
use super::{Attachment, Datacentre, Launch, Refusal, Tags, not_found_as};
use std::collections::BTreeMap;
use std::time::Duration;

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
    pub(crate) rebooted_at: Duration,
    /// What it has printed.
    pub console: String,
    /// The code of why it was switched off or has ended.
    pub(crate) reason: Option<String>,
    pub(crate) order: Order,
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
    pub(crate) fn of(launch: &Launch) -> Self {
        let said = |name: &str| launch.more.get(&format!("MetadataOptions.{name}")).cloned();
        Self {
            tokens: said("HttpTokens").unwrap_or_else(|| "optional".to_owned()),
            endpoint: said("HttpEndpoint").unwrap_or_else(|| "enabled".to_owned()),
            hops: said("HttpPutResponseHopLimit").and_then(|hops| hops.parse().ok()).unwrap_or(1),
            tags: said("InstanceMetadataTags").unwrap_or_else(|| "disabled".to_owned()),
        }
    }
}

impl Machine {
    /// The key pair that it was launched with.
    pub(crate) fn key_pair(&self) -> Option<&String> {
        self.launch.more.get("KeyName")
    }

    /// Whether it may be taken back at any time.
    pub(crate) fn is_spot(&self) -> bool {
        let market = self.launch.more.get("InstanceMarketOptions.MarketType");
        market.is_some_and(|market| market == "spot")
    }

    /// Whether it was told to run.
    pub(crate) fn is_to_run(&self) -> bool {
        matches!(self.order, Order::Run(_))
    }

    /// Whether it was told to go for good.
    pub(crate) fn is_to_go(&self) -> bool {
        matches!(self.order, Order::Terminate(_) | Order::Fail(_))
    }
}

/// The last thing that it was told, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    Run(Duration),
    Stop(Duration),
    Terminate(Duration),
    /// To run, and it will not get so far.
    Fail(Duration),
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
        let is_up = self.guest.as_ref().and_then(|guest| guest.is_up(&machine.id));
        let now = self.now();
        let (boot, end) = (self.settings.boot(), self.settings.end());
        // Where nothing boots, the clock says it.
        let is_up_after = |time: Duration| is_up.unwrap_or(now >= time);
        let is_up_until = |time: Duration| is_up.unwrap_or(now < time);
        match machine.order {
            Order::Run(since) if is_up_after(since + boot) => MachineState::Running,
            Order::Run(_) => MachineState::Pending,
            Order::Stop(since) if is_up_until(since + end) => MachineState::Stopping,
            Order::Stop(_) => MachineState::Stopped,
            Order::Terminate(since) if is_up_until(since + end) => MachineState::ShuttingDown,
            Order::Terminate(_) => MachineState::Terminated,
            // It never has power.
            Order::Fail(since) if now < since + boot => MachineState::Pending,
            Order::Fail(_) => MachineState::Terminated,
        }
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
                machine.reason = None;
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
    pub(crate) fn up_since(&self, machine: &Machine) -> Duration {
        let ordered = match machine.order {
            Order::Run(since)
            | Order::Stop(since)
            | Order::Terminate(since)
            | Order::Fail(since) => since,
        };
        (ordered + self.settings.boot()).max(machine.rebooted_at)
    }

    pub(crate) fn turn_off(&mut self, id: &str) -> Result<(), Refusal> {
        let state = self.state_of(id)?;
        let now = self.now();
        match state {
            MachineState::Pending | MachineState::Running => {
                let machine = self.machine(id)?;
                machine.order = Order::Stop(now);
                machine.reason = Some(BY_USER.to_owned());
                Ok(())
            }
            MachineState::Stopping | MachineState::Stopped => Ok(()),
            state => Err(wrong_state(id, state)),
        }
    }

    /// Terminates them all, or none when one is unknown. To repeat it changes nothing.
    pub(crate) fn terminate(&mut self, ids: &[String]) -> Result<(), Refusal> {
        self.end(ids, BY_USER)
    }

    /// The same for any reason; who has ended keeps his.
    pub(crate) fn end(&mut self, ids: &[String], reason: &str) -> Result<(), Refusal> {
        for id in ids {
            self.state_of(id)?;
        }
        let now = self.now();
        for id in ids {
            let lives = self.state_of(id)?.lives();
            let machine = self.machine(id)?;
            if lives && !matches!(machine.order, Order::Terminate(_)) {
                machine.order = Order::Terminate(now);
                machine.reason = Some(reason.to_owned());
            }
        }
        self.tidy();
        Ok(())
    }

    pub(crate) fn machine(&mut self, id: &str) -> Result<&mut Machine, Refusal> {
        self.machines.get_mut(id).ok_or_else(|| not_found_as("i", id))
    }

    pub(crate) fn state_of(&self, id: &str) -> Result<MachineState, Refusal> {
        self.machines
            .get(id)
            .map(|machine| self.state(machine))
            .ok_or_else(|| not_found_as("i", id))
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
        for address in self.addresses.values_mut() {
            let on = address.association.as_ref();
            if on.is_some_and(|(_, interface)| !self.interfaces.contains_key(interface)) {
                address.association = None;
            }
        }
    }
}

fn wrong_state(id: &str, state: MachineState) -> Refusal {
    let (_, name) = state.code_and_name();
    Refusal::new(
        "IncorrectInstanceState",
        format!("The instance '{id}' is not in a state from which it can be changed: {name}."),
    )
}
