//! A small provider as a program: shelves, each a JSON file in a directory. The tests of this crate
//! start it as Terraform does, and let Terraform itself drive it.

use async_trait::async_trait;
use plugin::{
    Attr, Attribute, AttributeKind, AttributePath, Change, Ctx, Diagnostic, Diagnostics,
    DynEphemeralResource, DynResource, EphemeralResource, IdentityPart, Invalid, Mode, Nesting,
    Opened, PlanModifier, Private, Provider, Resource, Schema, Serve, State, Timeouts, Type,
    Validator, Value, ephemeral_resource, resource, serve,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn main() -> ExitCode {
    let directory = Directory::default();
    let options = Serve {
        name: "terraform-provider-toy",
        address: "registry.terraform.io/example/toy",
        version: "0.0.1",
    };
    serve(Toy { directory }, options)
}

/// Where the shelves are; known once the provider is configured.
type Directory = Arc<Mutex<Option<PathBuf>>>;

#[derive(Debug)]
struct Toy {
    directory: Directory,
}

#[derive(Debug, Deserialize)]
struct Config {
    directory: Attr<String>,
}

#[async_trait]
impl Provider for Toy {
    type Config = Config;

    fn schema(&self) -> Schema {
        let directory = Attribute { mode: Mode::Required, ..text("Where the shelves are kept.") };
        Schema {
            description: "Shelves in a directory.".to_owned(),
            attributes: BTreeMap::from([("directory".to_owned(), directory)]),
            ..Schema::default()
        }
    }

    async fn configure(&self, config: Config, _: &str) -> Result<Diagnostics, Diagnostics> {
        let directory = config.directory.into_known().map(PathBuf::from);
        *self.directory.lock().expect("no holder panics") = directory;
        Ok(Diagnostics::default())
    }

    fn resources(&self) -> Vec<Box<dyn DynResource>> {
        vec![resource(ShelfResource { directory: Arc::clone(&self.directory) })]
    }

    fn ephemeral_resources(&self) -> Vec<Box<dyn DynEphemeralResource>> {
        vec![ephemeral_resource(KeyResource { directory: Arc::clone(&self.directory) })]
    }
}

/// A key is a file as long as somebody holds it.
#[derive(Debug)]
struct KeyResource {
    directory: Directory,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Key {
    name: Attr<String>,
    secret: Attr<String>,
}

#[async_trait]
impl EphemeralResource for KeyResource {
    type Model = Key;

    fn type_name(&self) -> &'static str {
        "toy_key"
    }

    fn schema(&self) -> Schema {
        let name = Attribute { mode: Mode::Required, ..text("Its name.") };
        Schema {
            description: "A key.".to_owned(),
            attributes: named([("name", name), ("secret", computed())]),
            ..Schema::default()
        }
    }

    async fn open(&self, _: &Ctx, mut key: Key) -> Result<Opened<Key>, Diagnostics> {
        let name = key.name.as_str().unwrap_or_default().to_owned();
        std::fs::write(path_in(&self.directory, &format!("key-{name}"))?, "").map_err(failed)?;
        key.secret = Attr::Known(format!("secret of {name}"));
        let mut opened = Opened::new(key);
        opened.private.set("name", name.into());
        Ok(opened)
    }

    async fn close(&self, _: &Ctx, private: Private) -> Result<(), Diagnostics> {
        let name = private.get("name").and_then(|name| name.as_str()).unwrap_or_default();
        let path = path_in(&self.directory, &format!("key-{name}"))?;
        std::fs::rename(&path, path.with_extension("returned")).map_err(failed)
    }
}

/// The model: the configuration, the plan, the state, and here the file as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Shelf {
    id: Attr<String>,
    name: Attr<String>,
    color: Attr<String>,
    owner: Attr<Owner>,
    slots: Attr<BTreeMap<String, Slot>>,
    seconds: Attr<i64>,
    timeouts: Attr<ShelfTimeouts>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owner {
    email: Attr<String>,
    token: Attr<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    size: Attr<i64>,
    code: Attr<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ShelfTimeouts {
    create: Attr<String>,
}

#[derive(Debug)]
struct ShelfResource {
    directory: Directory,
}

#[async_trait]
impl Resource for ShelfResource {
    type Model = Shelf;

    fn type_name(&self) -> &'static str {
        "toy_shelf"
    }

    fn schema(&self) -> Schema {
        let attributes = [
            ("id", Attribute { modifiers: vec![PlanModifier::UseStateForUnknown], ..computed() }),
            (
                "name",
                Attribute {
                    mode: Mode::Required,
                    modifiers: vec![PlanModifier::RequiresReplace],
                    ..text("Its name; another name is another shelf.")
                },
            ),
            ("color", Attribute { validators: vec![a_color()], ..text("What it looks like.") }),
            ("owner", nested(Nesting::Single, owner(), "Whose it is.")),
            ("slots", nested(Nesting::Map, slot(), "What stands on it.")),
            ("seconds", number(Mode::OptionalComputed, Some(0), "How long building it takes.")),
            ("timeouts", nested(Nesting::Single, timeouts(), "How long it may take.")),
        ];
        Schema { version: 0, description: "A shelf.".to_owned(), attributes: named(attributes) }
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts { create: Duration::from_secs(60), ..Timeouts::default() }
    }

    fn plan(&self, change: &mut Change<Shelf>) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        let slots = change.planned.as_ref().and_then(|planned| planned.slots.known());
        for (name, slot) in slots.into_iter().flatten() {
            if slot.size.known().is_some_and(|size| *size > 9) {
                let path = AttributePath::root("slots").key(name);
                let detail = format!("Slot `{name}` is larger than 9. Make it smaller.");
                diagnostics.push(Diagnostic::error("Slot is too large", detail).at(path));
            }
        }
        diagnostics
    }

    async fn create(
        &self,
        ctx: &Ctx,
        mut planned: Shelf,
        state: &mut State<Shelf>,
    ) -> Result<(), Diagnostics> {
        let name = planned.name.as_str().unwrap_or_default().to_owned();
        planned.id = Attr::Known(format!("shelf-{name}"));
        fill_codes(&mut planned);
        self.write(&planned)?;
        // From here on there is a file: saved before anything is waited for.
        state.save(&planned);
        tracing::info!(shelf = name, "built");
        let seconds = planned.seconds.known().copied().unwrap_or_default();
        let drying = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        ctx.checked(tokio::time::sleep(drying)).await.map_err(|why| {
            Diagnostic::error("Shelf is not dry", format!("Waiting ended: {why}.")).into()
        })
    }

    async fn read(&self, _: &Ctx, state: &mut State<Shelf>) -> Result<(), Diagnostics> {
        let Some(id) = state.get().and_then(|shelf| shelf.id.as_str()) else { return Ok(()) };
        match self.look(id)? {
            Some(shelf) => state.save(&shelf),
            None => state.remove(),
        }
        Ok(())
    }

    async fn update(
        &self,
        _: &Ctx,
        _: Shelf,
        mut planned: Shelf,
        state: &mut State<Shelf>,
    ) -> Result<(), Diagnostics> {
        fill_codes(&mut planned);
        self.write(&planned)?;
        state.save(&planned);
        Ok(())
    }

    async fn delete(&self, _: &Ctx, state: &mut State<Shelf>) -> Result<(), Diagnostics> {
        let Some(id) = state.get().and_then(|shelf| shelf.id.as_str()) else { return Ok(()) };
        match std::fs::remove_file(self.path(id)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    fn identity_parts(&self) -> &'static [IdentityPart] {
        &[IdentityPart { name: "shelf", description: "Its file's name." }]
    }

    fn identity(&self, shelf: &Shelf) -> Option<Vec<String>> {
        Some(vec![shelf.id.as_str()?.to_owned()])
    }

    async fn import(&self, _: &Ctx, id: &str, state: &mut State<Shelf>) -> Result<(), Diagnostics> {
        let Some(shelf) = self.look(id)? else {
            let detail = format!("There is no `{id}` in the directory.");
            return Err(Diagnostic::error("Shelf not found", detail).into());
        };
        state.save(&shelf);
        Ok(())
    }
}

impl ShelfResource {
    fn path(&self, id: &str) -> Result<PathBuf, Diagnostics> {
        path_in(&self.directory, &format!("{id}.json"))
    }

    fn look(&self, id: &str) -> Result<Option<Shelf>, Diagnostics> {
        let bytes = match std::fs::read(self.path(id)?) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(failed)
    }

    fn write(&self, shelf: &Shelf) -> Result<(), Diagnostics> {
        let id = shelf.id.as_str().unwrap_or_default();
        let bytes = serde_json::to_vec(shelf).map_err(failed)?;
        std::fs::write(self.path(id)?, bytes).map_err(failed)
    }
}

fn path_in(directory: &Directory, name: &str) -> Result<PathBuf, Diagnostics> {
    let directory = directory.lock().expect("no holder panics").clone();
    let directory = directory.ok_or_else(|| {
        Diagnostic::error("Directory is not known", "Configure the provider's `directory`.")
            .at(AttributePath::root("directory"))
    })?;
    Ok(directory.join(name))
}

fn failed(error: impl std::error::Error) -> Diagnostics {
    Diagnostic::error("Shelf cannot be kept", format!("Its file: {error}.")).into()
}

/// Every slot has a code that only the builder knows.
fn fill_codes(shelf: &mut Shelf) {
    let Attr::Known(slots) = &mut shelf.slots else { return };
    for (name, slot) in slots {
        if slot.code.is_unknown() {
            slot.code = Attr::Known(format!("code-{name}"));
        }
    }
}

fn owner() -> BTreeMap<String, Attribute> {
    let token = Attribute { write_only: true, ..text("Proves who it is; never kept.") };
    let email = Attribute { mode: Mode::Required, ..text("Where to write to.") };
    named([("email", email), ("token", token)])
}

fn slot() -> BTreeMap<String, Attribute> {
    let size = number(Mode::OptionalComputed, Some(1), "How wide it is.");
    named([("size", size), ("code", computed())])
}

fn timeouts() -> BTreeMap<String, Attribute> {
    named([("create", text("For building it."))])
}

fn a_color() -> Validator {
    Validator::new("a color", |value| match value {
        Value::String(text) if text != "red" && text != "blue" => Err(Invalid {
            summary: "Unknown color".to_owned(),
            detail: format!("`{text}` is none; there are `red` and `blue`."),
            path: None,
        }),
        _ => Ok(()),
    })
}

fn text(description: &str) -> Attribute {
    Attribute { description: description.to_owned(), ..Attribute::default() }
}

fn computed() -> Attribute {
    Attribute { mode: Mode::Computed, ..text("Given by the builder.") }
}

fn number(mode: Mode, default: Option<i64>, description: &str) -> Attribute {
    let default = default.map(|number| Value::Number(number.into()));
    Attribute { kind: AttributeKind::Type(Type::Number), mode, default, ..text(description) }
}

fn nested(
    nesting: Nesting,
    attributes: BTreeMap<String, Attribute>,
    description: &str,
) -> Attribute {
    Attribute { kind: AttributeKind::Nested { nesting, attributes }, ..text(description) }
}

fn named<const N: usize>(attributes: [(&str, Attribute); N]) -> BTreeMap<String, Attribute> {
    attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into()
}
