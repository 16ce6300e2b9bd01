//! Attributes whose lines in a configuration are not to be shown, because a secret seems to stand in them.
//! Terraform prints the line of the attribute that a diagnostic points to, the whole of it.

use super::attributes::{Pairs, Texts, pairs};
use domain::credential::{has_credential, is_credential};
use domain::secret::SecretReference;
use plugin::{Diagnostic, Diagnostics, Value};
use std::collections::BTreeSet;

/// Values that look like secrets where they are written to plan, state and user data; `secret_env` is a way
/// out where there is one. Without a path, which would show the line.
pub(super) fn warnings(found: &[(&str, Vec<String>)], has_secret_env: bool) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    for (attribute, places) in found.iter().filter(|(_, places)| !places.is_empty()) {
        let way_out = match has_secret_env {
            true => {
                "Keep it in a store and refer to it: `secret_env = { NAME = \"aws-sm://prod/name\" }`. The machine \
                 reads it with its own identity, and the value is written nowhere."
            }
            false => {
                "A router reads no secrets of its own: keep it in a file on the machine's image, or fetch it in the \
                 `commands` of a `custom` router."
            }
        };
        diagnostics.push(Diagnostic::warning(
            format!("Secret in `{attribute}`"),
            format!(
                "What looks like a secret stands in `{attribute}`: {}. It is written as it is to the \
                 configuration, to plan and state, and to the machines' user data, which their cloud shows to \
                 whoever may look at them.\n\n{way_out}",
                places.join(", ")
            ),
        ));
    }
    diagnostics
}

/// The variables that seem to hold a secret.
pub(super) fn in_variables(variables: &Pairs) -> Vec<String> {
    let variables = pairs(variables).into_iter();
    variables
        .filter(|(name, value)| is_credential(name, value))
        .map(|(name, _)| format!("`{name}`"))
        .collect()
}

/// The texts in which a secret seems to stand, by their places.
pub(super) fn in_texts(list: &Texts) -> Vec<String> {
    let texts = list.known().into_iter().flatten().enumerate();
    texts
        .filter(|(_, text)| text.known().is_some_and(|text| has_credential(text)))
        .map(|(index, _)| format!("element {index}"))
        .collect()
}

/// The names of these attributes, at the root of a configuration.
pub(super) fn concealed(config: &Value) -> BTreeSet<String> {
    let Value::Map(attributes) = config else { return BTreeSet::new() };
    let attributes = attributes.iter().filter(|(name, value)| match name.as_str() {
        // What is no reference is a value by mistake.
        "secret_env" => !is_of_references(value),
        name => holds_secret(name, value),
    });
    attributes.map(|(name, _)| name.clone()).collect()
}

fn is_of_references(value: &Value) -> bool {
    let Value::Map(elements) = value else { return true };
    elements.values().all(|element| match element {
        Value::String(text) => text.parse::<SecretReference>().is_ok(),
        _ => true,
    })
}

fn holds_secret(name: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => is_credential(name, text),
        Value::List(elements) => elements.iter().any(|element| match element {
            Value::String(text) => has_credential(text),
            element => holds_secret("", element),
        }),
        Value::Map(members) => members.iter().any(|(name, value)| holds_secret(name, value)),
        Value::Null | Value::Unknown(_) | Value::Bool(_) | Value::Number(_) => false,
    }
}
