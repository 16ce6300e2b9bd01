//! A row of an attribute table, and how a field says it.

pub use domain::guard::ChangeClass;

use plugin::AttributePath;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The keyword of a field's JSON Schema that holds its row.
pub(crate) const KEYWORD: &str = "x-disagg";

/// One row: everything about an attribute that its type does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The configuration must give it.
    #[serde(default)]
    pub required: bool,
    /// The configuration may give it.
    #[serde(default)]
    pub optional: bool,
    /// The provider gives it where the configuration does not.
    #[serde(default)]
    pub computed: bool,
    /// Its value where the configuration does not give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What a change of it does; nothing can change what only the provider gives.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "change_class")]
    pub change: Option<ChangeClass>,
    /// Where an import reads it from.
    #[serde(default)]
    pub import: ImportSource,
}

/// Where an import reads an attribute from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportSource {
    /// The path given to `terraform import`.
    Id,
    /// What the cloud says of the object.
    Cloud,
    /// A tag of the object.
    Tag,
    /// The user data of the machine.
    UserData,
    /// Nowhere: the default is assumed, and a configuration that differs is one change in place
    /// without a call to the cloud.
    #[default]
    Nowhere,
}

/// A row that the configuration must fill.
pub fn required(change: ChangeClass) -> Row {
    Row { required: true, ..row(Some(change)) }
}

/// A row that the configuration may fill.
pub fn optional(change: ChangeClass) -> Row {
    Row { optional: true, ..row(Some(change)) }
}

/// A row that only the provider fills.
pub fn computed() -> Row {
    Row { computed: true, ..row(None) }
}

fn row(change: Option<ChangeClass>) -> Row {
    Row {
        required: false,
        optional: false,
        computed: false,
        default: None,
        change,
        import: ImportSource::Nowhere,
    }
}

impl Row {
    /// Where an import reads it from.
    #[must_use]
    pub fn import(self, import: ImportSource) -> Self {
        Self { import, ..self }
    }

    /// Its value where the configuration does not give it. Terraform wants such an attribute to be
    /// computed as well.
    #[must_use]
    pub fn default(self, value: impl Into<Value>) -> Self {
        Self { default: Some(value.into()), computed: true, ..self }
    }

    /// The provider gives it where the configuration does not.
    #[must_use]
    pub fn computed(self) -> Self {
        Self { computed: true, ..self }
    }
}

/// An attribute's place and row, at whatever depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its path from the root of the resource; elements of maps have no step of their own.
    pub path: Vec<String>,
    /// Its row.
    pub row: Row,
    /// Its doc comment.
    pub description: String,
}

impl Entry {
    /// The path as Terraform shows it.
    pub fn attribute_path(&self) -> AttributePath {
        let mut names = self.path.iter();
        let root = names.next().expect("an entry has a path of at least one name");
        names.fold(AttributePath::root(root), |path, name| path.attribute(name))
    }
}

/// The whole table of a resource, depth first in the order of its definition.
pub fn entries<M: JsonSchema>() -> Vec<Entry> {
    let mut entries = Vec::new();
    collect(json_schema::<M>().as_value(), &mut Vec::new(), &mut entries);
    entries
}

/// The JSON Schema of a definition, with everything in one document.
pub fn json_schema<M: JsonSchema>() -> Schema {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = SchemaGenerator::new(settings).into_root_schema_for::<M>();
    for (_, value) in schema.ensure_object() {
        require_as_the_rows_say(value);
    }
    if let Some(names) = required_names(schema.as_value()) {
        schema.insert("required".to_owned(), names);
    }
    schema
}

/// A field's type says nothing of who must give it; its row does.
fn require_as_the_rows_say(value: &mut Value) {
    let names = required_names(value);
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(require_as_the_rows_say);
            if let Some(names) = names {
                object.insert("required".to_owned(), names);
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(require_as_the_rows_say),
        _ => {}
    }
}

fn required_names(object: &Value) -> Option<Value> {
    let properties = object.get("properties")?.as_object()?;
    let is_row = |property: &Value| property.get(KEYWORD).is_some();
    if !properties.values().any(is_row) {
        return None;
    }
    let names = properties.iter().filter(|(_, p)| row_of(p).is_some_and(|row| row.required));
    Some(names.map(|(name, _)| Value::from(name.as_str())).collect())
}

fn collect(schema: &Value, path: &mut Vec<String>, entries: &mut Vec<Entry>) {
    let Some(properties) = properties(schema) else { return };
    for (name, property) in properties {
        path.push(name.clone());
        entries.push(Entry {
            path: path.clone(),
            row: row_of(property).unwrap_or_else(|| panic!("{} has no row", path.join("."))),
            description: description_of(property),
        });
        collect(property, path, entries);
        path.pop();
    }
}

/// The attributes of an object, or of the objects in a map.
pub(crate) fn properties(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    let element = ["additionalProperties", "items"].into_iter().find_map(|key| schema.get(key));
    let object = element.filter(|element| element.is_object()).unwrap_or(schema);
    object.get("properties")?.as_object()
}

pub(crate) fn row_of(property: &Value) -> Option<Row> {
    serde_json::from_value(property.get(KEYWORD)?.clone()).ok()
}

pub(crate) fn description_of(property: &Value) -> String {
    let text = property.get("description").and_then(Value::as_str).unwrap_or_default();
    // A line break in a doc comment is no more than the width of the source; an empty line is one.
    text.split("\n\n")
        .map(|paragraph| paragraph.replace('\n', " "))
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// The words for change classes in the JSON Schemas and the documentation.
mod change_class {
    use super::ChangeClass;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    const WORDS: [(ChangeClass, &str); 5] = [
        (ChangeClass::Refused, "refused"),
        (ChangeClass::InPlace, "in_place"),
        (ChangeClass::Rolling, "rolling"),
        (ChangeClass::Replace, "replace"),
        (ChangeClass::ProviderOnly, "provider_only"),
    ];

    pub(super) fn serialize<S: Serializer>(
        class: &Option<ChangeClass>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let word = class.and_then(|class| WORDS.iter().find(|(known, _)| *known == class));
        word.map(|(_, word)| *word).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<ChangeClass>, D::Error> {
        let Some(word) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
        let known = WORDS.iter().find(|(_, known)| *known == word);
        known.map(|(class, _)| Some(*class)).ok_or_else(|| D::Error::custom("unknown change class"))
    }
}
