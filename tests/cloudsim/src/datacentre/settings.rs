//! What a datacentre is like: its zones, how long things take, and how many machines there may be.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

/// A datacentre. Whatever is left out is as in [`Settings::default`], which has no zones: a cloud gives it its
/// own.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its region's name.
    pub region: String,
    /// Its zones, by name.
    pub zones: BTreeMap<String, Zone>,
    /// Seconds from launch to running.
    pub boot_seconds: f64,
    /// Seconds from the order to ended, and to stopped.
    pub end_seconds: f64,
    /// Machines that the account may have.
    pub most_machines: Option<u32>,
    /// Where public addresses begin; by default in the block for benchmarks, where nothing is.
    pub public_block: Ipv4Addr,
    /// Where private addresses begin, 65,536 of them.
    pub private_block: Ipv4Addr,
    /// What every machine prints on its console.
    pub console: String,
    /// Whether the account's token buckets hold.
    pub throttles: bool,
    /// Seconds until what a machine has printed can be read.
    pub console_seconds: f64,
    /// Seconds until every server of the API knows a new object.
    pub known_after_seconds: f64,
    /// Seconds from an operation's acceptance to its decision, in a cloud that has operations.
    pub operation_seconds: f64,
}

/// A zone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    /// Machines that there are of a type; a type that is not named is without limit.
    pub capacity: BTreeMap<String, u32>,
    /// Types that are not offered here.
    pub without: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: String::new(),
            zones: BTreeMap::new(),
            boot_seconds: 0.0,
            end_seconds: 0.0,
            most_machines: None,
            public_block: Ipv4Addr::new(198, 18, 0, 0),
            private_block: Ipv4Addr::new(172, 31, 0, 0),
            console: String::new(),
            throttles: false,
            console_seconds: 0.0,
            known_after_seconds: 0.0,
            operation_seconds: 0.0,
        }
    }
}

impl Settings {
    /// Has new objects known so late, and machines boot a moment after that: what has booted is known, as it
    /// is in any real datacentre.
    pub fn know_after(&mut self, seconds: f64) {
        self.known_after_seconds = seconds;
        self.boot_seconds = seconds + 0.2;
    }

    pub(crate) fn boot(&self) -> Duration {
        Duration::from_secs_f64(self.boot_seconds)
    }

    pub(crate) fn console_delay(&self) -> Duration {
        Duration::from_secs_f64(self.console_seconds)
    }

    pub(crate) fn end(&self) -> Duration {
        Duration::from_secs_f64(self.end_seconds)
    }
}
