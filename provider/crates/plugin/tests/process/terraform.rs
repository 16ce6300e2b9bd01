//! The same provider under Terraform itself, from the first validation to the removal.

use crate::start::program;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

struct Workspace {
    directory: TempDir,
}

impl Workspace {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for name in ["plugins", "shelves"] {
            std::fs::create_dir(path.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(program(), path.join("plugins/terraform-provider-toy")).unwrap();
        let plugins = path.join("plugins");
        let cli = format!(
            "provider_installation {{\n  dev_overrides {{\n    \"example/toy\" = {plugins:?}\n  }}\n  direct {{}}\n}}\n"
        );
        std::fs::write(path.join("terraform.rc"), cli).unwrap();
        Self { directory }
    }

    /// The configuration from now on: one shelf with these arguments.
    fn write(&self, arguments: &str) {
        self.write_all(&format!("resource \"toy_shelf\" \"it\" {{\n{arguments}\n}}\n"));
    }

    /// The configuration from now on, under a configured provider.
    fn write_all(&self, configuration: &str) {
        let shelves = self.directory.path().join("shelves");
        let text = format!(
            "terraform {{\n  required_providers {{\n    toy = {{ source = \"example/toy\" }}\n  }}\n}}\n\n\
             provider \"toy\" {{\n  directory = {shelves:?}\n}}\n\n{configuration}"
        );
        std::fs::write(self.directory.path().join("main.tf"), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[])
    }

    /// The same, with more in Terraform's environment.
    fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        Command::new("terraform")
            .args(arguments)
            .current_dir(self.directory.path())
            .env("TF_CLI_CONFIG_FILE", self.directory.path().join("terraform.rc"))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env_remove("TF_LOG")
            .envs(environment.iter().copied())
            .output()
            .expect("terraform is on the path")
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = text(&output);
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    }

    fn apply(&self, arguments: &str) -> Value {
        self.write(arguments);
        self.succeeds(&["apply", "-auto-approve", "-no-color"]);
        assert_eq!(self.changes(), Some(0), "an unchanged configuration changes nothing");
        self.state()
    }

    /// What is said about a configuration that cannot be planned.
    fn refused(&self, arguments: &str) -> String {
        self.write(arguments);
        let output = self.run(&["plan", "-no-color"]);
        assert_eq!(output.status.code(), Some(1));
        text(&output)
    }

    /// 0: none; 2: some.
    fn changes(&self) -> Option<i32> {
        self.run(&["plan", "-detailed-exitcode", "-no-color"]).status.code()
    }

    fn state(&self) -> Value {
        let json = self.run(&["show", "-json"]).stdout;
        let state: Value = serde_json::from_slice(&json).unwrap();
        state["values"]["root_module"]["resources"][0]["values"].clone()
    }

    fn shelves(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path().join("shelves")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into()).collect()
    }
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).unwrap()
}

#[test]
fn terraform_takes_it_from_validation_to_removal() {
    let workspace = Workspace::new();

    // A rule, with the line that breaks it.
    let said = workspace.refused("  name = \"a\"\n  color = \"green\"");
    assert!(said.contains("Unknown color") && said.contains("color = \"green\""), "{said}");

    // Created: nested attributes, a default, what the builder gives, and no secret.
    let first = workspace.apply(
        "  name = \"a\"\n  owner = { email = \"a@b\", token = \"s3cret\" }\n  slots = { x = {} }",
    );
    assert_eq!(first["id"], "shelf-a");
    assert_eq!(first["slots"]["x"]["size"], 1);
    assert_eq!(first["slots"]["x"]["code"], "code-x");
    assert_eq!(first["owner"]["token"], Value::Null);
    let file = std::fs::read_to_string(workspace.directory.path().join("terraform.tfstate"));
    assert!(!file.unwrap().contains("s3cret"));

    // In place.
    let second = workspace.apply("  name = \"a\"\n  slots = { x = { size = 3 }, y = {} }");
    assert_eq!(second["id"], first["id"]);
    assert_eq!(second["slots"]["x"]["size"], 3);
    assert_eq!(second["slots"]["y"]["code"], "code-y");

    // An error of the plan, at an element.
    let said = workspace.refused("  name = \"a\"\n  slots = { x = { size = 10 } }");
    assert!(said.contains("Slot is too large") && said.contains("slots = {"), "{said}");

    // Replaced.
    let third = workspace.apply("  name = \"b\"\n  color = \"red\"");
    assert_eq!(third["id"], "shelf-b");
    assert_eq!(workspace.shelves(), [PathBuf::from("shelf-b.json")]);

    // Imported: nothing to change.
    workspace.succeeds(&["state", "rm", "toy_shelf.it"]);
    workspace.succeeds(&["import", "-no-color", "toy_shelf.it", "shelf-b"]);
    assert_eq!(workspace.changes(), Some(0));

    // Gone behind Terraform's back: made again.
    std::fs::remove_file(workspace.directory.path().join("shelves/shelf-b.json")).unwrap();
    assert_eq!(workspace.changes(), Some(2));
    workspace.apply("  name = \"b\"");

    workspace.succeeds(&["destroy", "-auto-approve", "-no-color"]);
    assert!(workspace.shelves().is_empty());
}

#[test]
fn an_ephemeral_value_reaches_a_resource_and_is_given_back() {
    let workspace = Workspace::new();
    workspace.write_all(
        "ephemeral \"toy_key\" \"it\" {\n  name = \"front\"\n}\n\n\
         resource \"toy_shelf\" \"it\" {\n  name  = \"a\"\n  \
         owner = { email = \"a@b\", token = ephemeral.toy_key.it.secret }\n}\n",
    );
    workspace.succeeds(&["apply", "-auto-approve", "-no-color"]);
    let mut shelves = workspace.shelves();
    shelves.sort();
    assert_eq!(shelves, ["key-front.returned", "shelf-a.json"].map(PathBuf::from));
    let state = std::fs::read_to_string(workspace.directory.path().join("terraform.tfstate"));
    assert!(!state.unwrap().contains("secret of"));
    assert_eq!(workspace.changes(), Some(0));
}

#[test]
fn terraform_may_do_without_tls() {
    let workspace = Workspace::new();
    workspace.write("  name = \"a\"");
    let plain = [("TF_DISABLE_PLUGIN_TLS", "1")];
    let output = workspace.run_with(&["apply", "-auto-approve", "-no-color"], &plain);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(workspace.shelves(), [PathBuf::from("shelf-a.json")]);
}

#[test]
fn terraform_is_reached_over_tcp_where_there_is_no_room_for_a_socket() {
    let workspace = Workspace::new();
    workspace.write("  name = \"a\"");
    // A socket's path has 107 bytes at most.
    let deep = workspace.directory.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let sockets =
        [("PLUGIN_UNIX_SOCKET_DIR", deep.to_str().unwrap()), ("TMPDIR", deep.to_str().unwrap())];
    let output = workspace.run_with(&["apply", "-auto-approve", "-no-color"], &sockets);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(workspace.shelves(), [PathBuf::from("shelf-a.json")]);
    // Without TLS anybody on this computer could ask it.
    let plain = [sockets[0], sockets[1], ("TF_DISABLE_PLUGIN_TLS", "1")];
    let output = workspace.run_with(&["plan", "-no-color"], &plain);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_creation_that_fails_is_kept_as_tainted() {
    let workspace = Workspace::new();
    workspace.write("  name = \"a\"\n  seconds = 3000\n  timeouts = { create = \"10ms\" }");
    let output = workspace.run(&["apply", "-auto-approve", "-no-color"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("Shelf is not dry"));
    assert_eq!(workspace.state()["id"], "shelf-a", "nothing is forgotten");
    workspace.write("  name = \"a\"");
    let plan = workspace.succeeds(&["plan", "-no-color"]);
    assert!(plan.contains("is tainted, so must be replaced"), "{plan}");
}
