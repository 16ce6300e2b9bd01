//! What the attributes themselves ask of a configuration.

use super::{Attribute, AttributeKind, Mode, objects};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::AttributePath;
use crate::value::Value;
use std::collections::BTreeMap;

/// What the attributes' own rules find, at every depth.
pub(super) fn validate(
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
pub(super) fn unexpected(
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
