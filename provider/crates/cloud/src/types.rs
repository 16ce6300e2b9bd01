//! The nouns of the contract. Ids are opaque and typed, times are what the cloud says.
//!
//! Deliberately not here: services, roles, engines. A cloud sees instances, addresses and tags.

use crate::offer::Interconnect;
use crate::tags::{Phase, Tags};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, net::IpAddr};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// An instance, in the cloud's own words (`i-0abc…`).
    InstanceId
);
id!(
    /// A reserved address, in the cloud's own words (`eni-0abc…`).
    AddressId
);

/// Anything that carries tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectId {
    /// The fleet itself.
    Fleet,
    /// A reserved address.
    Address(AddressId),
    /// An instance.
    Instance(InstanceId),
}

/// Which fleet of which region: the name is claimed once per account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FleetKey {
    /// `us-east-2`, `europe-west4`, …; `local` on the local cloud.
    pub region: String,
    /// The fleet's name.
    pub name: String,
}

impl fmt::Display for FleetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.name)
    }
}

/// How the instances of a fleet are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacementStrategy {
    /// One fast fabric: cluster placement group, compact placement policy, availability set.
    Cluster,
    /// The same zone, and nothing more is asked for.
    Zone,
}

/// Where a fleet can be: a zone, a subnet, both, or neither where a cloud does not tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The zone.
    pub zone: Option<String>,
    /// The subnet; none is the cloud's default one.
    pub subnet: Option<String>,
}

/// Which sites are meant: those of this zone, in this subnet, that offer all of these types. What is left
/// out does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteFilter {
    /// The zone.
    pub zone: Option<String>,
    /// The subnet.
    pub subnet: Option<String>,
    /// Types of instances.
    pub instance_types: Vec<String>,
}

/// A fleet to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetRequest {
    /// Its name and region.
    pub key: FleetKey,
    /// Its one zone; none where a cloud has no zones, or leaves it to the machines.
    pub zone: Option<String>,
    /// Its subnet in that zone; the cloud's default one when none is given.
    pub subnet: Option<String>,
    /// The interconnects that its machines are to have, as far as that is known when it is made: a cloud that has
    /// a network of its own for each makes those, and one whose network carries all of them need not look.
    pub fabrics: BTreeSet<Interconnect>,
    /// How its instances are placed.
    pub placement: PlacementStrategy,
    /// Tags of everything that is made for it.
    pub tags: Tags,
}

/// A fleet as the cloud has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its name and region.
    pub key: FleetKey,
    /// Its one zone, in a cloud that has any.
    pub zone: Option<String>,
    /// Its subnet, in a cloud that has any.
    pub subnet: Option<String>,
    /// How its instances are placed.
    pub placement: PlacementStrategy,
    /// Its tags.
    pub tags: Tags,
    /// What may reach its services from outside, ordered by service.
    pub ingress: Vec<Ingress>,
    /// Access to its instances for people.
    pub ssh: Option<SshAccess>,
    /// What about it is not as it was made (object → finding); empty when all is well.
    pub findings: std::collections::BTreeMap<String, String>,
}

/// An internal address to be reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRequest {
    /// Where.
    pub fleet: FleetKey,
    /// Whether clients outside reach it by a public address; `None` leaves it to the network: one that
    /// leads to the internet gives one. Asked for again with another wish, the address gets or loses it.
    pub public: Option<bool>,
    /// Same token, same address.
    pub token: String,
    /// Its tags.
    pub tags: Tags,
}

/// A reserved internal address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its id.
    pub id: AddressId,
    /// The address inside the fleet.
    pub ip: IpAddr,
    /// The address clients outside reach it by, where there is one.
    pub public_ip: Option<IpAddr>,
    /// The instance that holds it, whatever has become of its tags.
    pub instance: Option<InstanceId>,
    /// Its tags.
    pub tags: Tags,
}

impl Fleet {
    /// How far its creation has come.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.tags)
    }
}

impl Address {
    /// How far its creation has come.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.tags)
    }

    /// Where clients reach it: from outside where that is possible.
    pub fn reachable(&self) -> IpAddr {
        self.public_ip.unwrap_or(self.ip)
    }

    /// Whether the instance is at this address. Of one that was launched there a moment ago the cloud may still name
    /// another holder, or none; one whose own address is not listed may be its holder.
    pub fn is_held_by(&self, instance: &Instance) -> bool {
        self.instance.as_ref() == Some(&instance.id) || instance.ip == Some(self.ip)
    }
}

/// An instance as the cloud has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// What it is doing.
    pub state: InstanceState,
    /// Its address inside the fleet, once it has one.
    pub ip: Option<IpAddr>,
    /// Its type.
    pub instance_type: String,
    /// The image it was made from, in a cloud that tells.
    pub image: Option<String>,
    /// The moment it was asked for, seconds since 1970 by the cloud's clock; in some clouds the moment of its latest
    /// start, so that one which was started again counts as younger than it is.
    pub launched_at: u64,
    /// Its tags.
    pub tags: Tags,
    /// What about it is not as it was made, besides its state and its tags.
    pub findings: Vec<Finding>,
}

impl Instance {
    /// How far it is in its life.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.tags)
    }
}

/// Something about an instance that somebody has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is found, as in `its metadata service answers without a token`.
    pub text: String,
    /// Whether [`Cloud::repair_instance`](crate::Cloud::repair_instance) puts it back; else only another
    /// instance is as it should be.
    pub repairable: bool,
}

/// The lifecycle of an instance, in the field's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstanceState {
    /// Accepted, not up yet.
    Pending,
    /// Up, as far as the cloud can see.
    Running,
    /// Up, but the cloud's own checks fail.
    Impaired,
    /// Nobody can tell: the cloud has lost sight of it. It may be at work, and nothing takes its place.
    Unreachable,
    /// On its way to `Stopped`.
    Stopping,
    /// Off, with its disk and its address.
    Stopped,
    /// On its way out.
    Terminating,
}

impl InstanceState {
    /// The word in state, in drift findings and in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Impaired => "impaired",
            Self::Unreachable => "unreachable",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Terminating => "terminating",
        }
    }

    /// Whether it is or will be at work without anyone doing anything, as far as anybody can tell.
    pub fn is_up(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Impaired | Self::Unreachable => true,
            Self::Stopping | Self::Stopped | Self::Terminating => false,
        }
    }
}

impl fmt::Display for InstanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an instance printed on its serial console.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Console {
    /// The text, oldest line first; invalid UTF-8 is replaced.
    pub text: String,
}

/// Access to a fleet's instances for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshAccess {
    /// The key that instances are launched with from then on.
    pub key: SshKey,
    /// Who may come in to port 22, as CIDR blocks, sorted.
    pub cidrs: Vec<String>,
}

/// The key of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// One that the region knows, by its name there.
    Registered(String),
    /// The public key itself, as a line of `authorized_keys`.
    Public(String),
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(name) => f.write_str(name),
            Self::Public(_) => f.write_str("a public key"),
        }
    }
}

/// A service's rule for traffic from outside the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The service it belongs to, as in its [`Label::Service`](crate::Label).
    pub service: String,
    /// What it lets in.
    pub opening: Opening,
}

/// A port that is open to somebody. What is open to nobody is no opening, but none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The port.
    pub port: u16,
    /// Who may come in, as CIDR blocks, sorted; at least one.
    pub cidrs: Vec<String>,
}

impl Opening {
    /// This port, open to these blocks; none when there is no block.
    pub fn to(port: u16, cidrs: Vec<String>) -> Option<Self> {
        (!cidrs.is_empty()).then_some(Self { port, cidrs })
    }
}
