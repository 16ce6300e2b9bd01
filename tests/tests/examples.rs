//! The examples that the documentation shows: each is applied, and its second plan is empty.

use acceptance::Workspace;
use acceptance::config::{fleet, service};
use std::path::{Path, PathBuf};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn read(file: &str) -> String {
    std::fs::read_to_string(examples().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[test]
fn resources() {
    let folders = std::fs::read_dir(examples().join("resources")).expect("examples of resources");
    let mut applied = 0;
    for folder in folders.flatten() {
        let name = folder.file_name().into_string().expect("a name");
        let workspace = Workspace::local();
        workspace.apply(&read(&format!("resources/{name}/resource.tf")));
        workspace.assert_no_changes();
        // What the page says about the import is true of the page's own example.
        let import = read(&format!("resources/{name}/import.sh"));
        let words: Vec<&str> = import.split_whitespace().collect();
        let [_, _, address, id] = words[..] else { panic!("{import}") };
        workspace.terraform(&["state", "rm", address]).success();
        workspace.terraform(&["import", address, id]).success();
        let block = read(&format!("resources/{name}/import.tf"));
        assert!(block.contains(address) && block.contains(id), "{block}");
        workspace.destroy();
        applied += 1;
    }
    assert_eq!(applied, 4);
}

#[test]
fn functions_and_data_sources() {
    for file in [
        "functions/gpu/function.tf",
        "functions/user_data/function.tf",
        "data-sources/disagg_offers/data-source.tf",
    ] {
        let workspace = Workspace::local();
        workspace.apply(&read(file));
        workspace.assert_no_changes();
    }
    let owner = Workspace::local();
    let glm = service("").replace("\"tiny\"\n", "\"glm\"\n");
    owner.apply(&format!("{}{glm}", fleet("")));
    let other = owner.neighbour();
    other.apply(&read("data-sources/disagg_service/data-source.tf"));
    other.assert_no_changes();
    other.terraform(&["destroy", "-auto-approve"]).success();
    owner.destroy();
}

#[test]
fn drift_ci_finds_drift_and_nothing_else() {
    let workspace = Workspace::local();
    let check = |code: i32| {
        let run = workspace.run(&workspace.path().join("check-drift"));
        assert_eq!(run.code, Some(code), "{}\n{}", run.stdout, run.stderr);
        run.stdout
    };
    let module = examples().join("../modules/dynamo-pd");
    let main = read("drift-ci/main.tf")
        .replace("../../modules/dynamo-pd", module.to_str().expect("a path"));
    std::fs::write(workspace.path().join("main.tf"), main).expect("configuration");
    let script = workspace.path().join("check-drift");
    std::fs::copy(examples().join("drift-ci/check-drift"), &script).expect("the script");
    workspace.terraform(&["get"]).success();
    workspace.terraform(&["apply", "-auto-approve"]).success();
    assert!(check(0).contains("no drift"));
    let lost = workspace.group("decode").remove(0);
    workspace.disagg(&["local", "lose", &lost.id]).success();
    let said = check(2);
    assert!(said.contains("gone") && said.contains("0 -> 1"), "{said}");
    workspace.terraform(&["apply", "-auto-approve"]).success();
    assert!(check(0).contains("no drift"));
    std::fs::write(workspace.path().join("broken.tf"), "resource {").expect("configuration");
    check(1);
    std::fs::remove_file(workspace.path().join("broken.tf")).expect("configuration");
    workspace.destroy();
}

/// What the guides' blocks refer to, unless they bring it along.
const SURROUNDINGS: [(&str, &str); 2] = [
    ("resource \"disagg_fleet\" \"pd\"", "{\n  name  = \"pd\"\n  cloud = \"local\"\n}\n"),
    (
        "resource \"disagg_service\" \"glm\"",
        "{\n  name     = \"glm\"\n  fleet_id = disagg_fleet.pd.id\n  model    = \"zai-org/GLM-4.5-Air-FP8\"\n}\n",
    ),
];

#[test]
fn every_block_of_the_guides_is_valid() {
    let guides = examples().join("../docs/guides");
    let mut blocks = 0;
    for guide in std::fs::read_dir(guides).expect("guides").flatten() {
        let text = std::fs::read_to_string(guide.path()).expect("a guide");
        for block in text.split("```terraform\n").skip(1) {
            let mut block = block.split("```").next().unwrap_or_default().to_owned();
            for (resource, body) in SURROUNDINGS {
                if !block.contains(resource) {
                    block += &format!("\n{resource} {body}");
                }
            }
            let workspace = Workspace::local();
            workspace.write(&block);
            let run = workspace.terraform(&["validate"]);
            assert_eq!(run.code, Some(0), "{:?}:\n{block}\n{}", guide.path(), run.stderr);
            blocks += 1;
        }
    }
    assert!(blocks >= 6, "only {blocks} blocks");
}
