//! The objects inside an attribute, alone or beside their configuration: what an attribute without one
//! becomes.

use super::{Attribute, AttributeKind, Nesting};
use crate::path::AttributePath;
use crate::value::Value;
use std::collections::BTreeMap;

/// Fills in the defaults of attributes that the configuration does not give.
pub(crate) fn fill_defaults(
    attributes: &BTreeMap<String, Attribute>,
    config: &Value,
    planned: &mut Value,
) {
    let Value::Map(members) = planned else { return };
    for (name, attribute) in attributes {
        let (given, value) = (config.member(name), members.entry(name.clone()).or_default());
        if given.is_null()
            && let Some(default) = &attribute.default
        {
            *value = default.clone();
        }
        each_nested(&attribute.kind, given, value, fill_defaults);
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

/// Does something with every object that an attribute holds.
pub(super) fn each_object(
    kind: &AttributeKind,
    value: &mut Value,
    apply: impl Fn(&BTreeMap<String, Attribute>, &mut Value),
) {
    each_nested(kind, &Value::Null, value, |attributes, _, object| apply(attributes, object));
}

/// Does something with every object that an attribute holds, beside what is given for it.
fn each_nested(
    kind: &AttributeKind,
    given: &Value,
    value: &mut Value,
    apply: impl Fn(&BTreeMap<String, Attribute>, &Value, &mut Value),
) {
    let AttributeKind::Nested { nesting, attributes } = kind else { return };
    match (nesting, value) {
        (Nesting::Single, value @ Value::Map(_)) => apply(attributes, given, value),
        (Nesting::Map, Value::Map(elements)) => {
            for (key, element) in elements {
                apply(attributes, given.member(key), element);
            }
        }
        (Nesting::List | Nesting::Set, Value::List(elements)) => {
            let nothing = Value::Null;
            let given = match given {
                Value::List(given) => given.as_slice(),
                _ => &[],
            };
            for (index, element) in elements.iter_mut().enumerate() {
                // Elements of a set are matched by their order on the wire, which config and
                // proposed state share.
                apply(attributes, given.get(index).unwrap_or(&nothing), element);
            }
        }
        _ => {}
    }
}
