//! What differs between two values of a definition, attribute by attribute.
//!
//! A difference that means nothing is none: left out, given as its default and given empty are the
//! same thing, and so are two spellings of one value. That keeps an import, which cannot know how it was written, free of changes.

use crate::format;
use crate::table::{self, Row};
use domain::guard::{AttributeChange, NewValue};
use plugin::Value;
use schemars::JsonSchema;
use serde::Serialize;

/// Every configurable attribute whose meaning changes, in the order of the definition.
///
/// # Errors
/// When one of the values is no value of its definition, which is the provider's fault.
pub fn changes<M: JsonSchema + Serialize>(
    prior: &M,
    planned: &M,
) -> Result<Vec<AttributeChange>, plugin::ConvertError> {
    let (prior, planned) = (plugin::to_value(prior)?, plugin::to_value(planned)?);
    let definition = table::json_schema::<M>();
    let mut found = Vec::new();
    compare(definition.as_value(), &prior, &planned, &mut Vec::new(), &mut found);
    Ok(found)
}

fn compare(
    object: &serde_json::Value,
    prior: &Value,
    planned: &Value,
    path: &mut Vec<String>,
    found: &mut Vec<AttributeChange>,
) {
    let Some(properties) = table::properties(object) else { return };
    for (name, property) in properties {
        let Some(row) = table::row_of(property) else { continue };
        let Some(class) = row.change else { continue };
        let (old, new) = (member(prior, name), member(planned, name));
        path.push(name.clone());
        let nested = property.get("properties").is_some();
        if nested && !matches!(new, Value::Unknown(_)) {
            compare(property, old, new, path, found);
        } else {
            let format = property.get("format").and_then(|format| format.as_str()).unwrap_or("");
            let (old, new) = (meaning(old, &row, format), meaning(new, &row, format));
            if old != new {
                let unknown = new.has_unknown();
                let new = if unknown { NewValue::Unknown } else { NewValue::Known(shown(&new)) };
                found.push(AttributeChange { path: path.join("."), class, old: shown(&old), new });
            }
        }
        path.pop();
    }
}

fn member<'a>(object: &'a Value, name: &str) -> &'a Value {
    match object {
        Value::Map(members) => members.get(name).unwrap_or(&Value::Null),
        _ => &Value::Null,
    }
}

fn meaning(value: &Value, row: &Row, format: &str) -> Value {
    match value {
        Value::Null => row.default.as_ref().map_or(Value::Null, Value::from_json),
        Value::List(elements) if elements.is_empty() => Value::Null,
        Value::Map(elements) if elements.is_empty() => Value::Null,
        other => format::canonical(format, other),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => {
            other.to_json().map_or_else(|_| "(partly unknown)".to_owned(), |json| json.to_string())
        }
    }
}
