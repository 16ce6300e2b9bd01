//! What is written on the objects of a fleet, by which everything is found again: labels and notes. One list
//! of each; no other file spells a key.
//!
//! Nothing in a tag is per VM, so that N identical instances are one launch. How a cloud keeps them is its own
//! affair: tags for both, or labels and metadata, or a record beside an object that carries neither.

use crate::error::{CloudError, ErrorKind, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// What objects are found by. Values are what every cloud takes and can look for: 1 to 63 lower-case letters,
/// digits, `-` and `_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// Who made it: [`tag::MANAGED_BY_US`].
    ManagedBy,
    /// The fleet's name.
    Fleet,
    /// The service: its name and its uid, with `_` between.
    Service,
    /// The replica group's name; absent on the router and its address.
    Group,
    /// `router`, `prefill`, `decode` or `worker`.
    Role,
    /// The launch that made the instance: one token, one launch.
    Launch,
    /// The digest of what was baked into the instance.
    Digest,
    /// [`Phase`].
    Phase,
}

/// What is written down about an object and read back: text of at most 256 characters. Nothing is found by
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Note {
    /// When the router was first healthy, RFC 3339; a router with it is live.
    ReadyAt,
    /// Until when creations in a service may go on, on its address, where that is later than any would by itself;
    /// seconds since 1970 by the cloud's clock.
    CreatingUntil,
    /// Where the engines of a worker register; those that prefill and decode for each other are in one.
    Namespace,
    /// The count or the bounds of a replica group, on each of its machines.
    Count,
    /// How many machines a replica group under scaling had when a roll began that has not ended, on each
    /// of them; empty when none is going on.
    Rolling,
    /// The served model, on the service's address.
    Model,
    /// Dynamo's version, on the service's address.
    Version,
    /// The service's port, on the service's address.
    Port,
    /// The script version that new groups of the service take, on the service's address.
    ScriptVersion,
}

/// One or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A label.
    Label(Label),
    /// A note.
    Note(Note),
}

/// The keys by their short names.
pub mod tag {
    use super::{Label, Note};

    /// See [`Label::ManagedBy`].
    pub const MANAGED_BY: Label = Label::ManagedBy;
    /// The value of [`MANAGED_BY`].
    pub const MANAGED_BY_US: &str = "terraform-provider-disagg";
    /// See [`Label::Fleet`].
    pub const FLEET: Label = Label::Fleet;
    /// See [`Label::Service`].
    pub const SERVICE: Label = Label::Service;
    /// See [`Label::Group`].
    pub const GROUP: Label = Label::Group;
    /// See [`Label::Role`].
    pub const ROLE: Label = Label::Role;
    /// See [`Label::Launch`].
    pub const LAUNCH: Label = Label::Launch;
    /// See [`Label::Digest`].
    pub const DIGEST: Label = Label::Digest;
    /// See [`Label::Phase`].
    pub const PHASE: Label = Label::Phase;
    /// See [`Note::ReadyAt`].
    pub const READY_AT: Note = Note::ReadyAt;
    /// See [`Note::CreatingUntil`].
    pub const CREATING_UNTIL: Note = Note::CreatingUntil;
    /// See [`Note::Namespace`].
    pub const NAMESPACE: Note = Note::Namespace;
    /// See [`Note::Count`].
    pub const COUNT: Note = Note::Count;
    /// See [`Note::Rolling`].
    pub const ROLLING: Note = Note::Rolling;
    /// See [`Note::Model`].
    pub const MODEL: Note = Note::Model;
    /// See [`Note::Version`].
    pub const VERSION: Note = Note::Version;
    /// See [`Note::Port`].
    pub const PORT: Note = Note::Port;
    /// See [`Note::ScriptVersion`].
    pub const SCRIPT_VERSION: Note = Note::ScriptVersion;
}

impl Key {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Label(Label::ManagedBy),
        Self::Label(Label::Fleet),
        Self::Label(Label::Service),
        Self::Label(Label::Group),
        Self::Label(Label::Role),
        Self::Label(Label::Launch),
        Self::Label(Label::Digest),
        Self::Label(Label::Phase),
        Self::Note(Note::ReadyAt),
        Self::Note(Note::CreatingUntil),
        Self::Note(Note::Namespace),
        Self::Note(Note::Count),
        Self::Note(Note::Rolling),
        Self::Note(Note::Model),
        Self::Note(Note::Version),
        Self::Note(Note::Port),
        Self::Note(Note::ScriptVersion),
    ];

    /// The word in findings, in messages and in clouds that take it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Label(Label::ManagedBy) => "disagg:managed-by",
            Self::Label(Label::Fleet) => "disagg:fleet",
            Self::Label(Label::Service) => "disagg:service",
            Self::Label(Label::Group) => "disagg:group",
            Self::Label(Label::Role) => "disagg:role",
            Self::Label(Label::Launch) => "disagg:launch",
            Self::Label(Label::Digest) => "disagg:digest",
            Self::Label(Label::Phase) => "disagg:phase",
            Self::Note(Note::ReadyAt) => "disagg:ready-at",
            Self::Note(Note::CreatingUntil) => "disagg:creating-until",
            Self::Note(Note::Namespace) => "disagg:namespace",
            Self::Note(Note::Count) => "disagg:count",
            Self::Note(Note::Rolling) => "disagg:rolling",
            Self::Note(Note::Model) => "disagg:model",
            Self::Note(Note::Version) => "disagg:version",
            Self::Note(Note::Port) => "disagg:port",
            Self::Note(Note::ScriptVersion) => "disagg:script-version",
        }
    }

    /// The key of this word, if it is one of ours.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.as_str() == word)
    }

    fn takes(self, value: &str) -> bool {
        match self {
            Self::Label(_) => {
                let is_plain =
                    |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
                (1..=63).contains(&value.len()) && value.bytes().all(is_plain)
            }
            Self::Note(_) => value.chars().count() <= 256,
        }
    }
}

impl From<Label> for Key {
    fn from(label: Label) -> Self {
        Self::Label(label)
    }
}

impl From<Note> for Key {
    fn from(note: Note) -> Self {
        Self::Note(note)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Key::from(*self).fmt(f)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Key::from(*self).fmt(f)
    }
}

/// Labels and notes of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(BTreeMap<Key, String>);

impl Tags {
    /// None.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// What is written under this key.
    pub fn get(&self, key: impl Into<Key>) -> Option<&String> {
        self.0.get(&key.into())
    }

    /// Whether anything is written under this key.
    pub fn contains_key(&self, key: impl Into<Key>) -> bool {
        self.get(key).is_some()
    }

    /// Writes this under this key; answers what was there.
    pub fn insert(&mut self, key: impl Into<Key>, value: impl Into<String>) -> Option<String> {
        self.0.insert(key.into(), value.into())
    }

    /// Takes away what is written under this key.
    pub fn remove(&mut self, key: impl Into<Key>) -> Option<String> {
        self.0.remove(&key.into())
    }

    /// Keeps those that this says.
    pub fn retain(&mut self, mut is_kept: impl FnMut(Key, &str) -> bool) {
        self.0.retain(|key, value| is_kept(*key, value));
    }

    /// All of them, labels first.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &String)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every cloud takes these values.
    ///
    /// # Errors
    /// `InvalidRequest`, which names the first that some cloud would not take.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        let refused = self.iter().find(|(key, value)| !key.takes(value));
        refused.map_or(Ok(()), |(key, value)| {
            let message = match key {
                Key::Label(_) => format!(
                    "label `{key}` is `{}`; labels are 1 to 63 lower-case letters, digits, `-` and `_`",
                    value.escape_debug().take(80).collect::<String>()
                ),
                Key::Note(_) => format!(
                    "note `{key}` has {} characters; notes have 256 at most",
                    value.chars().count()
                ),
            };
            Err(CloudError::new(ErrorKind::InvalidRequest, operation, message))
        })
    }
}

impl<K: Into<Key>, const N: usize> From<[(K, String); N]> for Tags {
    fn from(pairs: [(K, String); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Into<Key>> FromIterator<(K, String)> for Tags {
    fn from_iter<I: IntoIterator<Item = (K, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<K: Into<Key>> Extend<(K, String)> for Tags {
    fn extend<I: IntoIterator<Item = (K, String)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(key, value)| (key.into(), value)));
    }
}

impl IntoIterator for Tags {
    type Item = (Key, String);
    type IntoIter = std::collections::btree_map::IntoIter<Key, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// As a map from their words.
impl Serialize for Tags {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key.as_str(), value)))
    }
}

/// What is none of ours is left out.
impl<'de> Deserialize<'de> for Tags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(words.into_iter().filter_map(|(word, value)| Some((Key::of(&word)?, value))).collect())
    }
}

/// How far the creation of an object has come, as its [`Label::Phase`] says.
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
    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Unfinished => "unfinished",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }

    /// What the tags say; an object without the label, or with a word that is not ours, is somebody's.
    pub fn of(tags: &Tags) -> Self {
        let word = tags.get(Label::Phase).map(String::as_str);
        let unready = [Self::Creating, Self::Unfinished, Self::Draining];
        unready.into_iter().find(|phase| word == Some(phase.as_str())).unwrap_or(Self::Ready)
    }

    /// The label.
    pub fn tag(self) -> Tags {
        Tags::from([(Label::Phase, self.as_str().to_owned())])
    }
}

/// Which objects are meant: those that carry every one of these labels with exactly these values.
/// An empty filter means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelFilter(pub BTreeMap<Label, String>);

impl LabelFilter {
    /// No condition.
    pub fn all() -> Self {
        Self::default()
    }

    /// One more condition.
    #[must_use]
    pub fn and(mut self, label: Label, value: impl Into<String>) -> Self {
        self.0.insert(label, value.into());
        self
    }

    /// Whether these tags meet every condition.
    pub fn matches(&self, tags: &Tags) -> bool {
        self.0.iter().all(|(label, value)| tags.get(*label) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn words_lead_back_to_their_keys() {
        let words: BTreeSet<&str> = Key::ALL.map(Key::as_str).into_iter().collect();
        assert_eq!(words.len(), Key::ALL.len());
        for key in Key::ALL {
            assert_eq!(Key::of(key.as_str()), Some(key));
        }
        let text = r#"{"disagg:fleet":"pd","disagg:port":"8000","somebody":"else"}"#;
        let tags: Tags = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::to_string(&tags).unwrap(),
            r#"{"disagg:fleet":"pd","disagg:port":"8000"}"#
        );
    }

    #[test]
    fn every_cloud_takes_what_is_checked() {
        let label = |value: &str| Tags::from([(Label::Service, value.to_owned())]).check("Test");
        let note = |value: &str| Tags::from([(Note::Model, value.to_owned())]).check("Test");
        for good in ["glm_2bjd4jni", "a", "0-_", &"a".repeat(63)] {
            assert!(label(good).is_ok(), "{good}");
        }
        for wrong in ["", "glm@2bjd4jni", "GLM", "a b", "a.b", "ä", &"a".repeat(64)] {
            let error = label(wrong).unwrap_err();
            assert!(error.message.contains("disagg:service"), "{error}");
        }
        for good in ["", "zai-org/GLM-4.5-Air-FP8", "1..8 rps 3", &"ä".repeat(256)] {
            assert!(note(good).is_ok(), "{good}");
        }
        assert!(note(&"a".repeat(257)).unwrap_err().message.contains("257 characters"));
    }
}
