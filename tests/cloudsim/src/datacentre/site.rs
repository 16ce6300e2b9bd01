//! What a datacentre looks like to whatever boots its machines for real: every machine with its network's
//! rules worked out, so that nobody else has to know what a security group is.

use super::{Datacentre, Interface, Rule, Running, Tags, Target, WayOut};
use std::net::Ipv4Addr;

/// Every machine that holds its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// In the order of their ids.
    pub machines: Vec<SiteMachine>,
}

/// A machine and its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteMachine {
    /// Its id.
    pub id: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Its public address.
    pub public_ip: Option<Ipv4Addr>,
    /// What leads out of its subnet.
    pub way_out: WayOut,
    /// Its zone.
    pub zone: String,
    /// Its type.
    pub instance_type: String,
    /// Its image.
    pub image: String,
    /// Its instance profile.
    pub profile: Option<String>,
    /// Its tags as its metadata service tells them; none when that is not asked for.
    pub metadata_tags: Tags,
    /// Whether its metadata service wants a session token.
    pub wants_token: bool,
    /// What it boots from, in base64.
    pub user_data: String,
    /// Which boot this is, from 1.
    pub boot: u32,
    /// Whether it is to be on.
    pub is_on: bool,
    /// Who may reach it.
    pub ingress: Vec<Opening>,
    /// Whom it may reach.
    pub egress: Vec<Opening>,
}

/// What is let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// `tcp`, `udp`, `icmp`; none is every protocol.
    pub protocol: Option<String>,
    /// First and last port; none is every port.
    pub ports: Option<(i32, i32)>,
    /// Blocks and addresses of the other side.
    pub others: Vec<String>,
}

impl Datacentre {
    /// Tells the guest how things are now. The server does it after every call; who changes something by
    /// hand does it himself.
    pub fn tell_guest(&mut self) {
        let site = self.site();
        if let Some(guest) = &mut self.guest {
            guest.follow(&site);
        }
    }

    fn site(&self) -> Site {
        let living = self.machines.values().filter(|machine| !machine.is_to_go());
        let machines = living.filter_map(|machine| {
            let interface = self.primary(&machine.id)?;
            let Running { id, ip, user_data, boot, .. } = self.running(machine);
            let groups = || interface.groups.iter().filter_map(|group| self.groups.get(group));
            let shows_tags = machine.metadata.tags == "enabled";
            Some(SiteMachine {
                id,
                ip: ip?,
                public_ip: self.public_ip(&interface.id).map(|address| address.ip),
                way_out: self.subnet(&interface.subnet).ok()?.way_out,
                zone: machine.zone.clone(),
                instance_type: machine.instance_type.clone(),
                image: machine.launch.image.clone(),
                profile: machine.launch.profile.clone(),
                metadata_tags: if shows_tags { machine.tags.clone() } else { Tags::new() },
                wants_token: machine.metadata.tokens == "required",
                user_data,
                boot,
                is_on: machine.is_to_run(),
                ingress: groups().flat_map(|group| self.openings(&group.ingress)).collect(),
                egress: groups().flat_map(|group| self.openings(&group.egress)).collect(),
            })
        });
        Site { machines: machines.collect() }
    }

    fn openings(&self, rules: &[Rule]) -> Vec<Opening> {
        let openings = rules.iter().map(|rule| Opening {
            protocol: (rule.protocol != "-1").then(|| rule.protocol.clone()),
            ports: rule.ports.filter(|_| rule.protocol != "-1"),
            others: match &rule.target {
                Target::Block(block) => vec![block.clone()],
                Target::Group(group) => self.members(group).map(|ip| ip.to_string()).collect(),
            },
        });
        openings.filter(|opening| !opening.others.is_empty()).collect()
    }

    /// The addresses of a security group's members.
    fn members(&self, group: &str) -> impl Iterator<Item = Ipv4Addr> {
        let is_in = move |interface: &&Interface| interface.groups.iter().any(|one| one == group);
        self.interfaces.values().filter(is_in).filter_map(|interface| interface.ip)
    }
}
