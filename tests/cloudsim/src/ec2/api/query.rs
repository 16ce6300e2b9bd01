//! Reading the form of a request: `Filter.1.Value.2=x` is the second value of the first filter.

use crate::datacentre::Tags;
use crate::ec2::refusal::Refusal;
use std::collections::BTreeMap;

/// The parameters of one request, or those below one prefix of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(body: &str) -> Self {
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Self(pairs.map(|(name, value)| (decoded(name), decoded(value))).collect())
    }

    /// A parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that a request cannot do without.
    pub(super) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name).ok_or_else(|| {
            Refusal::new(
                "MissingParameter",
                format!("The request must contain the parameter {name}"),
            )
        })
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.text(name)?.parse().ok()
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// What stands below a name: `Placement.GroupName` is `GroupName` below `Placement`.
    pub(super) fn below(&self, name: &str) -> Self {
        let prefix = format!("{name}.");
        let inside = self.0.iter().filter_map(|(found, value)| {
            Some((found.strip_prefix(&prefix)?.to_owned(), value.clone()))
        });
        Self(inside.collect())
    }

    /// The members of a list, in their order.
    pub(super) fn members(&self, name: &str) -> Vec<Self> {
        let list = self.below(name);
        let mut indices: Vec<u32> =
            list.0.keys().filter_map(|key| key.split('.').next()?.parse().ok()).collect();
        indices.sort_unstable();
        indices.dedup();
        indices.into_iter().map(|index| list.below(&index.to_string())).collect()
    }

    /// The members of a list of texts, in their order.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.below(name);
        let mut members: Vec<(u32, &String)> =
            list.0.iter().filter_map(|(key, value)| Some((key.parse().ok()?, value))).collect();
        members.sort_unstable();
        members.into_iter().map(|(_, value)| value.clone()).collect()
    }

    /// Tags for objects of this kind.
    pub(super) fn tags_for(&self, kind: &str) -> Tags {
        let specifications = self.members("TagSpecification").into_iter();
        specifications
            .filter(|specification| specification.text("ResourceType") == Some(kind))
            .flat_map(|specification| specification.tags())
            .collect()
    }

    /// Tags as a list.
    pub(super) fn tags(&self) -> Tags {
        let pair = |tag: Self| {
            Some((tag.text("Key")?.to_owned(), tag.text("Value").unwrap_or_default().to_owned()))
        };
        self.members("Tag").into_iter().filter_map(pair).collect()
    }

    /// What the request names, and does not only look for.
    pub(super) fn named(&self) -> impl Iterator<Item = &String> {
        let named = self.0.iter().filter(|(key, _)| !key.starts_with("Filter."));
        named.map(|(_, value)| value)
    }

    /// Whatever is there.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.0.clone()
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next(), rest.next()].map(|digit| digit.unwrap_or_default());
                let hex = std::str::from_utf8(&hex).ok();
                hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(b'%')
            }
            byte => byte,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
