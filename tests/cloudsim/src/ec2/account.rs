//! What EC2 offers an account beside a datacentre: types, images, subnets, and what the account may have.

use super::{Reservation, Subnet};
use crate::datacentre;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A region: its datacentre, and the account's part of EC2.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Its datacentre.
    pub datacentre: datacentre::Settings,
    /// Its account.
    pub account: Account,
}

impl From<datacentre::Settings> for Settings {
    fn from(datacentre: datacentre::Settings) -> Self {
        Self { datacentre, account: Account::default() }
    }
}

impl From<Account> for Settings {
    fn from(account: Account) -> Self {
        Self { datacentre: datacentre::Settings::default(), account }
    }
}

/// An account. Whatever is left out is as in [`Account::default`].
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    /// Types of machines, by name.
    pub types: BTreeMap<String, InstanceType>,
    /// Elastic addresses that it may have.
    pub most_addresses: Option<u32>,
    /// Whether the default subnets lead to an internet gateway.
    pub public: bool,
    /// Subnets beside the default ones, by their ids.
    pub subnets: BTreeMap<String, Subnet>,
    /// Reserved capacity, by its id.
    pub reservations: BTreeMap<String, Reservation>,
    /// Builds of the vendors' images, with the day of each.
    pub builds: BTreeMap<String, String>,
    /// Images beside those of the vendors.
    pub images: Vec<String>,
    /// Instance profiles that exist.
    pub profiles: Vec<String>,
    /// Key pairs that exist.
    pub key_pairs: Vec<String>,
    /// Seconds until every server of the API knows how an Elastic IP was changed.
    pub changes_known_after_seconds: f64,
}

/// A type of machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceType {
    /// Virtual CPUs.
    pub cpu: u32,
    /// Main memory in GB.
    pub memory_gb: u32,
    /// GPUs: how many and which.
    #[serde(default)]
    pub gpus: Option<(u32, String)>,
    /// Network cards.
    #[serde(default = "one")]
    pub cards: u32,
    /// Interfaces that each of its cards has at most.
    #[serde(default = "four")]
    pub interfaces: u32,
    /// Interfaces with EFA at most.
    #[serde(default)]
    pub efa: u32,
    /// Whether it can be in a cluster placement group.
    #[serde(default = "yes")]
    pub clusters: bool,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            types: types(),
            most_addresses: Some(5),
            public: true,
            subnets: BTreeMap::new(),
            reservations: BTreeMap::new(),
            builds: [("20260901", "2026-09-01"), ("20261101", "2026-11-01")]
                .map(|(build, day)| (build.to_owned(), day.to_owned()))
                .into(),
            images: Vec::new(),
            profiles: Vec::new(),
            key_pairs: Vec::new(),
            changes_known_after_seconds: 0.0,
        }
    }
}

/// Some types of 2026, after EC2's own description of them.
fn types() -> BTreeMap<String, InstanceType> {
    let cpu = |cpu, memory_gb, interfaces, clusters| InstanceType {
        cpu,
        memory_gb,
        gpus: None,
        cards: 1,
        interfaces,
        efa: 0,
        clusters,
    };
    let gpu = |cpu, memory_gb, count, model: &str, cards, efa, interfaces| InstanceType {
        cpu,
        memory_gb,
        gpus: Some((count, model.to_owned())),
        cards,
        interfaces,
        efa,
        clusters: true,
    };
    [
        ("t3.medium", cpu(2, 4, 3, false)),
        ("c7i.large", cpu(2, 4, 3, true)),
        ("c7i.xlarge", cpu(4, 8, 4, true)),
        ("m7i.large", cpu(2, 8, 3, true)),
        ("m7i.xlarge", cpu(4, 16, 4, true)),
        ("m7i.2xlarge", cpu(8, 32, 4, true)),
        ("g6.xlarge", gpu(4, 16, 1, "L4", 1, 0, 4)),
        ("g6.8xlarge", gpu(32, 128, 1, "L4", 1, 1, 8)),
        ("g6.12xlarge", gpu(48, 192, 4, "L4", 1, 1, 8)),
        ("g6.48xlarge", gpu(192, 768, 8, "L4", 1, 1, 15)),
        ("g6e.24xlarge", gpu(96, 768, 4, "L40S", 2, 2, 10)),
        ("p4d.24xlarge", gpu(96, 1152, 8, "A100", 4, 4, 15)),
        ("p5.4xlarge", gpu(16, 256, 1, "H100", 1, 1, 4)),
        ("p5.48xlarge", gpu(192, 2048, 8, "H100", 32, 32, 2)),
        ("p5en.48xlarge", gpu(192, 2048, 8, "H200", 16, 16, 4)),
        ("p6-b300.48xlarge", gpu(192, 4096, 8, "B300", 17, 16, 4)),
    ]
    .into_iter()
    .map(|(name, kind)| (name.to_owned(), kind))
    .collect()
}

fn one() -> u32 {
    1
}

fn four() -> u32 {
    4
}

fn yes() -> bool {
    true
}
