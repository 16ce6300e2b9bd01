//! What runs on the machines: nothing, or whatever a test says that it is.

use super::{Datacentre, Machine, MachineState, Site, Tags};
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

    /// Tells the software how things are now.
    pub(crate) fn tell(&mut self, site: &Site) {
        if let Some(guest) = &mut self.guest {
            guest.follow(site);
        }
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

    /// What an API shows of it that keeps so many bytes: late by what the settings say at least, and the end
    /// of it.
    pub(crate) fn shown_console(&mut self, id: &str, most_bytes: usize) -> Option<String> {
        let mut text = self.console(id)?;
        let (now, delay) = (self.now(), self.settings.console_delay());
        if !delay.is_zero() {
            let looks = self.consoles.entry(id.to_owned()).or_default();
            looks.push((now, text.len()));
            let old = looks.iter().rev().find(|(at, _)| *at + delay <= now);
            text.truncate(text.floor_char_boundary(old.map_or(0, |(_, length)| *length)));
        }
        let start = text.ceil_char_boundary(text.len().saturating_sub(most_bytes));
        Some(text.split_off(start))
    }

    fn running(&self, machine: &Machine) -> Running {
        let up_for = (self.state(machine) == MachineState::Running)
            .then(|| self.now().saturating_sub(self.up_since(machine)));
        Running {
            id: machine.id.clone(),
            ip: machine.ip,
            tags: machine.launch_tags.clone(),
            shown_tags: if machine.sees_tags { machine.tags.clone() } else { Tags::new() },
            user_data: machine.user_data.clone(),
            boot: machine.boots,
            is_off: matches!(self.state(machine), MachineState::Stopping | MachineState::Stopped),
            up_for,
            index: machine.index,
        }
    }
}
