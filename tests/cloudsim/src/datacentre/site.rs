//! What a datacentre looks like to whatever boots its machines for real: every machine with its network's
//! rules worked out by the cloud, so that nobody else has to know what they are made of.

use super::Tags;
use serde::Deserialize;
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
    /// The identity that it may use.
    pub identity: Option<String>,
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

/// What leads out of a subnet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayOut {
    /// Nothing.
    None,
    /// Endpoints of some services.
    Endpoints,
    /// An internet gateway: what has a public address.
    #[default]
    Gateway,
    /// NAT.
    Nat,
}
