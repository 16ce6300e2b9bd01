//! Whether a result is one that its plan allows, attribute by attribute.

use crate::schema::{Attribute, AttributeKind, Nesting, Type};
use crate::value::{Unknown, Value};
use std::collections::BTreeMap;

/// Whether what was planned came true, attribute by attribute.
pub(super) fn check(
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
            ) => check(attributes, planned, result, &format!("{path}."), problems),
            (
                AttributeKind::Nested { attributes, nesting: Nesting::Map },
                Value::Map(planned),
                Value::Map(result),
            ) if planned.keys().eq(result.keys()) => {
                for (key, planned) in planned {
                    let path = format!("{path}[{key:?}].");
                    check(attributes, planned, &result[key], &path, problems);
                }
            }
            (
                AttributeKind::Nested { attributes, nesting: Nesting::List },
                Value::List(planned),
                Value::List(result),
            ) if planned.len() == result.len() => {
                for (index, (planned, result)) in planned.iter().zip(result).enumerate() {
                    check(attributes, planned, result, &format!("{path}[{index}]."), problems);
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
}
