//! Whether a value has the types of its schema, and nothing unknown where nothing may be.

use crate::schema::{Attribute, AttributeKind, Schema, Type};
use crate::value::Value;
use std::collections::BTreeMap;

/// Every attribute is there, nothing else is, and each has its type.
pub(super) fn check(
    attributes: &BTreeMap<String, Attribute>,
    object: &Value,
    above: &str,
    problems: &mut Vec<String>,
) {
    let Value::Map(members) = object else {
        problems.push(format!("`{above}` is no object"));
        return;
    };
    for name in members.keys().filter(|name| !attributes.contains_key(*name)) {
        problems.push(format!("`{above}{name}` is not in the schema"));
    }
    for (name, attribute) in attributes {
        let path = format!("{above}{name}");
        let Some(value) = members.get(name) else {
            problems.push(format!("`{path}` is missing"));
            continue;
        };
        if matches!(value, Value::Null | Value::Unknown(_)) {
            continue;
        }
        match &attribute.kind {
            AttributeKind::Type(kind) => {
                if !fits(kind, value) {
                    problems.push(format!("`{path}` has another type than in the schema"));
                }
            }
            AttributeKind::Nested { attributes, .. } => {
                let objects = crate::schema::objects(&attribute.kind, value, &Default::default());
                let expects_objects = matches!(value, Value::Map(_) | Value::List(_));
                if !expects_objects {
                    problems.push(format!("`{path}` has another type than in the schema"));
                }
                for (_, object) in objects {
                    if !matches!(object, Value::Unknown(_)) {
                        check(attributes, object, &format!("{path}."), problems);
                    }
                }
            }
        }
    }
}

/// Nothing is unknown.
pub(super) fn check_known(state: &Value, problems: &mut Vec<String>) {
    let Value::Map(members) = state else { return };
    for (name, value) in members {
        if value.has_unknown() {
            problems.push(format!("`{name}` is still unknown"));
        }
    }
}

/// Makes a result that breaks its schema one that Terraform can read, so that the object is not
/// forgotten: what is unknown, missing or of another type becomes null.
pub(crate) fn repair(schema: &Schema, result: &mut Value) {
    let Value::Map(members) = result else { return };
    members.retain(|name, _| schema.attributes.contains_key(name));
    for (name, attribute) in &schema.attributes {
        let value = members.entry(name.clone()).or_default();
        let one = BTreeMap::from([(name.clone(), attribute.clone())]);
        let object = Value::Map(BTreeMap::from([(name.clone(), value.clone())]));
        let mut problems = Vec::new();
        check(&one, &object, "", &mut problems);
        if value.has_unknown() || !problems.is_empty() {
            *value = Value::Null;
        }
    }
}

fn fits(kind: &Type, value: &Value) -> bool {
    match (kind, value) {
        (_, Value::Null | Value::Unknown(_)) | (Type::Dynamic, _) => true,
        (Type::String, Value::String(_))
        | (Type::Bool, Value::Bool(_))
        | (Type::Number, Value::Number(_)) => true,
        (Type::List(element) | Type::Set(element), Value::List(elements)) => {
            elements.iter().all(|value| fits(element, value))
        }
        (Type::Map(element), Value::Map(elements)) => {
            elements.values().all(|value| fits(element, value))
        }
        (Type::Object(types), Value::Map(members)) => {
            types.keys().eq(members.keys())
                && types.iter().all(|(name, kind)| fits(kind, &members[name]))
        }
        (Type::Tuple(types), Value::List(elements)) => {
            types.len() == elements.len()
                && types.iter().zip(elements).all(|(kind, value)| fits(kind, value))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_result_is_one_that_can_be_read() {
        let schema = Schema {
            attributes: ["a", "b", "c"].map(|name| (name.to_owned(), Attribute::default())).into(),
            ..Schema::default()
        };
        let text = Value::String("kept".to_owned());
        let mut result = Value::Map(BTreeMap::from([
            ("a".to_owned(), text.clone()),
            ("b".to_owned(), Value::Bool(true)),
            ("stray".to_owned(), text.clone()),
        ]));
        repair(&schema, &mut result);
        let repaired = [("a", text), ("b", Value::Null), ("c", Value::Null)];
        assert_eq!(
            result,
            Value::Map(repaired.map(|(name, value)| (name.to_owned(), value)).into())
        );
    }
}
