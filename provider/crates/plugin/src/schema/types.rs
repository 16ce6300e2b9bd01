//! The types of values, and their JSON form.

use std::collections::BTreeMap;

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
