//! What a resource's configuration and state look like, and what the attributes themselves ask.

use crate::convert::from_value;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::AttributePath;
use crate::value::Value;
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, fmt, sync::Arc};

mod check;
mod form;
mod nested;
mod types;
mod validate;
mod write_only;

pub(crate) use form::conform;
pub(crate) use nested::{fill_defaults, objects};
pub use types::Type;
pub(crate) use write_only::{clear_write_only, refuse_write_only};

/// The schema of a resource or of the provider block.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    /// Version of the state's form; raise it when a state of before cannot be read any more.
    pub version: i64,
    /// What it is, in Markdown.
    pub description: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, Default)]
pub struct Attribute {
    /// What it holds.
    pub kind: AttributeKind,
    /// Who gives it.
    pub mode: Mode,
    /// What it is, in Markdown.
    pub description: String,
    /// Terraform hides it in what it prints. It is in the state in clear all the same.
    pub sensitive: bool,
    /// It is in the configuration only: never in a plan or in the state.
    pub write_only: bool,
    /// Why it should not be used any more.
    pub deprecated: Option<String>,
    /// Its value where the configuration has none; the mode is `OptionalComputed` then.
    pub default: Option<Value>,
    /// What its value must be; asked for known values only.
    pub validators: Vec<Validator>,
    /// What a plan makes of it.
    pub modifiers: Vec<PlanModifier>,
}

/// What an attribute holds.
#[derive(Clone, Debug)]
pub enum AttributeKind {
    /// A value.
    Type(Type),
    /// Objects with attributes of their own.
    Nested {
        /// One object, or a collection of them.
        nesting: Nesting,
        /// The attributes of each.
        attributes: BTreeMap<String, Attribute>,
    },
}

impl Default for AttributeKind {
    fn default() -> Self {
        Self::Type(Type::String)
    }
}

/// How the objects of a nested attribute are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// One object.
    Single,
    /// A list of objects.
    List,
    /// A set of objects.
    Set,
    /// A map of objects.
    Map,
}

/// Who gives an attribute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The configuration must.
    Required,
    /// The configuration may.
    #[default]
    Optional,
    /// Only the provider does.
    Computed,
    /// The provider does where the configuration does not.
    OptionalComputed,
}

impl Mode {
    /// Whether the provider may give it.
    pub fn is_computed(self) -> bool {
        matches!(self, Self::Computed | Self::OptionalComputed)
    }
}

/// A rule for a known value.
#[derive(Clone)]
pub struct Validator {
    /// What the rule asks, for the documentation.
    pub description: String,
    check: Arc<Check>,
}

type Check = dyn Fn(&Value) -> Result<(), Invalid> + Send + Sync;

/// Why a value breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Short, without a full stop.
    pub summary: String,
    /// What is wrong and what would be right.
    pub detail: String,
    /// Where inside the attribute, if not all of it.
    pub path: Option<AttributePath>,
}

impl Validator {
    /// A rule. It is asked for known values only, so it may ignore what it does not expect: the
    /// type has been checked.
    pub fn new(
        description: impl Into<String>,
        check: impl Fn(&Value) -> Result<(), Invalid> + Send + Sync + 'static,
    ) -> Self {
        Self { description: description.into(), check: Arc::new(check) }
    }
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Validator").field(&self.description).finish()
    }
}

/// What a plan makes of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanModifier {
    /// A change of it replaces the object. In an element of a list or a map it counts where there
    /// was such an element before; in a set there is no telling, and [`Schema::problems`] says so.
    RequiresReplace,
    /// An update leaves it as it is, where the configuration does not give it.
    UseStateForUnknown,
}

impl Schema {
    /// What the attributes' own rules find in a configuration.
    pub fn validate(&self, config: &Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        validate::validate(&self.attributes, config, &AttributePath::default(), &mut diagnostics);
        diagnostics
    }

    /// Gives a value that came over the wire the forms of its types: a number may travel as text.
    pub fn conform(&self, value: &mut Value) {
        form::conform_object(&self.attributes, value);
    }

    /// Adds what an object leaves out, at every depth, as null.
    pub(crate) fn complete(&self, object: &mut Value) {
        form::complete(&self.attributes, object);
    }

    /// A configuration that did not come from Terraform, as Terraform would hand it over: what is
    /// left out is null, defaults are filled in, and it keeps the rules.
    ///
    /// # Errors
    /// What is wrong with it, attribute by attribute; also an attribute that does not exist.
    pub fn configuration<M: DeserializeOwned>(
        &self,
        json: &serde_json::Value,
    ) -> Result<M, Diagnostics> {
        let mut given = Value::from_json(json);
        let mut diagnostics = Diagnostics::default();
        validate::unexpected(&self.attributes, &given, &AttributePath::default(), &mut diagnostics);
        self.complete(&mut given);
        diagnostics.extend(self.validate(&given));
        if diagnostics.has_error() {
            return Err(diagnostics);
        }
        let mut filled = given.clone();
        fill_defaults(&self.attributes, &given, &mut filled);
        from_value(filled).map_err(|error| Diagnostic::from(error).into())
    }

    /// An object of this schema with nothing in it.
    pub fn null_object(&self) -> Value {
        Value::Map(self.attributes.keys().map(|name| (name.clone(), Value::Null)).collect())
    }
}
