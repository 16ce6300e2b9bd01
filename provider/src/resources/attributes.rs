//! Attributes ↔ plain values, for every resource's `model.rs`.

use domain::id::{ServiceId, ServicePrefix, Uid};
use plugin::Attr;
use std::collections::BTreeMap;

/// A list of texts, as a configuration has it.
pub(super) type Texts = Attr<Vec<Attr<String>>>;

/// A map of texts, as a configuration has it.
pub(super) type Pairs = Attr<BTreeMap<String, Attr<String>>>;

/// A number, or what stands for it when it is not given; none at all while it is unknown.
pub(super) fn number(attribute: &Attr<i64>, default: Option<u32>) -> Option<Option<u32>> {
    match attribute {
        Attr::Null => Some(default),
        Attr::Unknown(_) => None,
        Attr::Known(value) => Some(u32::try_from(*value).ok()),
    }
}

/// The texts that are known.
pub(super) fn texts(attribute: &Texts) -> Vec<String> {
    let texts = attribute.known().into_iter().flatten();
    texts.filter_map(|text| text.known().cloned()).collect()
}

/// Whether there is any text but blank ones; none at all while that is not known.
pub(super) fn has_text(attribute: &Texts) -> Option<bool> {
    let texts = match attribute {
        Attr::Null => return Some(false),
        Attr::Unknown(_) => return None,
        Attr::Known(texts) => texts,
    };
    if texts.iter().filter_map(Attr::known).any(|text| !text.trim().is_empty()) {
        return Some(true);
    }
    if texts.iter().any(Attr::is_unknown) { None } else { Some(false) }
}

/// The pairs whose values are known.
pub(super) fn pairs(attribute: &Pairs) -> BTreeMap<String, String> {
    let pairs = attribute.known().into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.known()?.clone()))).collect()
}

/// The service of an id; of one that is known in its beginning only, with a uid of our own.
pub(super) fn service_of(service_id: &Attr<String>) -> Option<ServiceId> {
    match service_id {
        Attr::Known(id) => id.parse().ok(),
        Attr::Unknown(unknown) => {
            let ServicePrefix { fleet, name } =
                ServicePrefix::parse(unknown.prefix.as_deref()?).ok()?;
            Some(ServiceId { fleet, name, uid: Uid::from_random(0) })
        }
        Attr::Null => None,
    }
}

/// A text that is known.
pub(super) fn word(text: &str) -> Attr<String> {
    Attr::Known(text.to_owned())
}

/// These texts; null when there are none.
pub(super) fn from_texts(texts: &[String]) -> Texts {
    match texts {
        [] => Attr::Null,
        texts => Attr::Known(texts.iter().cloned().map(Attr::Known).collect()),
    }
}

/// These pairs; null when there are none.
pub(super) fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Pairs {
    let known: BTreeMap<_, _> =
        pairs.into_iter().map(|(name, value)| (name, Attr::Known(value))).collect();
    if known.is_empty() { Attr::Null } else { Attr::Known(known) }
}
