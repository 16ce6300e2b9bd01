//! Write-only attributes: they are in a configuration alone, and Terraform has them from version 1.11 on.

use super::nested::each_object;
use super::{Attribute, AttributeKind, objects};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::path::AttributePath;
use crate::value::Value;
use std::collections::BTreeMap;

/// Takes them out of a plan or of a state, at every depth.
pub(crate) fn clear_write_only(attributes: &BTreeMap<String, Attribute>, object: &mut Value) {
    let Value::Map(members) = object else { return };
    for (name, attribute) in attributes {
        let Some(value) = members.get_mut(name) else { continue };
        if attribute.write_only {
            *value = Value::Null;
        }
        each_object(&attribute.kind, value, clear_write_only);
    }
}

/// What a Terraform without them would show and keep.
pub(crate) fn refuse_write_only(
    attributes: &BTreeMap<String, Attribute>,
    config: &Value,
    path: &AttributePath,
    diagnostics: &mut Diagnostics,
) {
    for (name, attribute) in attributes {
        let (value, path) = (config.member(name), path.clone().attribute(name));
        if attribute.write_only && !value.is_null() {
            diagnostics.push(
                Diagnostic::error(
                    "Write-only attribute is not supported here",
                    format!(
                        "`{path}` is write-only, which Terraform supports from version 1.11 on."
                    ),
                )
                .at(path.clone()),
            );
        }
        if let AttributeKind::Nested { attributes, .. } = &attribute.kind {
            for (path, object) in objects(&attribute.kind, value, &path) {
                refuse_write_only(attributes, object, &path, diagnostics);
            }
        }
    }
}
