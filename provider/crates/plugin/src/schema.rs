//! What a resource's configuration and state look like, and what the attributes themselves ask.

use crate::convert::from_value;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::AttributePath;
use crate::value::{Number, Value};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, fmt, sync::Arc};

mod check;
mod nested;

pub(crate) use nested::{each_nested, fill_defaults};

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

/// The types of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `string`
    String,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `list(…)`
    List(Box<Type>),
    /// `set(…)`
    Set(Box<Type>),
    /// `map(…)`
    Map(Box<Type>),
    /// `object({…})`
    Object(BTreeMap<String, Type>),
    /// `tuple([…])`
    Tuple(Vec<Type>),
    /// Any type; its value is a pair of type and value on the wire.
    Dynamic,
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
        validate(&self.attributes, config, &AttributePath::default(), &mut diagnostics);
        diagnostics
    }

    /// Gives a value that came over the wire the forms of its types: a number may travel as text.
    pub fn conform(&self, value: &mut Value) {
        conform_object(&self.attributes, value);
    }

    /// Adds what an object leaves out, at every depth, as null.
    pub(crate) fn complete(&self, object: &mut Value) {
        complete(&self.attributes, object);
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
        unexpected(&self.attributes, &given, &AttributePath::default(), &mut diagnostics);
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

fn validate(
    attributes: &BTreeMap<String, Attribute>,
    object: &Value,
    path: &AttributePath,
    diagnostics: &mut Diagnostics,
) {
    for (name, attribute) in attributes {
        let (value, path) = (object.member(name), path.clone().attribute(name));
        if let Some(problem) = misgiven(name, attribute, value) {
            diagnostics.push(problem.at(path));
            continue;
        }
        if matches!(value, Value::Null | Value::Unknown(_)) {
            continue;
        }
        for validator in &attribute.validators {
            if let Err(invalid) = (validator.check)(value) {
                let at = invalid.path.map_or(path.clone(), |inner| path.clone().join(&inner));
                diagnostics.push(Diagnostic::error(invalid.summary, invalid.detail).at(at));
            }
        }
        if let AttributeKind::Nested { attributes, .. } = &attribute.kind {
            for (path, object) in objects(&attribute.kind, value, &path) {
                validate(attributes, object, &path, diagnostics);
            }
        }
    }
}

/// Attributes that do not exist.
fn unexpected(
    attributes: &BTreeMap<String, Attribute>,
    object: &Value,
    path: &AttributePath,
    diagnostics: &mut Diagnostics,
) {
    let Value::Map(members) = object else {
        if path.is_empty() {
            diagnostics.push(Diagnostic::error("Not an object", "An object is expected here."));
        }
        return;
    };
    for (name, value) in members {
        let path = path.clone().attribute(name);
        match attributes.get(name).map(|attribute| &attribute.kind) {
            None => diagnostics.push(
                Diagnostic::error("Unexpected attribute", format!("There is no `{name}` here."))
                    .at(path),
            ),
            Some(kind @ AttributeKind::Nested { attributes, .. }) => {
                for (path, object) in objects(kind, value, &path) {
                    unexpected(attributes, object, &path, diagnostics);
                }
            }
            Some(AttributeKind::Type(_)) => {}
        }
    }
}

/// What Terraform itself lets through: an explicit null where a value must be, a value where only the
/// provider gives one, a null among the elements of a list.
fn misgiven(name: &str, attribute: &Attribute, value: &Value) -> Option<Diagnostic> {
    let problem = |summary, detail| Some(Diagnostic::error(summary, detail));
    match (attribute.mode, value) {
        (Mode::Required, Value::Null) => {
            problem("Missing value", format!("`{name}` must be given, and is null."))
        }
        (Mode::Computed, value) if !value.is_null() => problem(
            "Read-only attribute",
            format!("`{name}` is given by the provider alone. Leave it out."),
        ),
        (_, Value::List(elements)) if elements.contains(&Value::Null) => {
            problem("Null element", format!("An element of `{name}` is null. Leave it out."))
        }
        _ => None,
    }
}

/// The objects that a nested attribute holds, each with its path.
pub(crate) fn objects<'a>(
    kind: &AttributeKind,
    value: &'a Value,
    path: &AttributePath,
) -> Vec<(AttributePath, &'a Value)> {
    match (kind, value) {
        (AttributeKind::Nested { nesting: Nesting::Single, .. }, Value::Map(_)) => {
            vec![(path.clone(), value)]
        }
        (AttributeKind::Nested { .. }, Value::List(elements)) => {
            let indexed = elements.iter().enumerate();
            indexed.map(|(index, element)| (path.clone().index(index), element)).collect()
        }
        (AttributeKind::Nested { .. }, Value::Map(elements)) => {
            elements.iter().map(|(key, element)| (path.clone().key(key), element)).collect()
        }
        _ => Vec::new(),
    }
}

fn complete(attributes: &BTreeMap<String, Attribute>, object: &mut Value) {
    let Value::Map(members) = object else { return };
    for (name, attribute) in attributes {
        let value = members.entry(name.clone()).or_default();
        match (&attribute.kind, value) {
            (AttributeKind::Nested { nesting: Nesting::Single, attributes }, value) => {
                complete(attributes, value);
            }
            (AttributeKind::Nested { attributes, .. }, Value::Map(elements)) => {
                elements.values_mut().for_each(|element| complete(attributes, element));
            }
            (AttributeKind::Nested { attributes, .. }, Value::List(elements)) => {
                elements.iter_mut().for_each(|element| complete(attributes, element));
            }
            _ => {}
        }
    }
}

fn conform_object(attributes: &BTreeMap<String, Attribute>, object: &mut Value) {
    let Value::Map(members) = object else { return };
    for (name, attribute) in attributes {
        let Some(value) = members.get_mut(name) else { continue };
        match (&attribute.kind, value) {
            (AttributeKind::Type(kind), value) => conform(kind, value),
            (AttributeKind::Nested { nesting: Nesting::Single, attributes }, value) => {
                conform_object(attributes, value);
            }
            (AttributeKind::Nested { attributes, .. }, Value::List(elements)) => {
                elements.iter_mut().for_each(|element| conform_object(attributes, element));
            }
            (AttributeKind::Nested { attributes, .. }, Value::Map(elements)) => {
                elements.values_mut().for_each(|element| conform_object(attributes, element));
            }
            _ => {}
        }
    }
}

/// Gives a value that came over the wire the form of its type.
pub(crate) fn conform(kind: &Type, value: &mut Value) {
    if let (Type::Dynamic, Value::List(pair)) = (&kind, &mut *value)
        && let [Value::String(kind), inner] = &mut pair[..]
        && let Some(kind) = serde_json::from_str(kind).ok().as_ref().and_then(Type::from_json)
    {
        let mut inner = std::mem::take(inner);
        conform(&kind, &mut inner);
        *value = inner;
        return;
    }
    match (kind, value) {
        (Type::Number, value @ Value::String(_)) => {
            let Value::String(text) = value else { return };
            *value = Value::Number(Number::from_decimal(text));
        }
        (Type::List(element) | Type::Set(element), Value::List(elements)) => {
            elements.iter_mut().for_each(|value| conform(element, value));
        }
        (Type::Map(element), Value::Map(elements)) => {
            elements.values_mut().for_each(|value| conform(element, value));
        }
        (Type::Object(types), Value::Map(members)) => {
            for (name, value) in members {
                if let Some(kind) = types.get(name) {
                    conform(kind, value);
                }
            }
        }
        (Type::Tuple(types), Value::List(elements)) => {
            types.iter().zip(elements).for_each(|(kind, value)| conform(kind, value));
        }
        _ => {}
    }
}

impl Type {
    /// A type from its JSON form; none for what is no type.
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        let element = |json: &serde_json::Value| Self::from_json(json).map(Box::new);
        match json.as_str() {
            Some("string") => return Some(Self::String),
            Some("bool") => return Some(Self::Bool),
            Some("number") => return Some(Self::Number),
            Some("dynamic") => return Some(Self::Dynamic),
            Some(_) => return None,
            None => {}
        }
        let parts = json.as_array()?;
        match (parts.first()?.as_str()?, parts.get(1)?) {
            ("list", kind) => Some(Self::List(element(kind)?)),
            ("set", kind) => Some(Self::Set(element(kind)?)),
            ("map", kind) => Some(Self::Map(element(kind)?)),
            ("tuple", kinds) => {
                let kinds: Option<Vec<_>> = kinds.as_array()?.iter().map(Self::from_json).collect();
                kinds.map(Self::Tuple)
            }
            ("object", members) => {
                let members = members.as_object()?.iter();
                let members: Option<BTreeMap<_, _>> = members
                    .map(|(name, kind)| Some((name.clone(), Self::from_json(kind)?)))
                    .collect();
                members.map(Self::Object)
            }
            _ => None,
        }
    }

    /// Its JSON form, as schemas carry it.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Self::String => json!("string"),
            Self::Bool => json!("bool"),
            Self::Number => json!("number"),
            Self::Dynamic => json!("dynamic"),
            Self::List(element) => json!(["list", element.to_json()]),
            Self::Set(element) => json!(["set", element.to_json()]),
            Self::Map(element) => json!(["map", element.to_json()]),
            Self::Tuple(elements) => {
                json!(["tuple", elements.iter().map(Self::to_json).collect::<Vec<_>>()])
            }
            Self::Object(members) => {
                let members: serde_json::Map<_, _> =
                    members.iter().map(|(name, kind)| (name.clone(), kind.to_json())).collect();
                json!(["object", members])
            }
        }
    }
}
