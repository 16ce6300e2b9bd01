//! The pages of the Terraform Registry in `docs/`, made from the definitions and the examples: every
//! attribute with its type, its default, its rules, what a change of it does and where an import
//! reads it from. `UPDATE_EXPECT=1` rewrites them.

use expect_test::expect_file;
use plugin::{Attribute, AttributeKind, Mode, Nesting, Schema, Type};
use schemars::JsonSchema;
use schemas::table::{self, ChangeClass, Entry, ImportSource, Row};
use schemas::{Endpoint, Fleet, Offers, ProviderConfig, ReplicaGroup, Service, ServiceLookup};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn resources() {
    resource::<Fleet>("disagg_fleet");
    resource::<Service>("disagg_service");
    resource::<ReplicaGroup>("disagg_replica_group");
    resource::<Endpoint>("disagg_endpoint");
}

#[test]
fn data_sources() {
    data_source::<Offers>("disagg_offers");
    data_source::<ServiceLookup>("disagg_service");
}

#[test]
fn the_provider() {
    let definition = Definition::of::<ProviderConfig>();
    let mut page = front_matter("disagg Provider", &definition.schema.description);
    let _ = write!(page, "# disagg Provider\n\n{}\n\n", definition.schema.description);
    page += &example("provider/provider.tf");
    page += &definition.attributes(Kind::Provider);
    check("index.md", &page);
}

#[test]
fn functions() {
    let text = std::fs::read_to_string(path("schemas/provider.json")).expect("the golden schema");
    let golden: Value = serde_json::from_str(&text).expect("it is JSON");
    for (name, function) in golden["functions"].as_object().expect("it has functions") {
        let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut page = front_matter(&format!("{name} function"), &said(&function["summary"]));
        let _ = write!(page, "# function: {name}\n\n{}\n\n", said(&function["description"]));
        page += &example(&format!("functions/{name}/function.tf"));
        let parameters = function["parameters"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> =
            parameters.iter().map(|parameter| said(&parameter["name"])).collect();
        let _ = write!(
            page,
            "## Signature\n\n```text\n{name}({})\n```\n\n## Arguments\n\n",
            names.join(", ")
        );
        for (index, parameter) in parameters.iter().enumerate() {
            let (name, meaning) = (said(&parameter["name"]), said(&parameter["description"]));
            let _ = writeln!(page, "{}. `{name}` {meaning}", index + 1);
        }
        check(&format!("functions/{name}.md"), &page);
    }
}

fn resource<M: JsonSchema>(name: &str) {
    let definition = Definition::of::<M>();
    let description = &definition.schema.description;
    let mut page = front_matter(&format!("{name} Resource"), description);
    let _ = write!(page, "# {name} (Resource)\n\n{description}\n\n");
    page += &example(&format!("resources/{name}/resource.tf"));
    page += &definition.attributes(Kind::Resource);
    let read = |file: &str| {
        let path = path(&format!("examples/resources/{name}/{file}"));
        std::fs::read_to_string(path).expect("each resource has an example of its import")
    };
    let _ = write!(
        page,
        "\n## Import\n\n```shell\n{}```\n\nOr in the configuration, where `terraform plan \
         -generate-config-out=generated.tf` writes the rest:\n\n```terraform\n{}```\n\nFrom Terraform \
         1.12 on also by its identity, the parts of that path:\n\n```terraform\n{}```\n",
        read("import.sh"),
        read("import.tf"),
        read("import-by-identity.tf")
    );
    check(&format!("resources/{}.md", name.trim_start_matches("disagg_")), &page);
}

fn data_source<M: JsonSchema>(name: &str) {
    let definition = Definition::of::<M>();
    let description = &definition.schema.description;
    let mut page = front_matter(&format!("{name} Data Source"), description);
    let _ = write!(page, "# {name} (Data Source)\n\n{description}\n\n");
    page += &example(&format!("data-sources/{name}/data-source.tf"));
    page += &definition.attributes(Kind::DataSource);
    check(&format!("data-sources/{}.md", name.trim_start_matches("disagg_")), &page);
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Provider,
    Resource,
    DataSource,
}

/// A definition with both of its views: what Terraform is told, and the rows.
struct Definition {
    schema: Schema,
    rows: BTreeMap<Vec<String>, Row>,
}

impl Definition {
    fn of<M: JsonSchema>() -> Self {
        let entries = table::entries::<M>().into_iter();
        let rows = entries.map(|Entry { path, row, .. }| (path, row)).collect();
        Self { schema: schemas::schema::<M>(0), rows }
    }

    fn attributes(&self, kind: Kind) -> String {
        let mut page = "## Schema\n".to_owned();
        let mut nested = Vec::new();
        self.write(&mut page, kind, &[], &self.schema.attributes, &mut nested);
        while !nested.is_empty() {
            for (path, attributes) in std::mem::take(&mut nested) {
                let name = path.join(".");
                let _ =
                    write!(page, "\n<a id=\"nested--{}\"></a>\n### `{name}`\n", path.join("--"));
                self.write(&mut page, kind, &path, attributes, &mut nested);
            }
        }
        page
    }

    fn write<'a>(
        &self,
        page: &mut String,
        kind: Kind,
        above: &[String],
        attributes: &'a BTreeMap<String, Attribute>,
        nested: &mut Vec<(Vec<String>, &'a BTreeMap<String, Attribute>)>,
    ) {
        let groups: [(&str, &[Mode]); 3] = [
            ("Required", &[Mode::Required]),
            ("Optional", &[Mode::Optional, Mode::OptionalComputed]),
            ("Read-Only", &[Mode::Computed]),
        ];
        for (title, modes) in groups {
            let of_group = attributes.iter().filter(|(_, found)| modes.contains(&found.mode));
            let mut of_group = of_group.peekable();
            if of_group.peek().is_none() {
                continue;
            }
            let level = if above.is_empty() { "###" } else { "####" };
            let _ = write!(page, "\n{level} {title}\n\n");
            for (name, attribute) in of_group {
                let path: Vec<String> = above.iter().chain([name]).cloned().collect();
                let row = self.rows.get(&path).expect("every attribute has a row");
                let _ = writeln!(page, "{}", line(kind, &path, attribute, row));
                if let AttributeKind::Nested { attributes, .. } = &attribute.kind {
                    nested.push((path, attributes));
                }
            }
        }
    }
}

fn line(kind: Kind, path: &[String], attribute: &Attribute, row: &Row) -> String {
    let name = path.last().expect("a path has a name");
    let mut text = format!("- `{name}` ({}) {}", type_of(&attribute.kind), attribute.description);
    if let Some(default) = &row.default {
        let _ = write!(text, " Default: `{default}`.");
    }
    let rules: Vec<&str> =
        attribute.validators.iter().map(|rule| rule.description.as_str()).collect();
    let rules: Vec<&str> = rules.into_iter().filter(|rule| rule.contains(' ')).collect();
    if !rules.is_empty() {
        let _ = write!(text, " Must be {}.", rules.join(", "));
    }
    if kind == Kind::Resource {
        if let Some(class) = row.change {
            let _ = write!(text, " *{}*", change(class));
        }
        let configurable = row.required || row.optional;
        if configurable && row.import == ImportSource::Nowhere {
            text += " After an import its default is assumed.";
        }
    }
    if matches!(attribute.kind, AttributeKind::Nested { .. }) {
        let _ = write!(text, " (see [below](#nested--{}))", path.join("--"));
    }
    text
}

fn change(class: ChangeClass) -> &'static str {
    match class {
        ChangeClass::Refused => {
            "A change is refused while the router is live, and replaces the service otherwise."
        }
        ChangeClass::InPlace => "Changed in place.",
        ChangeClass::Rolling => "A change is rolled out, machine by machine.",
        ChangeClass::Replace => "A change makes another one.",
        ChangeClass::ProviderOnly => "A change touches nothing in the cloud.",
    }
}

fn type_of(kind: &AttributeKind) -> String {
    match kind {
        AttributeKind::Type(kind) => type_name(kind),
        AttributeKind::Nested { nesting, .. } => match nesting {
            Nesting::Single => "Object".to_owned(),
            Nesting::List => "List of Object".to_owned(),
            Nesting::Set => "Set of Object".to_owned(),
            Nesting::Map => "Map of Object".to_owned(),
        },
    }
}

fn type_name(kind: &Type) -> String {
    match kind {
        Type::String => "String".to_owned(),
        Type::Bool => "Boolean".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::List(element) => format!("List of {}", type_name(element)),
        Type::Set(element) => format!("Set of {}", type_name(element)),
        Type::Map(element) => format!("Map of {}", type_name(element)),
        Type::Object(_) | Type::Tuple(_) => "Object".to_owned(),
        Type::Dynamic => "Dynamic".to_owned(),
    }
}

fn front_matter(title: &str, description: &str) -> String {
    let first = description.split("\n\n").next().unwrap_or_default();
    format!(
        "---\npage_title: \"{title} - disagg\"\nsubcategory: \"\"\ndescription: |-\n  {first}\n---\n\n"
    )
}

fn example(file: &str) -> String {
    let text = std::fs::read_to_string(path(&format!("examples/{file}")))
        .unwrap_or_else(|error| panic!("examples/{file}: {error}"));
    format!("## Example Usage\n\n```terraform\n{text}```\n\n")
}

fn path(relative: &str) -> PathBuf {
    Path::new(ROOT).join(relative)
}

fn check(file: &str, page: &str) {
    let path = path("docs").join(file);
    std::fs::create_dir_all(path.parent().expect("a page is in a folder")).expect("a folder");
    expect_file![path].assert_eq(page);
}
