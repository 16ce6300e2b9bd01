//! The provider inside the test's own process, driven by the real Terraform through
//! `TF_REATTACH_PROVIDERS`: what a debugger sees.

use plugin::testing::Attached;
use std::path::Path;
use std::process::Command;
use terraform_provider_disagg::Disagg;

#[test]
fn terraform_drives_the_provider_of_this_process() {
    let provider = Attached::serve(Disagg::default(), "registry.terraform.io/disagg/disagg");
    let directory = tempfile::tempdir().expect("a directory");
    let cloud = directory.path().join("cloud");
    let configuration = format!(
        r#"
terraform {{
  required_providers {{
    disagg = {{ source = "disagg/disagg" }}
  }}
}}

provider "disagg" {{
  local = {{ state_directory = "{}" }}
}}

resource "disagg_fleet" "pd" {{
  name  = "pd"
  cloud = "local"
}}
"#,
        cloud.display()
    );
    std::fs::write(directory.path().join("main.tf"), configuration).expect("a configuration");
    let run = |arguments: &[&str]| terraform(&provider, directory.path(), arguments);
    assert_eq!(run(&["init"]), 0);
    assert_eq!(run(&["apply", "-auto-approve"]), 0);
    assert!(cloud.join("fleets").read_dir().expect("fleets").next().is_some());
    assert_eq!(run(&["plan", "-detailed-exitcode"]), 0);
    assert_eq!(run(&["destroy", "-auto-approve"]), 0);
    assert!(cloud.join("fleets").read_dir().expect("fleets").next().is_none());
}

fn terraform(provider: &Attached, directory: &Path, arguments: &[&str]) -> i32 {
    let run = Command::new("terraform")
        .args(arguments)
        .current_dir(directory)
        .env_remove("TF_CLI_CONFIG_FILE")
        .env("TF_REATTACH_PROVIDERS", provider.reattach())
        .env("TF_INPUT", "0")
        .env("CHECKPOINT_DISABLE", "1")
        .output()
        .expect("terraform is on the PATH");
    run.status.code().expect("it ends by itself")
}
