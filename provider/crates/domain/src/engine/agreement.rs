//! What the workers of a service have to agree on.
//!
//! Dynamo's frontend compares the model cards of its workers. One whose card differs from the first
//! accepted one of its role and namespace is registered and healthy, and gets no request; and prefill and
//! decode can hand over a KV cache only when both keep it alike. So workers that are told something else
//! than by default register in a namespace of their own, which the frontend finds by itself: the workers
//! before a change and those after it serve side by side, each prefill with decodes of its own kind.
//!
//! Each engine lists by which arguments and variables it is told, beside the engine. What is inside an
//! image, as a chat template, nobody can see here: readiness finds those that the frontend refuses.

use super::{Engine, find};
use crate::environment::Environment;
use crate::spec::GroupSpec;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// One thing that workers have to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The model, as the text by which the engine is given it.
    Model,
    /// Whether the model comes to a place of the user's, where it has another path than elsewhere.
    ModelPlace,
    /// The revision of the model.
    Revision,
    /// The most tokens of a request and its answer.
    ContextLength,
    /// Tokens in a block of the KV cache.
    BlockSize,
    /// The template that makes a prompt out of a chat.
    ChatTemplate,
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::ModelPlace => "place of the model",
            Self::Revision => "model revision",
            Self::ContextLength => "context length",
            Self::BlockSize => "KV block size",
            Self::ChatTemplate => "chat template",
        })
    }
}

/// How an engine is told one of them: by an argument (`--page-size`), or by a variable.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    pub(super) by: &'static str,
    pub(super) aspect: Aspect,
}

/// An entry of an engine's list.
pub(super) const fn told(by: &'static str, aspect: Aspect) -> Told {
    Told { by, aspect }
}

/// What is the same for all of Dynamo's engines.
const EVERY_ENGINE: &[Told] = &[
    told("DYN_CUSTOM_JINJA_TEMPLATE", Aspect::ChatTemplate),
    told("--custom-jinja-template", Aspect::ChatTemplate),
];

/// With one of these a model is not where an image has a baked one, but in the hub's cache, under its name.
const OWN_PLACES: &[&str] = &["HF_HOME", "HF_HUB_CACHE"];

/// Where in a group's configuration one of them is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `engine.model`.
    Model,
    /// `engine.args`.
    Args,
    /// This variable of `env`.
    Env(String),
}

/// What a group's workers are told; what is as by default is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    told: BTreeMap<Aspect, (String, Place)>,
}

/// What two groups do not agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What it is.
    pub aspect: Aspect,
    /// What the one says; none when it leaves the default.
    pub ours: Option<String>,
    /// What the other says.
    pub theirs: Option<String>,
    /// Where the one says it, or where the other does when the one does not.
    pub place: Place,
}

impl Agreement {
    /// What the workers of a group are told; none at all of an engine that is not Dynamo's.
    pub fn of(spec: &GroupSpec) -> Option<Self> {
        let engine = find(&spec.engine.kind).filter(|engine| !engine.runs_commands())?;
        let mut told = BTreeMap::new();
        if let Some(model) = &spec.engine.model {
            told.insert(Aspect::Model, (model.clone(), Place::Model));
        }
        // Machines that are one computer spell alike.
        let shares = spec.service_id.fleet.cloud.profile().is_this_computer;
        let downloads = engine.image().is_some() && !shares;
        if let Some(name) = OWN_PLACES.iter().find(|name| spec.env.contains_key(**name))
            && downloads
        {
            let own = ("the user's own".to_owned(), Place::Env((*name).to_owned()));
            told.insert(Aspect::ModelPlace, own);
        }
        for Told { by, aspect } in list_of(engine) {
            if let Some(value) = by_variable(&spec.env, by) {
                told.insert(*aspect, (value, Place::Env((*by).to_owned())));
            }
        }
        // An argument wins over a variable, and the last one over those before.
        for (name, value) in arguments(&spec.engine.args) {
            if let Some(Told { aspect, .. }) = list_of(engine).find(|told| told.by == name) {
                told.insert(*aspect, (value, Place::Args));
            }
        }
        told.retain(|aspect, (value, _)| {
            *aspect != Aspect::BlockSize || engine.block_size() != Some(value.as_str())
        });
        Some(Self { told })
    }

    /// What differs; `model` is the service's, where it is known, which who names none is given. Without
    /// it nobody can tell whether a model that is named differs from one that is not.
    pub fn differences(&self, other: &Self, model: Option<&str>) -> Vec<Difference> {
        let mut aspects: Vec<Aspect> = self.told.keys().chain(other.told.keys()).copied().collect();
        aspects.sort_unstable();
        aspects.dedup();
        let differs = |aspect: Aspect| {
            let (ours, theirs) = (self.told.get(&aspect), other.told.get(&aspect));
            let place = ours.or(theirs).map(|(_, place)| place.clone())?;
            let or_default = |told: Option<&(String, Place)>| {
                let value = told.map(|(value, _)| value.clone());
                value.or_else(|| model.filter(|_| aspect == Aspect::Model).map(str::to_owned))
            };
            let (ours, theirs) = (or_default(ours), or_default(theirs));
            let is_unknown =
                aspect == Aspect::Model && model.is_none() && (ours.is_none() || theirs.is_none());
            (ours != theirs && !is_unknown).then_some(Difference { aspect, ours, theirs, place })
        };
        aspects.into_iter().filter_map(differs).collect()
    }

    /// What is put behind the namespace of a service with this model, so that those who agree are in one;
    /// none when all is as by default.
    pub fn namespace_suffix(&self, model: &str) -> Option<String> {
        let is_default = |aspect: Aspect, value: &str| aspect == Aspect::Model && value == model;
        let mut hash = Sha256::new();
        let mut is_empty = true;
        for (aspect, (value, _)) in &self.told {
            if !is_default(*aspect, value) {
                is_empty = false;
                hash.update(format!("{aspect}={value}\n"));
            }
        }
        let hash = hash.finalize();
        (!is_empty).then(|| hex::encode(&hash[..4]))
    }
}

/// The namespace that Dynamo's processes are in unless they are told otherwise.
pub const NAMESPACE: &str = "dynamo";

/// The namespace in which the workers of a group register; none when they are not Dynamo's.
pub fn namespace(spec: &GroupSpec, model: &str) -> Option<String> {
    Some(match Agreement::of(spec)?.namespace_suffix(model) {
        None => NAMESPACE.to_owned(),
        Some(suffix) => format!("{NAMESPACE}-{suffix}"),
    })
}

fn list_of(engine: &'static dyn Engine) -> impl Iterator<Item = &'static Told> {
    EVERY_ENGINE.iter().chain(engine.agreed())
}

fn by_variable(env: &Environment, name: &str) -> Option<String> {
    env.get(name).cloned()
}

/// `--name value` and `--name=value`, with `_` for `-` as some engines take it.
fn arguments(args: &[String]) -> impl Iterator<Item = (String, String)> {
    args.iter().enumerate().filter_map(|(index, arg)| {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, value),
            None => (arg.as_str(), args.get(index + 1)?.as_str()),
        };
        let name = name.strip_prefix("--")?.replace('_', "-");
        Some((format!("--{name}"), value.to_owned()))
    })
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
