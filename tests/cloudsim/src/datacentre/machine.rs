//! Machines: what they are, and their life from launched to gone.

use super::{Datacentre, End, Tags};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// A machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// Its type, which changes.
    pub instance_type: String,
    /// Its address.
    pub ip: Option<Ipv4Addr>,
    /// What it boots from, in base64.
    pub user_data: String,
    /// Its place in its launch.
    pub index: u32,
    /// The tags that it was launched with.
    pub launch_tags: Tags,
    /// Its tags, which change.
    pub tags: Tags,
    /// Whether what runs on it is shown its tags, which changes.
    pub sees_tags: bool,
    /// When it was launched.
    pub launched_at: Duration,
    /// How much older than that it pretends to be.
    pub older_by: Duration,
    /// How often it has booted.
    pub boots: u32,
    rebooted_at: Duration,
    /// What it has printed where nothing says what runs on it.
    pub console: String,
    /// Why it was switched off or has ended.
    pub(super) end: Option<End>,
    order: Order,
}

/// A machine to be launched.
#[derive(Clone, Debug, Default)]
pub struct NewMachine {
    /// Its zone.
    pub zone: String,
    /// Its type.
    pub instance_type: String,
    /// Its address.
    pub ip: Option<Ipv4Addr>,
    /// What it boots from, in base64.
    pub user_data: String,
    /// Its place in its launch.
    pub index: u32,
    /// Its tags.
    pub tags: Tags,
    /// Whether what runs on it is shown its tags.
    pub sees_tags: bool,
}

impl Machine {
    /// Whether it was told to run.
    pub(crate) fn is_to_run(&self) -> bool {
        matches!(self.order, Order::Run(_))
    }

    /// Whether it was told to go for good.
    pub(crate) fn is_to_go(&self) -> bool {
        matches!(self.order, Order::End(_) | Order::Fail(_))
    }
}

/// The last thing that it was told, and when.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Run(Duration),
    Stop(Duration),
    End(Duration),
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
    Ending,
    /// Gone, and still listed.
    Ended,
}

impl MachineState {
    /// Its name here; a cloud has its own.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }

    /// Whether it still holds its place.
    pub fn lives(self) -> bool {
        self != Self::Ended
    }
}

/// Why a machine does not do what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no such machine.
    Unknown,
    /// It cannot from the state that it is in.
    In(MachineState),
}

impl Datacentre {
    /// Starts a machine, which boots from now on; whether there is room for it was asked before.
    pub(crate) fn start(&mut self, id: &str, new: NewMachine) {
        let now = self.now();
        let (order, end) = self.first_order(&new.tags);
        let machine = Machine {
            id: id.to_owned(),
            zone: new.zone,
            instance_type: new.instance_type,
            ip: new.ip,
            user_data: new.user_data,
            index: new.index,
            launch_tags: new.tags.clone(),
            tags: new.tags,
            sees_tags: new.sees_tags,
            launched_at: now,
            older_by: Duration::ZERO,
            boots: 1,
            rebooted_at: now,
            console: self.settings.console.clone(),
            end,
            order,
        };
        self.machines.insert(id.to_owned(), machine);
    }

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
            Order::End(since) if is_up_until(since + end) => MachineState::Ending,
            Order::End(_) => MachineState::Ended,
            // It never has power.
            Order::Fail(since) if now < since + boot => MachineState::Pending,
            Order::Fail(_) => MachineState::Ended,
        }
    }

    /// Turns it on again: same address, same disk.
    pub(crate) fn turn_on(&mut self, id: &str) -> Result<(), Refused> {
        let now = self.now();
        match self.state_of(id)? {
            MachineState::Pending | MachineState::Running => Ok(()),
            MachineState::Stopped => {
                let machine = self.machine_mut(id)?;
                machine.order = Order::Run(now);
                machine.end = None;
                machine.boots += 1;
                Ok(())
            }
            state => Err(Refused::In(state)),
        }
    }

    /// Boots a machine that runs once more.
    pub(crate) fn reboot(&mut self, id: &str) -> Result<(), Refused> {
        let now = self.now();
        match self.state_of(id)? {
            MachineState::Running => {
                let machine = self.machine_mut(id)?;
                machine.rebooted_at = now;
                machine.boots += 1;
                Ok(())
            }
            state => Err(Refused::In(state)),
        }
    }

    pub(crate) fn turn_off(&mut self, id: &str) -> Result<(), Refused> {
        let now = self.now();
        match self.state_of(id)? {
            MachineState::Pending | MachineState::Running => {
                let machine = self.machine_mut(id)?;
                machine.order = Order::Stop(now);
                machine.end = Some(End::ByUser);
                Ok(())
            }
            MachineState::Stopping | MachineState::Stopped => Ok(()),
            state => Err(Refused::In(state)),
        }
    }

    /// Ends it for good; to repeat it changes nothing, and who has ended keeps his reason.
    pub(crate) fn end(&mut self, id: &str, why: End) -> Result<(), Refused> {
        let now = self.now();
        let lives = self.state_of(id)?.lives();
        let machine = self.machine_mut(id)?;
        if lives && !matches!(machine.order, Order::End(_)) {
            machine.order = Order::End(now);
            machine.end = Some(why);
        }
        Ok(())
    }

    /// Since when a machine that runs has been running.
    pub(super) fn up_since(&self, machine: &Machine) -> Duration {
        let ordered = match machine.order {
            Order::Run(since) | Order::Stop(since) | Order::End(since) | Order::Fail(since) => {
                since
            }
        };
        (ordered + self.settings.boot()).max(machine.rebooted_at)
    }

    pub(crate) fn machine_mut(&mut self, id: &str) -> Result<&mut Machine, Refused> {
        self.machines.get_mut(id).ok_or(Refused::Unknown)
    }

    pub(crate) fn state_of(&self, id: &str) -> Result<MachineState, Refused> {
        self.machines.get(id).map(|machine| self.state(machine)).ok_or(Refused::Unknown)
    }
}

/// What happens to machines behind the provider's back, and what shows of them.
impl Datacentre {
    /// The machines that live, in a few words each.
    pub fn living(&self) -> Vec<BTreeMap<String, String>> {
        let machines = self.machines.values().filter(|machine| self.state(machine).lives());
        machines
            .map(|machine| {
                let mut shown = machine.tags.clone();
                shown.insert("id".to_owned(), machine.id.clone());
                shown.insert("state".to_owned(), self.state(machine).as_str().to_owned());
                shown.insert("type".to_owned(), machine.instance_type.clone());
                shown.extend(machine.ip.map(|ip| ("ip".to_owned(), ip.to_string())));
                shown
            })
            .collect()
    }

    /// Switches a machine off; answers whether there is such a one.
    pub fn power_off(&mut self, id: &str) -> bool {
        self.turn_off(id).is_ok()
    }

    /// Makes a machine disappear; answers whether there was such a one.
    pub fn lose(&mut self, id: &str) -> bool {
        self.end(id, End::Lost).is_ok()
    }

    /// Makes a machine one of another type.
    pub fn set_type(&mut self, id: &str, instance_type: &str) {
        if let Some(machine) = self.machines.get_mut(id) {
            instance_type.clone_into(&mut machine.instance_type);
        }
    }

    /// Makes a machine older than it is.
    pub fn age(&mut self, id: &str, by: Duration) {
        if let Some(machine) = self.machines.get_mut(id) {
            machine.older_by += by;
        }
    }
}
