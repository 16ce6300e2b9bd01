//! Whether a plan is one that its configuration allows, attribute by attribute.

use crate::schema::{Attribute, AttributeKind, Nesting, Type};
use crate::value::Value;
use std::collections::BTreeMap;

/// Every attribute is planned as configured or as before, or the provider may give it.
pub(super) fn check(
    attributes: &BTreeMap<String, Attribute>,
    config: &Value,
    prior: &Value,
    planned: &Value,
    above: &str,
    problems: &mut Vec<String>,
) {
    for (name, attribute) in attributes {
        let path = format!("{above}{name}");
        let (given, before, value) =
            (config.member(name), prior.member(name), planned.member(name));
        if attribute.write_only {
            if !value.is_null() {
                problems.push(format!("`{path}` is write-only and planned"));
            }
            continue;
        }
        if given.is_null() {
            if !attribute.mode.is_computed() && !value.is_null() {
                problems.push(format!(
                    "`{path}` is null in the configuration and planned to be something"
                ));
            }
            continue;
        }
        match (&attribute.kind, given, value) {
            (
                AttributeKind::Nested { attributes, nesting: Nesting::Single },
                Value::Map(_),
                Value::Map(_),
            ) => {
                check(attributes, given, before, value, &format!("{path}."), problems);
            }
            (
                AttributeKind::Nested { nesting: Nesting::Single, .. } | AttributeKind::Type(_),
                ..,
            ) => {
                let same = value == given || value == before || is_set(&attribute.kind);
                if !same {
                    problems
                        .push(format!("`{path}` is planned neither as configured nor as before"));
                }
            }
            (AttributeKind::Nested { attributes, .. }, Value::Map(given), Value::Map(value))
                if given.keys().eq(value.keys()) =>
            {
                for (key, given) in given {
                    let path = format!("{path}[{key:?}].");
                    let before = before.member(key);
                    check_element(attributes, given, before, &value[key], &path, problems);
                }
            }
            (
                AttributeKind::Nested { attributes, nesting: Nesting::List },
                Value::List(given),
                Value::List(value),
            ) if given.len() == value.len() => {
                for (index, (given, value)) in given.iter().zip(value).enumerate() {
                    let before = match before {
                        Value::List(before) => before.get(index).unwrap_or(&Value::Null),
                        _ => &Value::Null,
                    };
                    let path = format!("{path}[{index}].");
                    check_element(attributes, given, before, value, &path, problems);
                }
            }
            // Elements of sets are only counted.
            (_, Value::List(given), Value::List(value)) if given.len() == value.len() => {}
            (_, Value::Unknown(_), _) => {}
            _ => problems.push(format!("`{path}` is planned with other elements than configured")),
        }
    }
}

fn check_element(
    attributes: &BTreeMap<String, Attribute>,
    given: &Value,
    before: &Value,
    planned: &Value,
    path: &str,
    problems: &mut Vec<String>,
) {
    if let (Value::Map(_), Value::Map(_)) = (given, planned) {
        check(attributes, given, before, planned, path, problems);
    } else if !matches!(given, Value::Unknown(_)) && given != planned {
        let path = path.trim_end_matches('.');
        problems.push(format!("`{path}` is planned neither as configured nor as before"));
    }
}

fn is_set(kind: &AttributeKind) -> bool {
    matches!(
        kind,
        AttributeKind::Type(Type::Set(_)) | AttributeKind::Nested { nesting: Nesting::Set, .. }
    )
}
