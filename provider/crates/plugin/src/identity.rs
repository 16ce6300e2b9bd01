//! Resource identity, for Terraform 1.12 and later: the parts of an object's import id, each under a name.
//!
//! Terraform keeps them beside the state and imports by them. They are known as soon as the object is,
//! and another identity is another object.

use crate::diagnostics::Diagnostic;
use crate::proto::tfplugin6 as pb;
use crate::schema::{Schema, Type};
use crate::value::Value;
use crate::wire::{decode_value, encode_value};
use std::collections::BTreeMap;

/// One part of an import id between slashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityPart {
    /// Its name in an `identity` block.
    pub name: &'static str,
    /// What it is.
    pub description: &'static str,
}

/// The schema of a resource's identity; none of one that has no identity.
pub(crate) fn schema(parts: &[IdentityPart]) -> Option<pb::ResourceIdentitySchema> {
    let attributes = parts.iter().map(|part| pb::resource_identity_schema::IdentityAttribute {
        name: part.name.to_owned(),
        r#type: Type::String.to_json().to_string().into_bytes(),
        required_for_import: true,
        optional_for_import: false,
        description: part.description.to_owned(),
    });
    (!parts.is_empty()).then(|| pb::ResourceIdentitySchema {
        version: VERSION,
        identity_attributes: attributes.collect(),
    })
}

/// The identity whose parts have these values, as far as they are known.
pub(crate) fn of(parts: &[IdentityPart], values: Vec<String>) -> Option<pb::ResourceIdentityData> {
    let members = parts.iter().zip(values);
    let members: BTreeMap<_, _> =
        members.map(|(part, value)| (part.name.to_owned(), Value::String(value))).collect();
    let complete = !members.is_empty() && members.len() == parts.len();
    complete.then(|| encode(Value::Map(members)))
}

/// The import id that the identity of a resource means.
///
/// # Errors
/// When a part is missing.
pub(crate) fn import_id(
    type_name: &str,
    parts: &[IdentityPart],
    identity: pb::ResourceIdentityData,
) -> Result<String, Diagnostic> {
    let value = decode_value(identity.identity_data, &Schema::default())?;
    let parts = parts.iter().map(|part| match value.member(part.name) {
        Value::String(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Diagnostic::error(
            "Incomplete identity",
            format!("`{}` needs `{}` to be imported.", type_name, part.name),
        )),
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("/"))
}

/// The identity that an older release kept; there is one version so far.
///
/// # Errors
/// When it is of another version, or none.
pub(crate) fn upgrade(
    version: i64,
    raw: Option<pb::RawState>,
) -> Result<pb::ResourceIdentityData, Diagnostic> {
    if version != VERSION {
        return Err(Diagnostic::error(
            "Identity of another release",
            format!("It has version {version}, and this release knows {VERSION}."),
        ));
    }
    let json = raw.map(|raw| raw.json).unwrap_or_default();
    let json = serde_json::from_slice(&json).map_err(|error| {
        Diagnostic::error("Identity cannot be read", format!("It is no JSON: {error}."))
    })?;
    Ok(encode(Value::from_json(&json)))
}

fn encode(value: Value) -> pb::ResourceIdentityData {
    pb::ResourceIdentityData { identity_data: encode_value(&value) }
}

const VERSION: i64 = 0;
