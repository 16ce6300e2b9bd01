//! The nouns of the contract. Ids are opaque and typed, times are what the cloud says.
//!
//! Deliberately not here: services, roles, engines. A cloud sees instances, addresses and tags.

use crate::tags::Tags;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// The clouds that exist. The list of those that are built in is the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudName {
    /// Processes on this machine, each on a loopback address of its own.
    Local,
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Gcp,
    /// Azure virtual machines.
    Azure,
}

impl CloudName {
    /// All of them, in the order of the documentation.
    pub const ALL: [CloudName; 4] = [Self::Local, Self::Aws, Self::Gcp, Self::Azure];

    /// The word in configuration, ids and state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
            Self::Gcp => "gcp",
            Self::Azure => "azure",
        }
    }
}

impl fmt::Display for CloudName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no cloud.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a cloud; the clouds are `local`, `aws`, `gcp` and `azure`")]
pub struct UnknownCloud(pub String);

impl FromStr for CloudName {
    type Err = UnknownCloud;

    fn from_str(text: &str) -> Result<Self, UnknownCloud> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| UnknownCloud(text.escape_debug().take(60).collect()))
    }
}

/// What a cloud can tell without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Greatest size of user data, in bytes as they are sent.
    pub user_data_bytes: usize,
    /// Greatest length of a tag's value, in characters.
    pub tag_value_chars: usize,
    /// Whether a machine can have an identity of its own.
    pub has_identities: bool,
    /// Whether machines are made from images, and can be bought in more than one way.
    pub has_images: bool,
    /// Whether fleets are in subnets.
    pub has_subnets: bool,
    /// Whether people have keys there: [`SshAccess`].
    pub has_ssh_keys: bool,
    /// Whether a machine sees its own tags, and so what is wanted of it.
    pub machines_see_tags: bool,
    /// Whether instances can have public addresses of their own: [`Egress::ElasticIp`](crate::Egress).
    pub has_elastic_ips: bool,
}

impl Limits {
    /// The clouds' limits, from their own documentation of 2026: EC2 takes 16 KB of user data before
    /// base64, a value of Compute Engine's metadata has at most 256 KB, Azure's custom data 64 KB
    /// before base64. The local cloud is as generous as the most generous.
    pub const fn of(cloud: CloudName) -> Self {
        let (user_data_bytes, tag_value_chars) = match cloud {
            CloudName::Local => (256 << 10, 256),
            CloudName::Aws => (16 << 10, 256),
            // Base64 makes four bytes of three.
            CloudName::Gcp => ((256 << 10) / 4 * 3, 256),
            CloudName::Azure => ((64 << 10) - 1, 256),
        };
        let is_local = matches!(cloud, CloudName::Local);
        Self {
            user_data_bytes,
            tag_value_chars,
            has_identities: !is_local,
            has_images: !is_local,
            has_subnets: !is_local,
            has_ssh_keys: matches!(cloud, CloudName::Aws),
            machines_see_tags: matches!(cloud, CloudName::Aws),
            has_elastic_ips: matches!(cloud, CloudName::Aws),
        }
    }
}

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

/// A fleet to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetRequest {
    /// Its name and region.
    pub key: FleetKey,
    /// Its one zone.
    pub zone: String,
    /// Its subnet in that zone; the cloud's default one when none is given.
    pub subnet: Option<String>,
    /// How its instances are placed.
    pub placement: PlacementStrategy,
    /// Same token, same fleet.
    pub token: String,
    /// Tags of everything that is made for it.
    pub tags: Tags,
}

/// A fleet as the cloud has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Its name and region.
    pub key: FleetKey,
    /// Its one zone.
    pub zone: String,
    /// Its subnet, in a cloud that has any.
    pub subnet: Option<String>,
    /// How its instances are placed.
    pub placement: PlacementStrategy,
    /// The token it was made with.
    pub token: String,
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
    /// Whether no address was there with this token a moment ago: a cloud need not look for one that an
    /// earlier run reserved. The call repeated by itself is still one address.
    pub is_new: bool,
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
    /// The instance that holds it, in a cloud that would lose sight of one whose tags are gone.
    pub instance: Option<InstanceId>,
    /// Its tags.
    pub tags: Tags,
}

impl Address {
    /// Where clients reach it: from outside where that is possible.
    pub fn reachable(&self) -> IpAddr {
        self.public_ip.unwrap_or(self.ip)
    }
}

/// One way to get a machine that fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// `p5.48xlarge`, `a3-highgpu-8g`, …
    pub instance_type: String,
    /// GPU model, as in `H200`; none on a CPU machine.
    pub gpu: Option<String>,
    /// GPUs per machine.
    pub gpu_count: u32,
    /// Virtual CPUs.
    pub cpu: u32,
    /// Main memory in GB.
    pub memory_gb: u32,
    /// Whether its GPUs are only pretended.
    #[serde(default)]
    pub simulated: bool,
    /// The fabric for KV transfer: `efa`, `infiniband`, `gpudirect-tcpx`, …; none means TCP.
    pub interconnect: Option<String>,
    /// On-demand price of one machine in US dollars an hour: an estimate, see its date.
    pub hourly_cost: f64,
    /// The day the price was looked up, `YYYY-MM-DD`.
    pub priced_on: String,
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
    /// Its zone.
    pub zone: String,
    /// The image it was made from, in a cloud that tells.
    pub image: Option<String>,
    /// The moment it was asked for, seconds since 1970.
    pub launched_at: u64,
    /// Its tags.
    pub tags: Tags,
    /// What about it is not as it was made, besides its state and its tags.
    pub findings: Vec<Finding>,
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
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Terminating => "terminating",
        }
    }

    /// Whether it is or will be at work without anyone doing anything.
    pub fn is_up(self) -> bool {
        match self {
            Self::Pending | Self::Running | Self::Impaired => true,
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
    /// The key that instances are launched with from then on, by its name in the region.
    pub key_name: String,
    /// Who may come in to port 22, as CIDR blocks, sorted.
    pub cidrs: Vec<String>,
}

/// A service's rule for traffic from outside the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The service it belongs to, as in its `disagg:service` tag.
    pub service: String,
    /// The port that is open.
    pub port: u16,
    /// Who may come in, as CIDR blocks, sorted.
    pub cidrs: Vec<String>,
}
