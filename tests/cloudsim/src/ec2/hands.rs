//! What people do by hand, past everybody who thinks that a machine is his.

use super::group::Target;
use super::instance::Instance;
use super::interface::Interface;
use super::region::Region;
use crate::datacentre::{End, Tags};

impl Region {
    /// Changes a tag of any object; `None` takes it away.
    pub fn retag(&mut self, id: &str, key: &str, value: Option<&str>) {
        let Some(tags) = self.tags_of(id) else { return };
        match value {
            Some(value) => tags.insert(key.to_owned(), value.to_owned()),
            None => tags.remove(key),
        };
    }

    /// Makes a machine's metadata service want tokens (`required`) or not (`optional`).
    pub fn set_metadata_tokens(&mut self, id: &str, tokens: &str) {
        if let Some(instance) = self.instances.get_mut(id) {
            tokens.clone_into(&mut instance.metadata.tokens);
        }
    }

    /// Takes a machine's interfaces out of their security groups.
    pub fn move_to_default_group(&mut self, id: &str) {
        for interface in self.interfaces.values_mut() {
            if interface.attachment.as_ref().is_some_and(|on| on.machine == id) {
                interface.groups = vec!["sg-default".to_owned()];
            }
        }
    }

    /// Publishes a newer build of every vendor's image.
    pub fn publish_images(&mut self, build: &str, day: &str) {
        self.account.builds.insert(build.to_owned(), day.to_owned());
    }

    /// Opens a port of a security group, by the group's name.
    pub fn open_port(&mut self, group: &str, port: u16, block: &str, description: &str) {
        let group = self.groups.values_mut().find(|found| found.name == group);
        if let Some(group) = group {
            group.open(port, block, description);
        }
    }

    /// Lets a security group's members in to each other at one TCP port and no other.
    pub fn let_members_in_only_at(&mut self, group: &str, port: u16) {
        let group = self.groups.values_mut().find(|found| found.name == group);
        for rule in group.into_iter().flat_map(|group| &mut group.ingress) {
            if matches!(rule.target, Target::Group(_)) {
                "tcp".clone_into(&mut rule.protocol);
                rule.ports = Some((port.into(), port.into()));
            }
        }
    }

    /// Closes everything that a security group lets in from address blocks.
    pub fn close_ports(&mut self, group: &str) {
        let group = self.groups.values_mut().find(|found| found.name == group);
        if let Some(group) = group {
            group.close();
        }
    }

    /// Takes the public address off an interface; both stay.
    pub fn take_public_address(&mut self, interface: &str) {
        for address in self.addresses.values_mut() {
            if address.association.as_ref().is_some_and(|(_, on)| on == interface) {
                address.association = None;
            }
        }
    }

    /// Takes the public address off a machine; both stay.
    pub fn take_public_address_of(&mut self, machine: &str) {
        let on = |interface: &Interface| {
            interface.attachment.as_ref().is_some_and(|on| on.machine == machine)
        };
        let interfaces = self.interfaces.values().filter(|interface| on(interface));
        for id in interfaces.map(|interface| interface.id.clone()).collect::<Vec<_>>() {
            self.take_public_address(&id);
        }
    }

    /// Puts an Elastic IP of a user's own, which has no tags, on a machine; answers its allocation id. What
    /// was on the machine stays the account's.
    ///
    /// # Panics
    /// When there is no such machine.
    pub fn attach_foreign_address(&mut self, machine: &str) -> String {
        let interface = self.primary(machine).expect("there is such a machine").id.clone();
        let address = self.new_address(Tags::new());
        self.put_address(&address.allocation, &interface);
        address.allocation
    }

    /// Whether an Elastic IP is the account's, by its allocation id.
    pub fn has_address(&self, allocation: &str) -> bool {
        self.addresses.contains_key(allocation)
    }

    /// Has so many calls that look for security groups meet a server that knows none yet.
    pub fn hide_group_for(&mut self, calls: u32) {
        self.calls_without_groups = calls;
    }

    /// Makes a machine disappear; answers whether there was such a one.
    pub fn lose(&mut self, id: &str) -> bool {
        self.end_all(&[id.to_owned()], &End::Lost).is_ok()
    }

    /// Takes a spot machine back; answers whether it is one.
    pub fn take_back(&mut self, id: &str) -> bool {
        self.instances.get(id).is_some_and(Instance::is_spot)
            && self.end_all(&[id.to_owned()], &End::TakenBack).is_ok()
    }

    /// The key pair that a machine was launched with.
    pub fn key_pair(&self, id: &str) -> Option<String> {
        self.instances.get(id)?.key_pair().cloned()
    }

    /// The ports that a security group opens to address blocks, by the group's name.
    pub fn open_ports(&self, group: &str) -> Vec<(i32, String)> {
        let group = self.groups.values().find(|found| found.name == group);
        let rules = group.into_iter().flat_map(|group| &group.ingress);
        rules
            .filter_map(|rule| match (&rule.target, rule.ports) {
                (Target::Block(block), Some((port, _))) => Some((port, block.clone())),
                _ => None,
            })
            .collect()
    }
}
