//! What is made: fleets, services and replica groups, for errors and for what must not be made twice.

use domain::id::{FleetId, GroupId, ServiceId};
use std::fmt;

/// One of the things that are declared, with its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// By `cloud/region/fleet`.
    Fleet(String),
    /// By `cloud/region/fleet/service`, with the uid as far as it is known.
    Service(String),
    /// By `cloud/region/fleet/service/group`.
    ReplicaGroup(String),
}

impl Object {
    /// Its path.
    pub fn path(&self) -> &str {
        match self {
            Self::Fleet(path) | Self::Service(path) | Self::ReplicaGroup(path) => path,
        }
    }

    /// The same without uids, by which people name it.
    pub fn import_path(&self) -> String {
        let without_uid = |part: &str| part.split('@').next().unwrap_or(part).to_owned();
        self.path().split('/').map(without_uid).collect::<Vec<_>>().join("/")
    }
}

impl fmt::Display for Object {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Fleet(_) => "fleet",
            Self::Service(_) => "service",
            Self::ReplicaGroup(_) => "replica group",
        };
        write!(text, "{kind} {}", self.path())
    }
}

impl From<&FleetId> for Object {
    fn from(id: &FleetId) -> Self {
        Self::Fleet(id.to_string())
    }
}

impl From<&ServiceId> for Object {
    fn from(id: &ServiceId) -> Self {
        Self::Service(id.to_string())
    }
}

impl From<&GroupId> for Object {
    fn from(id: &GroupId) -> Self {
        Self::ReplicaGroup(id.to_string())
    }
}
