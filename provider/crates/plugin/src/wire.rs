//! Native types ↔ messages. The only users of the generated types are this file and `rpc`.

use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::function::Signature;
use crate::msgpack;
use crate::path::{AttributePath, Step};
use crate::proto::tfplugin6 as pb;
use crate::schema::{Attribute, AttributeKind, Mode, Nesting, Schema, Type};
use crate::value::Value;

pub(crate) fn encode_value(value: &Value) -> Option<pb::DynamicValue> {
    Some(pb::DynamicValue { msgpack: msgpack::encode(value), json: Vec::new() })
}

/// An absent value is null.
pub(crate) fn decode_value(
    value: Option<pb::DynamicValue>,
    schema: &Schema,
) -> Result<Value, Diagnostic> {
    let Some(value) = value else { return Ok(Value::Null) };
    let broken = |error: &dyn std::fmt::Display| {
        Diagnostic::error(
            "Value cannot be read",
            format!("Terraform sent a value that cannot be read: {error}."),
        )
    };
    let mut decoded = if !value.msgpack.is_empty() {
        msgpack::decode(&value.msgpack).map_err(|error| broken(&error))?
    } else if !value.json.is_empty() {
        let json = serde_json::from_slice(&value.json).map_err(|error| broken(&error))?;
        Value::from_json(&json)
    } else {
        Value::Null
    };
    schema.conform(&mut decoded);
    Ok(decoded)
}

/// The arguments of a function, still in the forms of the wire.
pub(crate) fn decode_arguments(arguments: Vec<pb::DynamicValue>) -> Result<Vec<Value>, Diagnostic> {
    let nothing = Schema::default();
    arguments.into_iter().map(|argument| decode_value(Some(argument), &nothing)).collect()
}

pub(crate) fn encode_function(signature: &Signature) -> pb::Function {
    let kind = |kind: &Type| kind.to_json().to_string().into_bytes();
    let parameters = signature.parameters.iter().map(|parameter| pb::function::Parameter {
        name: parameter.name.to_owned(),
        r#type: kind(&parameter.kind),
        allow_null_value: parameter.allow_null,
        allow_unknown_values: false,
        description: parameter.description.to_owned(),
        description_kind: pb::StringKind::Markdown.into(),
    });
    pb::Function {
        parameters: parameters.collect(),
        variadic_parameter: None,
        r#return: Some(pb::function::Return { r#type: kind(&signature.returns) }),
        summary: signature.summary.to_owned(),
        description: signature.description.to_owned(),
        description_kind: pb::StringKind::Markdown.into(),
        deprecation_message: String::new(),
    }
}

/// Terraform finds the line of a root attribute and of an element of it, but for anything deeper in
/// a nested attribute it falls back to the whole resource. So the path ends where Terraform can
/// follow, and the text says the rest.
pub(crate) fn encode_diagnostics(diagnostics: Diagnostics) -> Vec<pb::Diagnostic> {
    let encode = |diagnostic: Diagnostic| {
        let path = diagnostic.attribute.filter(|path| !path.is_empty());
        let shown = path.as_ref().map(visible);
        let detail = match (&path, &shown) {
            (Some(path), Some(shown)) if path != shown => {
                format!("{}\n\nAttribute: `{path}`", diagnostic.detail)
            }
            _ => diagnostic.detail,
        };
        pb::Diagnostic {
            severity: match diagnostic.severity {
                Severity::Error => pb::diagnostic::Severity::Error,
                Severity::Warning => pb::diagnostic::Severity::Warning,
            }
            .into(),
            summary: diagnostic.summary,
            detail,
            attribute: shown.as_ref().map(encode_path),
        }
    };
    diagnostics.into_iter().map(encode).collect()
}

fn visible(path: &AttributePath) -> AttributePath {
    let is_attribute = |step: &Step| matches!(step, Step::Attribute(_));
    let deeper = path.steps().iter().skip(1).position(is_attribute);
    let end = deeper.map_or(path.steps().len().min(2), |_| 1);
    AttributePath(path.steps()[..end].to_vec())
}

pub(crate) fn encode_path(path: &AttributePath) -> pb::AttributePath {
    use pb::attribute_path::{Step as Message, step::Selector};
    let steps = path.steps().iter().map(|step| Message {
        selector: Some(match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone()),
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
            Step::Index(index) => {
                Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX))
            }
        }),
    });
    pb::AttributePath { steps: steps.collect() }
}

pub(crate) fn encode_schema(schema: &Schema) -> pb::Schema {
    pb::Schema {
        version: schema.version,
        block: Some(pb::schema::Block {
            version: schema.version,
            attributes: encode_attributes(&schema.attributes),
            description: schema.description.clone(),
            description_kind: pb::StringKind::Markdown.into(),
            ..Default::default()
        }),
    }
}

fn encode_attributes(
    attributes: &std::collections::BTreeMap<String, Attribute>,
) -> Vec<pb::schema::Attribute> {
    attributes.iter().map(|(name, attribute)| encode_attribute(name, attribute)).collect()
}

fn encode_attribute(name: &str, attribute: &Attribute) -> pb::schema::Attribute {
    let (kind, nested_type) = match &attribute.kind {
        AttributeKind::Type(kind) => (kind.to_json().to_string().into_bytes(), None),
        AttributeKind::Nested { nesting, attributes } => {
            use pb::schema::object::NestingMode;
            let nested = pb::schema::Object {
                attributes: encode_attributes(attributes),
                nesting: match nesting {
                    Nesting::Single => NestingMode::Single,
                    Nesting::List => NestingMode::List,
                    Nesting::Set => NestingMode::Set,
                    Nesting::Map => NestingMode::Map,
                }
                .into(),
                ..Default::default()
            };
            (Vec::new(), Some(nested))
        }
    };
    pb::schema::Attribute {
        name: name.to_owned(),
        r#type: kind,
        nested_type,
        description: attribute.description.clone(),
        description_kind: pb::StringKind::Markdown.into(),
        required: attribute.mode == Mode::Required,
        optional: matches!(attribute.mode, Mode::Optional | Mode::OptionalComputed),
        computed: attribute.mode.is_computed(),
        sensitive: attribute.sensitive,
        write_only: attribute.write_only,
        deprecated: attribute.deprecated.is_some(),
        deprecation_message: attribute.deprecated.clone().unwrap_or_default(),
    }
}
