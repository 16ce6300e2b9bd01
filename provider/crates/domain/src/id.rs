//! Ids of fleets, services and replica groups, and the paths they are imported by.
//!
//! An id is a path: `cloud/region/fleet`, then `/service@uid`, then `/group`. The uid tells two
//! services of one name apart when one replaces the other; a path of import has none, because
//! nobody knows it by heart. Randomness is the caller's.

use crate::name::{self, InvalidName};
use crate::text::{serde_as_text, shown};
use cloud::{CloudName, UnknownCloud};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// `cloud/region/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FleetId {
    /// Its cloud.
    pub cloud: CloudName,
    /// Its region; `local` on the local cloud.
    pub region: String,
    /// Its name, claimed once per account and region.
    pub name: String,
}

/// `<fleet>/<name>@<uid>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId {
    /// The fleet it runs in.
    pub fleet: FleetId,
    /// Its name in the fleet.
    pub name: String,
    /// What tells it from others of the same name.
    pub uid: Uid,
}

/// `<service id>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// The service whose router its workers register with.
    pub service: ServiceId,
    /// Its name in the service.
    pub name: String,
}

/// Eight lower-case letters and digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(String);

/// What can be read out of the beginning of a service's id, up to and including the `@`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePrefix {
    /// The fleet it runs in.
    pub fleet: FleetId,
    /// Its name in the fleet.
    pub name: String,
}

/// What `terraform import` is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportPath {
    /// `cloud/region/fleet`.
    Fleet {
        /// The fleet.
        fleet: FleetId,
    },
    /// `cloud/region/fleet/service`.
    Service {
        /// The fleet it runs in.
        fleet: FleetId,
        /// Its name.
        service: String,
    },
    /// `cloud/region/fleet/service/group`.
    Group {
        /// The fleet it runs in.
        fleet: FleetId,
        /// Its service's name.
        service: String,
        /// Its name.
        group: String,
    },
}

/// A text that is no id of the kind that was asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("`{text}` is not {kind}, which looks like `{example}`: {reason}")]
pub struct InvalidId {
    text: String,
    kind: &'static str,
    example: &'static str,
    reason: Reason,
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
enum Reason {
    #[error("it has {wanted} parts between slashes, and this one has {found}")]
    Parts { found: usize, wanted: &'static str },
    #[error("it has no `@` with a uid after the service's name")]
    NoUid,
    #[error("the `@` and the uid after it are not part of the path")]
    UnwantedUid,
    #[error("`{0}` is not a uid, which is eight lower-case letters and digits")]
    Uid(String),
    #[error(transparent)]
    Cloud(#[from] UnknownCloudText),
    #[error(transparent)]
    Name(#[from] InvalidName),
}

/// [`UnknownCloud`] cannot be cloned; its text can.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
struct UnknownCloudText(String);

impl From<UnknownCloud> for Reason {
    fn from(error: UnknownCloud) -> Self {
        Self::Cloud(UnknownCloudText(error.to_string()))
    }
}

/// Name and shape of what is being read, for its error.
#[derive(Clone, Copy)]
struct Shape {
    kind: &'static str,
    example: &'static str,
}

const FLEET: Shape = Shape { kind: "a fleet id", example: "aws/us-east-2/pd" };
const SERVICE: Shape = Shape { kind: "a service id", example: "aws/us-east-2/pd/glm@3f9a1c2e" };
const GROUP: Shape =
    Shape { kind: "a replica group id", example: "aws/us-east-2/pd/glm@3f9a1c2e/prefill" };
const IMPORT: Shape = Shape {
    kind: "an import path",
    example: "aws/us-east-2/pd, aws/us-east-2/pd/glm or aws/us-east-2/pd/glm/prefill",
};

impl Shape {
    fn wrong(self, text: &str, reason: impl Into<Reason>) -> InvalidId {
        let text = shown(text);
        InvalidId { text, kind: self.kind, example: self.example, reason: reason.into() }
    }
}

impl ServiceId {
    /// Everything of an id that is known before there is a uid: up to and including the `@`.
    pub fn unknown_prefix(fleet: &FleetId, name: &str) -> String {
        format!("{fleet}/{name}@")
    }

    /// `name_uid`, as in the label `disagg:service`: neither of the two has a `_`.
    pub fn label(&self) -> String {
        format!("{}_{}", self.name, self.uid)
    }

    /// The service of a fleet with this label.
    ///
    /// # Errors
    /// When it is the label of none.
    pub fn of_label(fleet: &FleetId, label: &str) -> Result<Self, InvalidId> {
        format!("{fleet}/{}", label.replacen('_', "@", 1)).parse()
    }

    /// What it is called in its fleet: `name@uid`.
    pub fn short(&self) -> String {
        format!("{}@{}", self.name, self.uid)
    }

    /// Its fleet and name, without its uid, which it has only when it exists.
    pub fn path(&self) -> String {
        format!("{}/{}", self.fleet, self.name)
    }
}

impl ServicePrefix {
    /// Reads fleet and service out of a prefix made by [`ServiceId::unknown_prefix`], or out of
    /// anything longer.
    ///
    /// # Errors
    /// When the text is not the beginning of a service's id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let wrong = |reason: Reason| SERVICE.wrong(text, reason);
        let (path, _) = text.split_once('@').ok_or_else(|| wrong(Reason::NoUid))?;
        let (fleet, name) = match path.split('/').collect::<Vec<_>>()[..] {
            [cloud, region, fleet, name] => (self::fleet(cloud, region, fleet), name),
            ref parts => return Err(wrong(Reason::Parts { found: parts.len(), wanted: "four" })),
        };
        let fleet = fleet.map_err(wrong)?;
        name::check_resource_name(name).map_err(|error| wrong(error.into()))?;
        Ok(Self { fleet, name: name.to_owned() })
    }
}

impl Uid {
    /// Makes a uid of 64 random bits.
    pub fn from_random(mut random: u64) -> Self {
        const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut text = String::with_capacity(UID_CHARS);
        for _ in 0..UID_CHARS {
            text.push(char::from(ALPHABET[(random % 36) as usize]));
            random /= 36;
        }
        Self(text)
    }

    /// Its eight characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        let is_uid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if text.len() == UID_CHARS && text.chars().all(is_uid) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Reason::Uid(text.to_owned()))
        }
    }
}

const UID_CHARS: usize = 8;

fn fleet(cloud: &str, region: &str, name: &str) -> Result<FleetId, Reason> {
    let cloud = cloud.parse::<CloudName>()?;
    name::check_location(region)?;
    name::check_resource_name(name)?;
    Ok(FleetId { cloud, region: region.to_owned(), name: name.to_owned() })
}

fn service(fleet: FleetId, name_and_uid: &str) -> Result<ServiceId, Reason> {
    let (name, uid) = name_and_uid.split_once('@').ok_or(Reason::NoUid)?;
    name::check_resource_name(name)?;
    Ok(ServiceId { fleet, name: name.to_owned(), uid: Uid::parse(uid)? })
}

impl FromStr for FleetId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [cloud, region, name] => fleet(cloud, region, name),
            ref parts => Err(Reason::Parts { found: parts.len(), wanted: "three" }),
        }
        .map_err(|reason| FLEET.wrong(text, reason))
    }
}

impl FromStr for ServiceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [cloud, region, name, last] => {
                fleet(cloud, region, name).and_then(|fleet| service(fleet, last))
            }
            ref parts => Err(Reason::Parts { found: parts.len(), wanted: "four" }),
        }
        .map_err(|reason| SERVICE.wrong(text, reason))
    }
}

impl FromStr for GroupId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let group = |service: ServiceId, name: &str| {
            name::check_resource_name(name)?;
            Ok(GroupId { service, name: name.to_owned() })
        };
        match text.split('/').collect::<Vec<_>>()[..] {
            [cloud, region, fleet_name, with_uid, name] => fleet(cloud, region, fleet_name)
                .and_then(|fleet| service(fleet, with_uid))
                .and_then(|service| group(service, name)),
            ref parts => Err(Reason::Parts { found: parts.len(), wanted: "five" }),
        }
        .map_err(|reason| GROUP.wrong(text, reason))
    }
}

impl FromStr for Uid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let shape = Shape { kind: "a uid", example: "3f9a1c2e" };
        Self::parse(text).map_err(|reason| shape.wrong(text, reason))
    }
}

impl FromStr for ImportPath {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let named = |name: &str| -> Result<String, Reason> {
            if name.contains('@') {
                return Err(Reason::UnwantedUid);
            }
            name::check_resource_name(name)?;
            Ok(name.to_owned())
        };
        let parse = || -> Result<Self, Reason> {
            Ok(match text.split('/').collect::<Vec<_>>()[..] {
                [cloud, region, name] => Self::Fleet { fleet: fleet(cloud, region, name)? },
                [cloud, region, name, service] => {
                    Self::Service { fleet: fleet(cloud, region, name)?, service: named(service)? }
                }
                [cloud, region, name, service, group] => Self::Group {
                    fleet: fleet(cloud, region, name)?,
                    service: named(service)?,
                    group: named(group)?,
                },
                ref parts => {
                    return Err(Reason::Parts {
                        found: parts.len(),
                        wanted: "three, four or five",
                    });
                }
            })
        };
        parse().map_err(|reason| IMPORT.wrong(text, reason))
    }
}

impl fmt::Display for FleetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.cloud, self.region, self.name)
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.fleet, self.name, self.uid)
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.name)
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(FleetId, ServiceId, GroupId, Uid);

#[cfg(test)]
#[path = "id_tests.rs"]
mod tests;
