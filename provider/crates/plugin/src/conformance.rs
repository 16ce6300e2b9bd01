//! The checks that Terraform makes of our answers, made by us first: a plan or a result that
//! Terraform would reject is our own bug, and is said as such, with the attribute's name.

use crate::schema::{Attribute, AttributeKind, Nesting, Schema, Type};
use crate::value::{Unknown, Value};
use std::collections::BTreeMap;

/// What is wrong with a planned state.
pub(crate) fn planned(
    schema: &Schema,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Vec<String> {
    let mut problems = Vec::new();
    if planned.is_null() != config.is_null() {
        problems
            .push("the plan is a removal and the configuration is none, or the reverse".to_owned());
        return problems;
    }
    if planned.is_null() {
        return problems;
    }
    check_types(&schema.attributes, planned, "", &mut problems);
    check_planned(&schema.attributes, config, prior, planned, "", &mut problems);
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
    check_kept(&schema.attributes, planned, result, "", &mut problems);
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
        check_planned(attributes, given, before, planned, path, problems);
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

/// Whether what was planned came true, attribute by attribute.
fn check_kept(
    attributes: &BTreeMap<String, Attribute>,
    planned: &Value,
    result: &Value,
    above: &str,
    problems: &mut Vec<String>,
) {
    for (name, attribute) in attributes {
        let path = format!("{above}{name}");
        let (planned, result) = (planned.member(name), result.member(name));
        match (&attribute.kind, planned, result) {
            (AttributeKind::Type(kind), ..) => {
                if !is_kept(kind, planned, result) {
                    problems.push(format!("`{path}` was planned otherwise than it came out"));
                }
            }
            (
                AttributeKind::Nested { attributes, nesting: Nesting::Single },
                Value::Map(_),
                Value::Map(_),
            ) => check_kept(attributes, planned, result, &format!("{path}."), problems),
            (
                AttributeKind::Nested { attributes, nesting: Nesting::Map },
                Value::Map(planned),
                Value::Map(result),
            ) if planned.keys().eq(result.keys()) => {
                for (key, planned) in planned {
                    let path = format!("{path}[{key:?}].");
                    check_kept(attributes, planned, &result[key], &path, problems);
                }
            }
            (
                AttributeKind::Nested { attributes, nesting: Nesting::List },
                Value::List(planned),
                Value::List(result),
            ) if planned.len() == result.len() => {
                for (index, (planned, result)) in planned.iter().zip(result).enumerate() {
                    check_kept(attributes, planned, result, &format!("{path}[{index}]."), problems);
                }
            }
            // Elements of a set have no place, and may turn out to be the same.
            (
                AttributeKind::Nested { nesting: Nesting::Set, .. },
                Value::List(planned),
                Value::List(result),
            ) if planned.len() >= result.len() => {}
            (_, Value::Unknown(unknown), result) if keeps_promise(unknown, result) => {}
            (_, Value::Null, Value::Null) => {}
            _ => problems.push(format!("`{path}` was planned otherwise than it came out")),
        }
    }
}

fn is_kept(kind: &Type, planned: &Value, result: &Value) -> bool {
    match (kind, planned, result) {
        (_, Value::Unknown(unknown), result) => keeps_promise(unknown, result),
        (Type::Set(_), Value::List(planned), Value::List(result)) => planned.len() >= result.len(),
        (Type::List(kind), Value::List(planned), Value::List(result)) => {
            planned.len() == result.len()
                && planned
                    .iter()
                    .zip(result)
                    .all(|(planned, result)| is_kept(kind, planned, result))
        }
        (Type::Tuple(kinds), Value::List(planned), Value::List(result)) => {
            let pairs = || planned.iter().zip(result);
            planned.len() == result.len()
                && kinds
                    .iter()
                    .zip(pairs())
                    .all(|(kind, (planned, result))| is_kept(kind, planned, result))
        }
        (Type::Map(kind), Value::Map(planned), Value::Map(result)) => {
            planned.keys().eq(result.keys())
                && planned.iter().all(|(key, planned)| is_kept(kind, planned, &result[key]))
        }
        (Type::Object(kinds), Value::Map(planned), Value::Map(result)) => {
            planned.keys().eq(result.keys())
                && planned.iter().all(|(name, planned)| {
                    let result = &result[name];
                    kinds.get(name).is_some_and(|kind| is_kept(kind, planned, result))
                })
        }
        // What its type is, only the value says.
        (Type::Dynamic, planned, result) => planned.has_unknown() || planned == result,
        (_, planned, result) => planned == result,
    }
}

/// Whether a value is one that was possible by what had been said of it.
fn keeps_promise(unknown: &Unknown, result: &Value) -> bool {
    let within = |length: usize| {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        unknown.minimum_length.is_none_or(|least| length >= least)
            && unknown.maximum_length.is_none_or(|most| length <= most)
    };
    match result {
        Value::Null => !unknown.not_null,
        Value::String(text) => {
            unknown.prefix.as_ref().is_none_or(|prefix| text.starts_with(prefix))
        }
        Value::Number(number) => {
            let least = unknown.minimum.as_ref();
            let most = unknown.maximum.as_ref();
            least.is_none_or(|(least, inclusive)| number > least || *inclusive && number == least)
                && most
                    .is_none_or(|(most, inclusive)| number < most || *inclusive && number == most)
        }
        Value::List(elements) => within(elements.len()),
        Value::Map(elements) => within(elements.len()),
        Value::Bool(_) | Value::Unknown(_) => true,
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
        check_types(&one, &object, "", &mut problems);
        if value.has_unknown() || !problems.is_empty() {
            *value = Value::Null;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Number;

    #[test]
    fn what_is_said_of_an_unknown_value_is_a_promise() {
        let bound = |number: i64, inclusive| Some((Number::from(number), inclusive));
        let number = |number: i64| Value::Number(number.into());
        let nothing = Unknown::default();
        let pair = Value::List(vec![Value::Null, Value::Null]);
        for (promise, result, kept) in [
            (nothing.clone(), Value::Null, true),
            (Unknown { not_null: true, ..nothing.clone() }, Value::Null, false),
            (Unknown::with_prefix("a/"), Value::String("a/b".to_owned()), true),
            (Unknown::with_prefix("a/"), Value::String("b".to_owned()), false),
            (Unknown { minimum: bound(5, true), ..nothing.clone() }, number(5), true),
            (Unknown { minimum: bound(5, false), ..nothing.clone() }, number(5), false),
            (Unknown { maximum: bound(5, true), ..nothing.clone() }, number(5), true),
            (Unknown { maximum: bound(5, true), ..nothing.clone() }, number(6), false),
            (Unknown { minimum_length: Some(2), ..nothing.clone() }, pair.clone(), true),
            (Unknown { minimum_length: Some(3), ..nothing.clone() }, pair.clone(), false),
            (Unknown { maximum_length: Some(1), ..nothing }, pair, false),
        ] {
            assert_eq!(keeps_promise(&promise, &result), kept, "{promise:?} {result:?}");
        }
    }

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
