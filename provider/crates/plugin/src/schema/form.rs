//! The form that a value has by its schema: no attribute is left out, a number is a number.

use super::nested::each_object;
use super::{Attribute, AttributeKind, Type};
use crate::value::{Number, Value};
use std::collections::BTreeMap;

/// Adds the attributes that an object leaves out, at every depth, as null.
pub(super) fn complete(attributes: &BTreeMap<String, Attribute>, object: &mut Value) {
    let Value::Map(members) = object else { return };
    for (name, attribute) in attributes {
        each_object(&attribute.kind, members.entry(name.clone()).or_default(), complete);
    }
}

/// Gives the attributes of an object that came over the wire the forms of their types, at every depth.
pub(super) fn conform_object(attributes: &BTreeMap<String, Attribute>, object: &mut Value) {
    let Value::Map(members) = object else { return };
    for (name, attribute) in attributes {
        let Some(value) = members.get_mut(name) else { continue };
        match &attribute.kind {
            AttributeKind::Type(kind) => conform(kind, value),
            kind @ AttributeKind::Nested { .. } => each_object(kind, value, conform_object),
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
