//! The binary, started by a hand and not by Terraform.

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_terraform-provider-disagg"))
        .args(arguments)
        .env_remove("TF_PLUGIN_MAGIC_COOKIE")
        .output()
        .expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn it_says_its_version() {
    let output = run(&["--version"]);
    assert!(output.status.success());
    let expected = concat!("terraform-provider-disagg v", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn it_says_what_it_is_when_no_terraform_started_it() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Terraform starts it by itself"), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn it_knows_its_arguments() {
    assert_eq!(run(&["--no-such-thing"]).status.code(), Some(1));
    let help = run(&["--help"]);
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("TF_REATTACH_PROVIDERS"), "{help:?}");
    let help = run(&["local", "--help"]);
    assert!(help.status.success());
    assert!(text(&help.stdout).contains("lose"), "{help:?}");
}
