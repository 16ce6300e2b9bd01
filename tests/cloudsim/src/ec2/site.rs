//! The site as EC2 makes it: security groups worked out, public addresses, ways out of subnets.

use super::group::{Rule, Target};
use super::interface::Interface;
use super::region::Region;
use crate::datacentre::{Opening, Site, SiteMachine, Tags};
use std::net::Ipv4Addr;

impl Region {
    /// Tells the guest how things are now. The server does it after every call; who changes something by
    /// hand does it himself.
    pub fn tell_guest(&mut self) {
        let site = self.site();
        self.tell(&site);
    }

    fn site(&self) -> Site {
        let living = self.machines.values().filter(|machine| !machine.is_to_go());
        let machines = living.filter_map(|machine| {
            let interface = self.primary(&machine.id)?;
            let instance = self.instances.get(&machine.id)?;
            let groups = || interface.groups.iter().filter_map(|group| self.groups.get(group));
            Some(SiteMachine {
                id: machine.id.clone(),
                ip: machine.ip?,
                public_ip: self.public_ip(&interface.id).map(|address| address.ip),
                way_out: self.subnet(&interface.subnet).ok()?.way_out,
                zone: machine.zone.clone(),
                instance_type: machine.instance_type.clone(),
                image: instance.launch.image.clone(),
                identity: instance.launch.profile.clone(),
                metadata_tags: if machine.sees_tags { machine.tags.clone() } else { Tags::new() },
                wants_token: instance.metadata.tokens == "required",
                user_data: machine.user_data.clone(),
                boot: machine.boots,
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
