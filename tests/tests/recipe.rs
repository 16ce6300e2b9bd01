//! A recipe of the documentation, followed literally: `docs/adding-an-engine.md`, in a copy of the
//! repository, with a build of its own.

use acceptance::{Workspace, release_directory};
use std::path::{Path, PathBuf};
use std::process::Command;

const RECIPE: &str = "docs/adding-an-engine.md";

#[test]
fn an_engine_is_added_as_its_recipe_says() {
    let recipe = std::fs::read_to_string(repository().join(RECIPE)).expect("the recipe");
    let plan = block(&recipe, "terraform");
    // The engine is not there yet.
    let before = Workspace::new();
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
    let after = Workspace::of(&built);
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

/// What git knows of this repository, outside of it, with the dependencies as they are compiled already:
/// linked where that is the same disk, else copied.
fn copy_of_the_repository() -> tempfile::TempDir {
    let copy = tempfile::Builder::new().prefix("disagg-recipe-").tempdir().expect("a directory");
    let to = copy.path().display();
    run(&repository(), &format!("git ls-files -z | xargs -0 cp --parents -t '{to}'"));
    let target = copy.path().join("target/release");
    std::fs::create_dir_all(&target).expect("a target directory");
    for part in ["deps", "build", ".fingerprint"] {
        let (from, to) = (release_directory().join(part), target.join(part));
        let (from, to) = (from.display(), to.display());
        run(&repository(), &format!("cp -al '{from}' '{to}' || cp -a '{from}' '{to}'"));
    }
    copy
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
