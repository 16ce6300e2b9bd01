//! The model: one region of one account, and everything in it.
//!
//! Nothing here knows an API's words but ids, which look like the vendor's. Time is the computer's plus
//! what a test adds; what a machine is doing is worked out when somebody looks.

mod buckets;
mod consistency;
mod ending;
mod fault;
mod guest;
mod hands;
mod journal;
mod machine;
mod settings;
mod site;

pub use crate::ec2::{Launch, LaunchInterface, Reservation, Subnet, WayOut};
pub use fault::{Effect, Fault};
pub use guest::{Guest, Running};
pub use machine::{Machine, MachineState, MetadataOptions};
pub use settings::{InstanceType, Settings, Zone};
pub use site::{Opening, Site, SiteMachine};

pub(crate) use crate::ec2::{
    Attachment, ElasticAddress, Interface, PlacementGroup, Rule, SecurityGroup, Target, VPC,
    subnet_of,
};
pub(crate) use consistency::{Earlier, not_found, not_found_as};
pub(crate) use ending::StateReason;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::time::Instant;

/// Tags of one object.
pub type Tags = BTreeMap<String, String>;

/// What a request is refused with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The vendor's code.
    pub code: String,
    /// The vendor's message, near enough.
    pub message: String,
}

impl Refusal {
    /// The client's fault.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    /// The cloud's own, which vendors send with a server's status.
    pub fn server(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(code, message) }
    }
}

/// One region of one account.
#[derive(Debug)]
pub struct Datacentre {
    pub(crate) settings: Settings,
    pub(crate) machines: BTreeMap<String, Machine>,
    pub(crate) interfaces: BTreeMap<String, Interface>,
    pub(crate) groups: BTreeMap<String, SecurityGroup>,
    pub(crate) placement_groups: BTreeMap<String, PlacementGroup>,
    pub(crate) addresses: BTreeMap<String, ElasticAddress>,
    pub(crate) guest: Option<Box<dyn Guest>>,
    pub(crate) journal: Option<journal::Journal>,
    /// How long each console was when somebody looked.
    consoles: BTreeMap<String, Vec<(Duration, usize)>>,
    /// How many machines with a tag there may be.
    pub(crate) tag_limits: BTreeMap<(String, String), u32>,
    /// Machines that will end before they run.
    endings: Vec<ending::Ending>,
    /// How many calls that look for security groups find none.
    calls_without_groups: u32,
    faults: Vec<Fault>,
    buckets: buckets::Buckets,
    calls: BTreeMap<String, u64>,
    /// When each object was made.
    births: BTreeMap<String, Duration>,
    started: Instant,
    added: Duration,
    next_id: u64,
    next_host: u32,
}

impl Datacentre {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            machines: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            groups: BTreeMap::new(),
            placement_groups: BTreeMap::new(),
            addresses: BTreeMap::new(),
            guest: None,
            journal: None,
            consoles: BTreeMap::new(),
            tag_limits: BTreeMap::new(),
            endings: Vec::new(),
            calls_without_groups: 0,
            faults: Vec::new(),
            buckets: buckets::Buckets::default(),
            calls: BTreeMap::new(),
            births: BTreeMap::new(),
            started: Instant::now(),
            added: Duration::ZERO,
            next_id: 0,
            next_host: 10,
        }
    }

    /// Time since the start.
    pub fn now(&self) -> Duration {
        self.started.elapsed() + self.added
    }

    /// Lets time pass.
    pub fn advance(&mut self, time: Duration) {
        self.added += time;
    }

    /// How often each operation was called.
    pub fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    pub(crate) fn count_call(&mut self, operation: &str) {
        *self.calls.entry(operation.to_owned()).or_default() += 1;
    }

    /// Something that will go wrong.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// What goes wrong with this call, if anything does; a fault is used up by as many calls as it says.
    pub(crate) fn fault(&mut self, operation: &str) -> Option<Effect> {
        let index = self.faults.iter().position(|fault| fault.operation == operation)?;
        let effect = self.faults[index].effect.clone();
        self.faults[index].times = self.faults[index].times.saturating_sub(1);
        if self.faults[index].times == 0 {
            self.faults.remove(index);
        }
        Some(effect)
    }

    /// Capacity of a zone for a type; `None` is without limit.
    pub fn limit(&mut self, zone: &str, instance_type: &str, machines: Option<u32>) {
        let zone = self.settings.zones.entry(zone.to_owned()).or_default();
        match machines {
            Some(machines) => {
                zone.capacity.insert(instance_type.to_owned(), machines);
            }
            None => {
                zone.capacity.remove(instance_type);
            }
        }
    }

    /// Capacity for machines that are launched with a tag; `None` is without limit.
    pub fn limit_tagged(&mut self, key: &str, value: &str, machines: Option<u32>) {
        let tag = (key.to_owned(), value.to_owned());
        match machines {
            Some(machines) => self.tag_limits.insert(tag, machines),
            None => self.tag_limits.remove(&tag),
        };
    }

    /// Changes what a datacentre is like from now on.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
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

    pub(crate) fn new_id(&mut self, prefix: &str) -> String {
        self.next_id += 1;
        let id = format!("{prefix}-{:017x}", self.next_id);
        self.births.insert(id.clone(), self.now());
        id
    }

    /// A private address that nothing had before.
    pub(crate) fn new_ip(&mut self) -> Ipv4Addr {
        self.next_host += 1;
        Ipv4Addr::from(u32::from(self.settings.private_block) + self.next_host)
    }

    /// The one range of all networks.
    pub(crate) fn private_range(&self) -> String {
        format!("{}/16", self.settings.private_block)
    }

    /// A public address that nothing had before.
    pub(crate) fn new_public_ip(&mut self) -> Ipv4Addr {
        self.next_host += 1;
        Ipv4Addr::from(u32::from(self.settings.public_block) + self.next_host)
    }

    /// The tags of any object by its id.
    pub(crate) fn tags_of(&mut self, id: &str) -> Option<&mut Tags> {
        if let Some(machine) = self.machines.get_mut(id) {
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
}
