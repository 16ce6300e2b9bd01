//! The core of every simulated cloud: a clock, zones with capacity, machines with a life and what runs on
//! them, and what goes wrong. A cloud stands above it, as `ec2` does, and keeps there what it has beside
//! machines, its words and its codes.
//!
//! Nothing here knows a cloud. Time is the computer's plus what a test adds; what a machine is doing is
//! worked out when somebody looks.

mod buckets;
mod capacity;
mod clock;
mod consistency;
mod ending;
mod fault;
mod guest;
mod journal;
mod machine;
mod operation;
mod settings;
mod site;

pub use capacity::Lack;
pub use ending::End;
pub use fault::{Effect, Fault};
pub use guest::{Guest, Running};
pub use machine::{Machine, MachineState, NewMachine};
pub use operation::Operation;
pub use settings::{Settings, Zone};
pub use site::{Opening, Site, SiteMachine, WayOut};

pub(crate) use buckets::Size;
pub(crate) use consistency::History;
pub(crate) use machine::Refused;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Tags of one object.
pub type Tags = BTreeMap<String, String>;

/// One region's machines, in one account.
#[derive(Debug)]
pub struct Datacentre {
    pub(crate) settings: Settings,
    pub(crate) machines: BTreeMap<String, Machine>,
    pub(crate) journal: Option<journal::Journal>,
    clock: clock::Clock,
    guest: Option<Box<dyn Guest>>,
    /// How long each console was when somebody looked.
    consoles: BTreeMap<String, Vec<(Duration, usize)>>,
    /// How many machines with a tag there may be.
    tag_limits: BTreeMap<(String, String), u32>,
    /// Machines that will end before they run.
    endings: Vec<ending::Ending>,
    operations: BTreeMap<String, operation::Accepted>,
    faults: Vec<Fault>,
    buckets: buckets::Buckets,
    calls: BTreeMap<String, u64>,
    /// When each object was made.
    births: BTreeMap<String, Duration>,
    next_id: u64,
    next_host: u32,
}

impl Datacentre {
    /// An empty one.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            machines: BTreeMap::new(),
            journal: None,
            clock: clock::Clock::start(),
            guest: None,
            consoles: BTreeMap::new(),
            tag_limits: BTreeMap::new(),
            endings: Vec::new(),
            operations: BTreeMap::new(),
            faults: Vec::new(),
            buckets: buckets::Buckets::default(),
            calls: BTreeMap::new(),
            births: BTreeMap::new(),
            next_id: 0,
            next_host: 10,
        }
    }

    /// Changes what a datacentre is like from now on.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// How often each operation of the API was called.
    pub fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    pub(crate) fn count_call(&mut self, operation: &str) {
        self.clock.release();
        *self.calls.entry(operation.to_owned()).or_default() += 1;
    }

    /// An id that nothing has, as the cloud's ids look. From now on the object is made.
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
}
