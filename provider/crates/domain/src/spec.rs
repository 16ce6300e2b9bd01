//! What is baked into a machine: the inputs that a router or a worker is made of.
//!
//! A spec travels to its machine as `/etc/disagg/spec.json` and comes back at import. Its digest is
//! what a machine is compared by: it covers the inputs and the pinned script version, which stands
//! for everything that is resolved from them (images, defaults, scripts), and never the bytes of the
//! user data, so that a new release of the provider changes no digest.

use crate::canonical::write_canonical;
use crate::catalogue::Resources;
use crate::environment::Environment;
use crate::id::{FleetId, GroupId, ServiceId, Uid};
use crate::market::Market;
use crate::secret::SecretReference;
use crate::version::DynamoVersion;
use cloud::{Egress, Note, Purchase, Tags, tag};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::{fmt, net::IpAddr, str::FromStr};
use thiserror::Error;

/// The router of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouterSpec {
    /// The fleet it runs in.
    pub fleet: FleetId,
    /// The service's name.
    pub service: String,
    /// The service's uid.
    pub uid: Uid,
    /// The served model's name, for clients.
    pub model: String,
    /// Dynamo's version, for the router and all workers.
    pub version: DynamoVersion,
    /// The port of the OpenAI-compatible endpoint.
    pub port: u16,
    /// What runs on it.
    #[serde(rename = "type")]
    pub kind: RouterKind,
    /// What its machine must have.
    #[serde(default)]
    pub resources: Resources,
    /// More arguments for `dynamo.frontend`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Environment of its processes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: Environment,
    /// The commands of a custom router.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// The machine image that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The version of the boot scripts it was made with.
    pub script_version: u32,
}

/// What runs on a router machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RouterKind {
    /// etcd, NATS and `dynamo.frontend`.
    Dynamo,
    /// The user's commands.
    Custom,
}

impl RouterSpec {
    /// What a router machine has when the user asks for nothing.
    pub fn default_resources() -> Resources {
        Resources { gpu: None, cpu: Some(4), memory_gb: Some(16), disk_gb: None }
    }

    /// The service's id.
    pub fn id(&self) -> ServiceId {
        ServiceId { fleet: self.fleet.clone(), name: self.service.clone(), uid: self.uid.clone() }
    }

    /// Sixteen hexadecimal digits that change with what is baked in, and with nothing else.
    pub fn digest(&self) -> String {
        digest(self)
    }
}

/// What the workers of a service need to know of it, as the tags of its reserved address say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// The service's id.
    pub id: ServiceId,
    /// The served model's name, for clients.
    pub model: String,
    /// Dynamo's version, for the router and all workers.
    pub version: DynamoVersion,
    /// The port of the OpenAI-compatible endpoint.
    pub port: u16,
    /// The router's reserved address.
    pub router_ip: IpAddr,
    /// The version of the boot scripts that the service was made with.
    pub script_version: u32,
}

impl ServiceFacts {
    /// The facts of a service whose router is at this address.
    pub fn of(spec: &RouterSpec, router_ip: IpAddr) -> Self {
        Self {
            id: spec.id(),
            model: spec.model.clone(),
            version: spec.version,
            port: spec.port,
            router_ip,
            script_version: spec.script_version,
        }
    }

    /// The tags that hold the facts of a service, for its address.
    pub fn tags_of(spec: &RouterSpec) -> Tags {
        Self::of(spec, IpAddr::from([0, 0, 0, 0])).to_tags()
    }

    /// The tags that hold these facts, for the address.
    pub fn to_tags(&self) -> Tags {
        Tags::from([
            (tag::MODEL, self.model.clone()),
            (tag::VERSION, self.version.to_string()),
            (tag::PORT, self.port.to_string()),
            (tag::SCRIPT_VERSION, self.script_version.to_string()),
        ])
    }

    /// Reads the facts of a service from the tags of its address.
    ///
    /// # Errors
    /// Names the first tag that is missing or is none of ours.
    pub fn from_tags(id: &ServiceId, router_ip: IpAddr, tags: &Tags) -> Result<Self, InvalidFacts> {
        fn read<T: FromStr>(tags: &Tags, key: Note) -> Result<T, InvalidFacts> {
            let value = tags.get(key).ok_or(InvalidFacts::Missing { key })?;
            value.parse().map_err(|_| InvalidFacts::Unreadable { key, value: value.clone() })
        }
        Ok(Self {
            id: id.clone(),
            model: read(tags, tag::MODEL)?,
            version: read(tags, tag::VERSION)?,
            port: read(tags, tag::PORT)?,
            router_ip,
            script_version: read(tags, tag::SCRIPT_VERSION)?,
        })
    }
}

/// Tags that do not tell the facts of a service.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidFacts {
    /// A tag is not there.
    #[error("tag `{key}` is missing")]
    Missing {
        /// Its key.
        key: Note,
    },
    /// A tag's value is none that this release writes.
    #[error("tag `{key}` has the value `{value}`, which this release does not understand")]
    Unreadable {
        /// Its key.
        key: Note,
        /// Its value.
        value: String,
    },
}

/// The workers of a replica group: all of them are made of the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// The service whose router they register with.
    pub service_id: ServiceId,
    /// The group's name.
    pub group: String,
    /// Which half of the work they do.
    pub role: WorkerRole,
    /// What runs on each machine.
    pub engine: EngineSpec,
    /// What each machine must have.
    #[serde(default)]
    pub resources: Resources,
    /// Environment of the engine's processes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: Environment,
    /// Secrets in the engine's environment, as references.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, SecretReference>,
    /// The identity of the machines in their cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The machine image that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How the machines are bought.
    #[serde(default, skip_serializing_if = "is_on_demand")]
    pub market: Market,
    /// The reservation that they are taken out of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<String>,
    /// How the machines reach the internet.
    #[serde(default, skip_serializing_if = "is_by_subnet")]
    pub egress: Egress,
    /// Raised by the user to replace every machine by one of the newest scripts.
    #[serde(default)]
    pub boot_revision: u32,
    /// The version of the boot scripts they are made with.
    pub script_version: u32,
}

fn is_by_subnet(egress: &Egress) -> bool {
    *egress == Egress::Subnet
}

fn is_on_demand(market: &Market) -> bool {
    *market == Market::OnDemand
}

impl GroupSpec {
    /// How its machines are bought; none when market and reservation contradict each other.
    pub fn purchase(&self) -> Option<Purchase> {
        let reserved = |id: &String, prepaid| Purchase::Reserved { id: id.clone(), prepaid };
        match (self.market, &self.reservation) {
            (Market::OnDemand, None) => Some(Purchase::OnDemand),
            (Market::Spot, None) => Some(Purchase::Spot),
            (Market::OnDemand, Some(id)) => Some(reserved(id, false)),
            (Market::CapacityBlock, Some(id)) => Some(reserved(id, true)),
            (Market::Spot, Some(_)) | (Market::CapacityBlock, None) => None,
        }
    }

    /// The group's id.
    pub fn id(&self) -> GroupId {
        GroupId { service: self.service_id.clone(), name: self.group.clone() }
    }

    /// Sixteen hexadecimal digits that change with what is baked in, and with nothing else. The
    /// service's model and version are in it by the service's uid, under which they never change.
    pub fn digest(&self) -> String {
        digest(self)
    }
}

/// Which half of the work a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerRole {
    /// Reads prompts and hands on their KV cache.
    Prefill,
    /// Takes a KV cache and generates.
    Decode,
    /// Both: aggregated serving.
    Worker,
}

impl WorkerRole {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Prefill, Self::Decode, Self::Worker];

    /// The word in configuration, tags and state.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Worker => "worker",
        }
    }

    /// Who does the other half of the work; none of those that do both.
    pub fn counterpart(self) -> Option<Self> {
        match self {
            Self::Prefill => Some(Self::Decode),
            Self::Decode => Some(Self::Prefill),
            Self::Worker => None,
        }
    }
}

/// What runs on each machine of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineSpec {
    /// One of [`ENGINES`](crate::engine::ENGINES).
    #[serde(rename = "type")]
    pub kind: String,
    /// GPUs per engine process; all of the machine's by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensor_parallel: Option<u32>,
    /// More arguments, after ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The model to load, when it is not the service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The container image, when it is not NVIDIA's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where it runs, when it is not the engine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// The commands of a custom engine.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// Where an engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// In a container of an image.
    Container,
    /// In a Python virtual environment made of a package lock.
    Venv,
}

impl Runtime {
    /// The word in configuration and in the machine's environment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Venv => "venv",
        }
    }
}

/// A word that is none of the known ones.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{word}` is not {what}")]
pub struct UnknownWord {
    word: String,
    what: &'static str,
}

impl FromStr for WorkerRole {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownWord {
            word: text.to_owned(),
            what: "a role; the roles are `prefill`, `decode` and `worker`",
        })
    }
}

impl FromStr for Runtime {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        [Self::Container, Self::Venv].into_iter().find(|r| r.as_str() == text).ok_or_else(|| {
            UnknownWord {
                word: text.to_owned(),
                what: "a runtime; the runtimes are `container` and `venv`",
            }
        })
    }
}

impl fmt::Display for WorkerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn digest<T: Serialize>(spec: &T) -> String {
    let value = serde_json::to_value(spec).expect("a spec is plain data");
    let mut text = String::new();
    write_canonical(&value, &mut text);
    let hash = Sha256::digest(text.as_bytes());
    hex::encode(&hash[..8])
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
