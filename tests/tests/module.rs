//! `modules/dynamo-pd` as a user has it.

use acceptance::{Workspace, chat};

#[test]
fn the_module_deploys_and_its_second_plan_is_empty() {
    let workspace = Workspace::local();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../modules/dynamo-pd");
    workspace.write(&format!(
        r#"
module "tiny" {{
  source  = "{source}"
  name    = "tiny"
  cloud   = "local"
  model   = "disagg/tiny"
  engine  = "mocker"
  prefill = {{ replicas = 1, gpu = "H200" }}
  decode  = {{ scaling = {{ min = 1, max = 3, target = 2 }} }}
}}

output "url" {{
  value = module.tiny.url
}}

output "hourly_cost" {{
  value = module.tiny.hourly_cost
}}
"#
    ));
    workspace.terraform(&["get"]).success();
    workspace.terraform(&["apply", "-auto-approve"]).success();
    let url = workspace.output("url");
    assert_eq!(chat(url.as_str().expect("text"), "disagg/tiny", "Hello").0, 200);
    assert_eq!(workspace.output("hourly_cost"), 0);
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn the_modules_own_tests_pass() {
    let workspace = Workspace::local();
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/dynamo-pd");
    let copy = std::process::Command::new("cp")
        .args(["-r", &format!("{}/.", source.display())])
        .arg(workspace.path())
        .status();
    assert!(copy.expect("cp is on the PATH").success());
    let run = workspace.terraform(&["test"]).success();
    assert!(run.stdout.contains("0 failed"), "{}", run.stdout);
    assert!(!run.stdout.contains("0 passed"), "{}", run.stdout);
}
