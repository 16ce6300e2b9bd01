//! A recipe of the documentation, followed literally: `docs/adding-an-engine.md`, in a copy of the
//! repository, with a build of its own.

use acceptance::{Workspace, release_directory};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const RECIPE: &str = "docs/adding-an-engine.md";

#[test]
fn an_engine_is_added_as_its_recipe_says() {
    let recipe = std::fs::read_to_string(repository().join(RECIPE)).expect("the recipe");
    let plan = block(&recipe, "terraform");
    // The engine is not there yet.
    let before = Workspace::local();
    before.plan_fails(&plan).says(&["toy"]);

    let copy = copy_of_the_repository();
    let engine = copy.path().join("provider/crates/domain/src/engine/toy.rs");
    std::fs::write(engine, block(&recipe, "rust")).expect("the engine");
    std::fs::write(copy.path().join("recipe.diff"), block(&recipe, "diff")).expect("the diff");
    run(copy.path(), "git apply recipe.diff && rm recipe.diff");
    run(copy.path(), &format!("set -e\n{}", block(&recipe, "shell")));
    let page = copy.path().join("docs/resources/replica_group.md");
    assert!(std::fs::read_to_string(page).expect("a page").contains("`toy`"));

    let built = copy.path().join("target/release/terraform-provider-disagg");
    let after = Workspace::of(&built, before.cloud());
    after.apply(&plan);
    let text = after.output("cloud_config").to_string();
    assert!(text.contains("disagg-engine@0.service"), "{text}");
}

/// The text of the recipe's one block in this language.
fn block(recipe: &str, language: &str) -> String {
    let fence = format!("```{language}\n");
    let mut blocks = recipe.split(&fence).skip(1);
    let (block, more) = (blocks.next().expect("a block"), blocks.next());
    assert!(more.is_none(), "one block of {language}");
    let lines = block.split("```").next().unwrap_or_default().lines();
    // Blocks stand inside list items.
    lines.map(|line| format!("{}\n", line.strip_prefix("   ").unwrap_or(line))).collect()
}

/// What git knows of this repository, outside of it, with the dependencies as they are compiled already.
fn copy_of_the_repository() -> tempfile::TempDir {
    let copy = tempfile::Builder::new().prefix("disagg-recipe-").tempdir().expect("a directory");
    let to = copy.path().display();
    run(&repository(), &format!("git ls-files -z | xargs -0 cp --parents -t '{to}'"));
    let own = own_crates();
    for part in ["deps", "build", ".fingerprint"] {
        let from = release_directory().join(part);
        let to = copy.path().join("target/release").join(part);
        std::fs::create_dir_all(&to).expect("a directory");
        for entry in std::fs::read_dir(&from).expect("what is built").flatten() {
            if is_dependency(part, &entry.file_name().to_string_lossy(), &own) {
                link(&entry.path(), &to.join(entry.file_name()));
            }
        }
    }
    copy
}

/// The crates of this repository, which the copy builds for itself: cargo writes into what it has built.
fn own_crates() -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(repository())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let names = packages.filter_map(|package| package["name"].as_str());
    names.map(|name| name.replace('-', "_")).collect()
}

/// Whether a file or folder of a target directory, `name-hash`, is of a dependency's library.
fn is_dependency(part: &str, entry: &str, own: &BTreeSet<String>) -> bool {
    let name = entry.rsplit_once('-').map_or(entry, |(name, _)| name).replace('-', "_");
    match part {
        "deps" => name.strip_prefix("lib").is_some_and(|name| !own.contains(name)),
        _ => !own.contains(&name),
    }
}

/// The same file where that is possible: there are gigabytes of them, and nobody writes to these.
fn link(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir(to).expect("a directory");
        for entry in std::fs::read_dir(from).expect("a directory").flatten() {
            link(&entry.path(), &to.join(entry.file_name()));
        }
    } else if std::fs::hard_link(from, to).is_err() {
        std::fs::copy(from, to).expect("a copy");
        let modified = std::fs::metadata(from).and_then(|found| found.modified());
        let copied = std::fs::File::options().write(true).open(to).expect("the copy");
        copied.set_modified(modified.expect("a time")).expect("the same time");
    }
}

fn run(directory: &Path, script: &str) {
    let mut command = Command::new("bash");
    // The copy builds into itself, and tests its own provider.
    for inherited in ["CARGO_TARGET_DIR", "DISAGG_PROVIDER", "RUSTFLAGS"] {
        command.env_remove(inherited);
    }
    let run = command.args(["-c", script]).current_dir(directory).output().expect("bash runs");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{script}\n{out}\n{err}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
