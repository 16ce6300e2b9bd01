//! The tags by which everything is found again. One list; no other file spells a key.
//!
//! Nothing in a tag is per VM, so that N identical instances are one launch.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tag keys.
pub mod tag {
    /// Who made it: [`MANAGED_BY_US`].
    pub const MANAGED_BY: &str = "disagg:managed-by";
    /// The value of [`MANAGED_BY`].
    pub const MANAGED_BY_US: &str = "terraform-provider-disagg";
    /// The fleet's name.
    pub const FLEET: &str = "disagg:fleet";
    /// The service, `name@uid`.
    pub const SERVICE: &str = "disagg:service";
    /// The replica group's name; absent on the router and its address.
    pub const GROUP: &str = "disagg:group";
    /// `router`, `prefill`, `decode` or `worker`.
    pub const ROLE: &str = "disagg:role";
    /// The launch that made the instance: one token, one launch.
    pub const LAUNCH: &str = "disagg:launch";
    /// The digest of what was baked into the instance.
    pub const DIGEST: &str = "disagg:digest";
    /// [`Phase`](super::Phase).
    pub const PHASE: &str = "disagg:phase";
    /// When the router was first healthy, RFC 3339; a router with it is live.
    pub const READY_AT: &str = "disagg:ready-at";
    /// Where the engines of a worker register; those that prefill and decode for each other are in one.
    pub const NAMESPACE: &str = "disagg:namespace";
    /// The count or the bounds of a replica group, on each of its machines.
    pub const COUNT: &str = "disagg:count";
    /// How many machines a replica group under scaling had when a roll began that has not ended, on each
    /// of them; empty when none is going on.
    pub const ROLLING: &str = "disagg:rolling";
    /// The served model, on the service's address.
    pub const MODEL: &str = "disagg:model";
    /// Dynamo's version, on the service's address.
    pub const VERSION: &str = "disagg:version";
    /// The service's port, on the service's address.
    pub const PORT: &str = "disagg:port";
    /// The script version that new groups of the service take, on the service's address.
    pub const SCRIPT_VERSION: &str = "disagg:script-version";
}

/// Tags of one object.
pub type Tags = BTreeMap<String, String>;

/// How far the creation of an object has come, as its [`tag::PHASE`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Being made, and in nobody's state; whoever makes it again may adopt it.
    Creating,
    /// Somebody's, and its start was not seen to the end: the next apply does that.
    Unfinished,
    /// Made, and somebody's.
    Ready,
    /// On its way out: the router chooses it no longer, and what runs on it comes to its end. It counts
    /// no longer, and whoever finds it ends it.
    Draining,
}

impl Phase {
    /// The tag's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Unfinished => "unfinished",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    /// What the tags say; an object without the tag, or with a word that is not ours, is somebody's.
    pub fn of(tags: &Tags) -> Self {
        let word = tags.get(tag::PHASE).map(String::as_str);
        let unready = [Self::Creating, Self::Unfinished, Self::Draining];
        unready.into_iter().find(|phase| word == Some(phase.as_str())).unwrap_or(Self::Ready)
    }

    /// The tag.
    pub fn tag(self) -> Tags {
        Tags::from([(tag::PHASE.to_owned(), self.as_str().to_owned())])
    }
}

/// Which objects are meant: those that carry every one of these tags with exactly these values.
/// An empty filter means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagFilter(pub Tags);

impl TagFilter {
    /// No condition.
    pub fn all() -> Self {
        Self::default()
    }

    /// One more condition.
    #[must_use]
    pub fn and(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Whether these tags meet every condition.
    pub fn matches(&self, tags: &Tags) -> bool {
        self.0.iter().all(|(key, value)| tags.get(key) == Some(value))
    }
}
