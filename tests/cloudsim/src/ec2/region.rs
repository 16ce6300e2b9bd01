//! One region of one account: a datacentre with all that EC2 has in it.

use super::account::{Account, Settings};
use super::address::ElasticAddress;
use super::group::{PlacementGroup, SecurityGroup};
use super::instance::Instance;
use super::interface::{Attachment, Interface};
use super::subnet::subnet_of;
use crate::datacentre::{Datacentre, Tags, Zone};
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

/// A region of EC2. What all clouds have in common is its [`Datacentre`]'s.
#[derive(Debug)]
pub struct Region {
    datacentre: Datacentre,
    pub(super) account: Account,
    /// What the machines are to EC2, by their ids.
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) interfaces: BTreeMap<String, Interface>,
    pub(super) groups: BTreeMap<String, SecurityGroup>,
    pub(super) placement_groups: BTreeMap<String, PlacementGroup>,
    pub(super) addresses: BTreeMap<String, ElasticAddress>,
    /// How many calls that look for security groups find none.
    pub(super) calls_without_groups: u32,
}

impl Deref for Region {
    type Target = Datacentre;

    fn deref(&self) -> &Datacentre {
        &self.datacentre
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut Datacentre {
        &mut self.datacentre
    }
}

impl Region {
    /// An empty one; one that is not named is us-east-2, with three zones.
    pub fn new(settings: Settings) -> Self {
        let Settings { mut datacentre, account } = settings;
        if datacentre.region.is_empty() {
            datacentre.region = "us-east-2".to_owned();
        }
        if datacentre.zones.is_empty() {
            let zone = |letter| (format!("{}{letter}", datacentre.region), Zone::default());
            datacentre.zones = ["a", "b", "c"].map(zone).into();
        }
        Self {
            datacentre: Datacentre::new(datacentre),
            account,
            instances: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            groups: BTreeMap::new(),
            placement_groups: BTreeMap::new(),
            addresses: BTreeMap::new(),
            calls_without_groups: 0,
        }
    }

    /// Changes what the account has from now on.
    pub fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    /// Everything that costs money or holds a name, in a few words each: what a destroy must not leave.
    pub fn left(&self) -> Vec<String> {
        let machines = self.machines.values().filter(|machine| self.state(machine).lives());
        let machines = machines.map(|machine| format!("instance {}", machine.id));
        let interfaces = self.interfaces.keys().map(|id| format!("interface {id}"));
        let addresses = self.addresses.keys().map(|id| format!("address {id}"));
        let groups = self.groups.values().filter(|group| group.name != "default");
        let groups = groups.map(|group| format!("security group {}", group.name));
        let placement = self.placement_groups.keys().map(|name| format!("placement group {name}"));
        machines.chain(interfaces).chain(addresses).chain(groups).chain(placement).collect()
    }

    /// Somebody else's interface in a security group of this name; answers its id.
    pub fn add_stranger(&mut self, group: &str, description: &str) -> String {
        let groups = self.groups.values().filter(|found| found.name == group);
        let groups = groups.map(|found| found.id.clone()).collect();
        let (id, ip) = (self.new_id("eni"), self.new_ip());
        let zone = self.settings.zones.keys().next().cloned().unwrap_or_default();
        let stranger = Interface {
            id: id.clone(),
            subnet: subnet_of(&zone),
            ip: Some(ip),
            groups,
            description: description.to_owned(),
            kind: "interface".to_owned(),
            attachment: None,
            token: None,
            tags: Tags::new(),
        };
        self.interfaces.insert(id.clone(), stranger);
        id
    }

    /// What kind each interface is, in no order.
    pub fn interface_kinds(&self) -> Vec<String> {
        self.interfaces.values().map(|interface| interface.kind.clone()).collect()
    }

    /// The elastic addresses of the account, by the machine that each is on.
    pub fn elastic_ips(&mut self) -> Vec<Option<String>> {
        self.tidy();
        let machine = |interface: &String| {
            Some(self.interfaces.get(interface)?.attachment.as_ref()?.machine.clone())
        };
        let addresses = self.addresses.values();
        addresses
            .map(|address| address.association.as_ref().and_then(|(_, on)| machine(on)))
            .collect()
    }

    /// The tags of any object by its id.
    pub(super) fn tags_of(&mut self, id: &str) -> Option<&mut Tags> {
        if let Some(machine) = self.datacentre.machines.get_mut(id) {
            return Some(&mut machine.tags);
        }
        if let Some(interface) = self.interfaces.get_mut(id) {
            return Some(&mut interface.tags);
        }
        if let Some(address) = self.addresses.get_mut(id) {
            return Some(&mut address.tags);
        }
        self.groups.get_mut(id).map(|group| &mut group.tags)
    }

    /// Takes the interfaces of machines that have ended.
    pub(super) fn tidy(&mut self) {
        let ended = self.machines.values().filter(|machine| !self.state(machine).lives());
        let ended: Vec<String> = ended.map(|machine| machine.id.clone()).collect();
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
