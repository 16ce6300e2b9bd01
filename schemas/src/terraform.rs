//! A definition → its Terraform schema: types, modes, defaults, validators.

use crate::{format, table};
use domain::text::shown;
use plugin::{
    Attribute, AttributeKind, AttributePath, Invalid, Mode, Nesting, PlanModifier, Schema, Type,
    Validator,
};
use schemars::JsonSchema;
use serde_json::Value;
use std::collections::BTreeMap;

/// The Terraform schema of a definition.
///
/// # Panics
/// When a field has no row or a type that Terraform does not have; a test builds every schema.
pub fn schema<M: JsonSchema>(version: i64) -> Schema {
    let definition = table::json_schema::<M>();
    let definition = definition.as_value();
    Schema {
        version,
        description: table::description_of(definition),
        attributes: attributes(definition),
    }
}

fn attributes(object: &Value) -> BTreeMap<String, Attribute> {
    let properties = table::properties(object).expect("an object has properties");
    properties.iter().map(|(name, property)| (name.clone(), attribute(name, property))).collect()
}

fn attribute(name: &str, property: &Value) -> Attribute {
    let row = table::row_of(property).unwrap_or_else(|| panic!("`{name}` has no row"));
    Attribute {
        kind: kind(name, property),
        mode: match (row.required, row.optional, row.computed) {
            (true, ..) => Mode::Required,
            (false, true, false) => Mode::Optional,
            (false, true, true) => Mode::OptionalComputed,
            (false, false, _) => Mode::Computed,
        },
        description: table::description_of(property),
        default: row.default.as_ref().map(plugin::Value::from_json),
        validators: if row.required || row.optional { validators(property) } else { Vec::new() },
        modifiers: match row.change {
            Some(table::ChangeClass::Replace) => vec![PlanModifier::RequiresReplace],
            _ => Vec::new(),
        },
        ..Attribute::default()
    }
}

fn kind(name: &str, property: &Value) -> AttributeKind {
    let is_object = |element: &&Value| element.get("properties").is_some();
    let element = |key: &str| property.get(key).filter(is_object);
    let nesting = match (element("additionalProperties"), element("items")) {
        (Some(_), _) => Nesting::Map,
        (None, Some(_)) => Nesting::List,
        (None, None) if is_object(&property) => Nesting::Single,
        (None, None) => return AttributeKind::Type(simple_type(name, property)),
    };
    AttributeKind::Nested { nesting, attributes: attributes(property) }
}

fn simple_type(name: &str, property: &Value) -> Type {
    match type_word(property) {
        "string" => Type::String,
        "boolean" => Type::Bool,
        "integer" | "number" => Type::Number,
        "array" => {
            let element = Box::new(simple_type(name, &property["items"]));
            let unique = property.get("uniqueItems").and_then(Value::as_bool) == Some(true);
            if unique { Type::Set(element) } else { Type::List(element) }
        }
        "object" => Type::Map(Box::new(simple_type(name, &property["additionalProperties"]))),
        other => panic!("`{name}` has type `{other}`, which has no counterpart in Terraform"),
    }
}

fn type_word(property: &Value) -> &str {
    property.get("type").and_then(Value::as_str).unwrap_or("without a single type")
}

fn validators(property: &Value) -> Vec<Validator> {
    let mut validators = Vec::new();
    if type_word(property) == "integer" {
        validators.push(whole_number());
    }
    if let Some(range) = Range::of(property) {
        validators.push(range.validator());
    }
    if let Some(words) = property.get("enum").and_then(Value::as_array) {
        validators
            .push(one_of(words.iter().filter_map(Value::as_str).map(str::to_owned).collect()));
    }
    if let Some(format) = format_of(property) {
        validators.push(format_validator(format));
    }
    // An element of a list has no attribute of its own: its checks are made here, with its place.
    if let Some(format) = property.get("items").and_then(format_of) {
        let is_list = matches!(simple_type("", property), Type::List(_));
        validators.push(element_validator(format, is_list));
    }
    validators
}

fn format_of(property: &Value) -> Option<&'static format::Format> {
    format::find(property.get("format")?.as_str()?)
}

fn format_validator(format: &'static format::Format) -> Validator {
    Validator::new(format.name, move |value| {
        (format.check)(value).map_err(|wrong| Invalid {
            summary: format.summary.to_owned(),
            detail: wrong.detail,
            path: wrong.key.map(|key| AttributePath::default().key(&key)),
        })
    })
}

/// An element of a set has no place that could be pointed to.
fn element_validator(format: &'static format::Format, is_list: bool) -> Validator {
    Validator::new(format.name, move |value| {
        let plugin::Value::List(elements) = value else { return Ok(()) };
        for (index, element) in elements.iter().enumerate() {
            (format.check)(element).map_err(|wrong| Invalid {
                summary: format.summary.to_owned(),
                detail: wrong.detail,
                path: is_list.then(|| AttributePath::default().index(index)),
            })?;
        }
        Ok(())
    })
}

fn one_of(words: Vec<String>) -> Validator {
    let allowed = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    Validator::new(format!("one of {allowed}"), move |value| match value {
        plugin::Value::String(text) if !words.contains(text) => {
            Err(invalid("Invalid value", format!("`{}` is not one of {allowed}.", shown(text))))
        }
        _ => Ok(()),
    })
}

fn whole_number() -> Validator {
    Validator::new("a whole number", |value| match value {
        plugin::Value::Number(number) if number.as_i64().is_none() => {
            Err(invalid("Invalid number", format!("{number} is not a whole number.")))
        }
        _ => Ok(()),
    })
}

struct Range {
    least: Option<f64>,
    above: Option<f64>,
    most: Option<f64>,
}

impl Range {
    fn of(property: &Value) -> Option<Self> {
        let bound = |keyword| property.get(keyword).and_then(Value::as_f64);
        let range = Self {
            least: bound("minimum"),
            above: bound("exclusiveMinimum"),
            most: bound("maximum"),
        };
        let any = range.least.is_some() || range.above.is_some() || range.most.is_some();
        any.then_some(range)
    }

    fn validator(self) -> Validator {
        let text = match (self.least, self.above, self.most) {
            (Some(least), _, Some(most)) => format!("between {least} and {most}"),
            (Some(least), _, None) => format!("at least {least}"),
            (None, Some(above), Some(most)) => format!("more than {above} and at most {most}"),
            (None, Some(above), None) => format!("more than {above}"),
            (None, None, most) => format!("at most {}", most.unwrap_or(f64::INFINITY)),
        };
        Validator::new(text.clone(), move |value| {
            let plugin::Value::Number(number) = value else { return Ok(()) };
            let given = number.as_f64();
            let fits = self.least.is_none_or(|least| given >= least)
                && self.above.is_none_or(|above| given > above)
                && self.most.is_none_or(|most| given <= most);
            if fits {
                Ok(())
            } else {
                Err(invalid(
                    "Number out of range",
                    format!("{} is not {text}.", shown(number.as_str())),
                ))
            }
        })
    }
}

fn invalid(summary: &str, detail: String) -> Invalid {
    Invalid { summary: summary.to_owned(), detail, path: None }
}
