//! What runs on the machines: nothing, or whatever a test says that it is.

use super::{Datacentre, Interface, Machine, MachineState, Site, Tags};
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::time::Duration;

/// The software on all machines, as far as it shows.
pub trait Guest: Debug + Send {
    /// What a machine has printed on its serial console in all its boots.
    fn console(&self, machine: &Running, all: &[Running]) -> String;

    /// How things are now; called whenever something may have changed.
    fn follow(&mut self, _site: &Site) {}

    /// Whether a machine has power. `None` where nothing boots: then the clock says what it is doing.
    fn is_up(&self, _id: &str) -> Option<bool> {
        None
    }
}

/// A machine as its guest knows it.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its id.
    pub id: String,
    /// Its address.
    pub ip: Option<Ipv4Addr>,
    /// The tags that it was launched with: whatever is tagged later, its software is what it is.
    pub tags: Tags,
    /// The tags that its metadata service shows it now.
    pub shown_tags: Tags,
    /// What it boots from, in base64.
    pub user_data: String,
    /// Which boot this is, from 1.
    pub boot: u32,
    /// Whether it has been switched off, after this boot.
    pub is_off: bool,
    /// How long it has been up; none when it is not.
    pub up_for: Option<Duration>,
    /// Its place in its launch.
    pub index: u32,
}

impl Datacentre {
    /// Puts software on all machines.
    pub fn set_guest(&mut self, guest: impl Guest + 'static) {
        self.guest = Some(Box::new(guest));
    }

    /// What a machine has printed, if there is such a one.
    pub fn console(&self, id: &str) -> Option<String> {
        self.machines.get(id).map(|machine| self.console_of(machine))
    }

    /// What a machine has printed.
    fn console_of(&self, machine: &Machine) -> String {
        let Some(guest) = &self.guest else { return machine.console.clone() };
        let all: Vec<Running> = self.machines.values().map(|one| self.running(one)).collect();
        guest.console(&self.running(machine), &all)
    }

    /// What the API shows of it: late by what the settings say at least, and the end of it.
    pub(crate) fn shown_console(&mut self, id: &str) -> Option<String> {
        let mut text = self.console(id)?;
        let (now, delay) = (self.now(), self.settings.console_delay());
        if !delay.is_zero() {
            let looks = self.consoles.entry(id.to_owned()).or_default();
            looks.push((now, text.len()));
            let old = looks.iter().rev().find(|(at, _)| *at + delay <= now);
            text.truncate(text.floor_char_boundary(old.map_or(0, |(_, length)| *length)));
        }
        let start = text.ceil_char_boundary(text.len().saturating_sub(MOST_CONSOLE_BYTES));
        Some(text.split_off(start))
    }

    pub(crate) fn running(&self, machine: &Machine) -> Running {
        let up_for = (self.state(machine) == MachineState::Running)
            .then(|| self.now().saturating_sub(self.up_since(machine)));
        Running {
            id: machine.id.clone(),
            ip: self.primary(&machine.id).and_then(|interface| interface.ip),
            tags: machine.launch.tags.clone(),
            shown_tags: if machine.metadata.tags == "enabled" {
                machine.tags.clone()
            } else {
                Tags::default()
            },
            user_data: machine.launch.user_data.clone(),
            boot: machine.boots,
            is_off: matches!(self.state(machine), MachineState::Stopping | MachineState::Stopped),
            up_for,
            index: machine.index,
        }
    }

    /// The first interface of a machine.
    pub(crate) fn primary(&self, machine: &str) -> Option<&Interface> {
        self.interfaces.values().find(|interface| {
            let on = interface.attachment.as_ref();
            on.is_some_and(|on| on.machine == machine && (on.device, on.card) == (0, 0))
        })
    }
}

/// What EC2 keeps of a console.
const MOST_CONSOLE_BYTES: usize = 64 << 10;
