//! The checks that Terraform makes of our answers, made by us first: a plan or a result that
//! Terraform would reject is our own bug, and is said as such, with the attribute's name.

use crate::plan::PlanRequest;
use crate::schema::{Attribute, AttributeKind, Nesting, Schema, Type};
use crate::value::Value;
use std::collections::BTreeMap;

/// What is wrong with a planned state.
pub(crate) fn planned(schema: &Schema, request: &PlanRequest, planned: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if planned.is_null() != request.config.is_null() {
        problems
            .push("the plan is a removal and the configuration is none, or the reverse".to_owned());
        return problems;
    }
    if planned.is_null() {
        return problems;
    }
    check_types(&schema.attributes, planned, "", &mut problems);
    check_planned(&schema.attributes, &request.config, &request.prior, planned, "", &mut problems);
    problems
}

/// What is wrong with a new state: it must hold everything that was planned.
pub(crate) fn applied(schema: &Schema, planned: &Value, result: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if planned.is_null() != result.is_null() {
        problems.push(match planned.is_null() {
            true => "a removal left a state".to_owned(),
            false => "the operation succeeded and saved no state".to_owned(),
        });
        return problems;
    }
    if result.is_null() {
        return problems;
    }
    check_types(&schema.attributes, result, "", &mut problems);
    for (name, attribute) in &schema.attributes {
        let kept = is_kept(planned.member(name), result.member(name), is_set(&attribute.kind));
        if !kept {
            problems.push(format!("`{name}` was planned otherwise than it came out"));
        }
    }
    check_known(result, &mut problems);
    problems
}

/// What is wrong with a state that was read.
pub(crate) fn read(schema: &Schema, state: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if !state.is_null() {
        check_types(&schema.attributes, state, "", &mut problems);
        check_known(state, &mut problems);
    }
    problems
}

fn check_planned(
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
                check_planned(attributes, given, before, value, &format!("{path}."), problems);
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
            // Collections of objects: their sizes.
            (_, Value::Map(given), Value::Map(value)) if given.len() == value.len() => {}
            (_, Value::List(given), Value::List(value)) if given.len() == value.len() => {}
            (_, Value::Unknown(_), _) => {}
            _ => problems.push(format!("`{path}` is planned with other elements than configured")),
        }
    }
}

fn is_set(kind: &AttributeKind) -> bool {
    matches!(
        kind,
        AttributeKind::Type(Type::Set(_)) | AttributeKind::Nested { nesting: Nesting::Set, .. }
    )
}

/// Whether what was planned came true.
fn is_kept(planned: &Value, result: &Value, is_set: bool) -> bool {
    match (planned, result) {
        (Value::Unknown(unknown), result) => {
            let null_ok = !(unknown.not_null && result.is_null());
            let prefix_ok = match (&unknown.prefix, result) {
                (Some(prefix), Value::String(text)) => text.starts_with(prefix),
                _ => true,
            };
            null_ok && prefix_ok
        }
        (Value::List(planned), Value::List(result)) if is_set => planned.len() >= result.len(),
        (Value::List(planned), Value::List(result)) => {
            planned.len() == result.len()
                && planned
                    .iter()
                    .zip(result)
                    .all(|(planned, result)| is_kept(planned, result, false))
        }
        (Value::Map(planned), Value::Map(result)) => {
            planned.keys().eq(result.keys())
                && planned.iter().all(|(key, planned)| is_kept(planned, &result[key], false))
        }
        (planned, result) => planned == result,
    }
}

fn check_known(state: &Value, problems: &mut Vec<String>) {
    let Value::Map(members) = state else { return };
    for (name, value) in members {
        if value.has_unknown() {
            problems.push(format!("`{name}` is still unknown"));
        }
    }
}

fn check_types(
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
                        check_types(attributes, object, &format!("{path}."), problems);
                    }
                }
            }
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
