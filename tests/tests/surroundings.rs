//! What is wrong around a configuration: a state that was edited, a state directory that cannot be
//! used, a fleet of another provider configuration, user data that no cloud takes.

use acceptance::config::{Stack, fleet, group, service};
use acceptance::{Cloud, Workspace};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

acceptance::tests! {
    a_state_that_was_edited_by_hand_is_said_to_be_so;
    user_data_that_no_machine_takes_is_refused_in_the_plan;
}

fn a_state_that_was_edited_by_hand_is_said_to_be_so(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&Stack { endpoint: false, ..Stack::on(cloud) }.hcl());
    let path = workspace.path().join("terraform.tfstate");
    let good = std::fs::read_to_string(&path).expect("a state");
    for (resource, attribute, value, said) in [
        ("disagg_service", "id", "mine", "State of a service cannot be read"),
        ("disagg_replica_group", "id", "a/b", "State of a replica group cannot be read"),
        ("disagg_replica_group", "role", "boss", "cannot be read"),
        ("disagg_service", "version", "0.0.1", "cannot be read"),
        ("disagg_fleet", "cloud", "moon", "State of a fleet cannot be read"),
    ] {
        let mut state: Value = serde_json::from_str(&good).expect("JSON");
        let resources = state["resources"].as_array_mut().expect("resources");
        let edited = resources.iter_mut().find(|found| found["type"] == resource);
        edited.expect("it is in the state")["instances"][0]["attributes"][attribute] = value.into();
        std::fs::write(&path, state.to_string()).expect("a state");
        let run = workspace.terraform(&["plan"]).failure();
        run.says(&[said, "terraform state rm"]);
        assert!(!run.diagnostics().contains("Provider bug"), "{}", run.stderr);
    }
    std::fs::write(&path, good).expect("a state");
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn a_state_directory_that_cannot_be_used_is_an_error_with_its_path_on_the_local_cloud() {
    let with = |directory: &Path| {
        format!(
            "provider \"disagg\" {{\n  local = {{ state_directory = \"{}\" }}\n}}\n{}",
            directory.display(),
            fleet("")
        )
    };
    let workspace = Workspace::local();
    let file = workspace.path().join("a-file");
    std::fs::write(&file, "").expect("a file");
    let newer = workspace.path().join("newer");
    std::fs::create_dir(&newer).expect("a directory");
    std::fs::write(newer.join("format"), r#"{ "format": 99 }"#).expect("a format");
    let read_only = Path::new("/proc/disagg");
    for (directory, said) in [(&*file, "a-file"), (&newer, "99"), (read_only, "/proc/disagg")] {
        let run = workspace.apply_fails(&with(directory));
        run.says(&["state directory", said]);
        assert!(!run.diagnostics().contains("Provider bug"), "{}", run.stderr);
    }
}

#[test]
fn a_proxy_for_the_internet_is_not_between_the_machines_on_the_local_cloud() {
    // Nobody listens there. It stands in all the places where people set one, each with its own exceptions.
    let proxy = "http://127.0.0.1:9";
    let workspace = Workspace::local()
        .with_env("ALL_PROXY", proxy)
        .with_env("http_proxy", proxy)
        .with_env("no_proxy", "localhost,127.0.0.1");
    let env = format!(
        r#"env = {{ http_proxy = "{proxy}", HTTPS_PROXY = "{proxy}", NO_PROXY = "mirror.example" }}"#
    );
    let stack = Stack {
        service: format!("router = {{ {env} }}"),
        groups: env,
        ..Stack::on(workspace.cloud())
    };
    workspace.apply(&stack.hcl());
    acceptance::assert_chats(&workspace);
    workspace.destroy();
}

/// A file system of a few pages, for as long as it lives.
struct Small(std::path::PathBuf);

impl Small {
    fn new(path: std::path::PathBuf) -> Self {
        std::fs::create_dir_all(&path).expect("a directory");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "disagg-test"])
            .arg(&path)
            .status();
        assert!(mount.expect("mount is on the PATH").success(), "mounting needs root");
        Self(path)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Nothing is left to be done about one that is busy.
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}

#[test]
fn a_disk_that_is_full_leaves_nothing_half_made_on_the_local_cloud() {
    let workspace = Workspace::local();
    let small = Small::new(workspace.state_directory());
    workspace.apply(&fleet(""));
    let filler = small.0.join("filler");
    let full = Command::new("dd")
        .args(["if=/dev/zero", "bs=4k", &format!("of={}", filler.display())])
        .output()
        .expect("dd is on the PATH");
    assert!(!full.status.success(), "the disk is full now");
    let run = workspace.apply_fails(&format!("{}{}", fleet(""), service("")));
    run.says(&["No space left on device"]);
    assert!(!run.diagnostics().contains("Provider bug"), "{}", run.stderr);
    std::fs::remove_file(filler).expect("room");
    assert_eq!(workspace.machines(), Vec::new());
    workspace.destroy();
}

#[test]
fn a_fleet_of_another_provider_configuration_is_not_found_on_the_local_cloud() {
    let workspace = Workspace::local();
    let directory = workspace.path().join("elsewhere");
    let alias = format!(
        "provider \"disagg\" {{\n  alias = \"elsewhere\"\n  local = {{ state_directory = \"{}\" }}\n}}\n",
        directory.display()
    );
    let elsewhere = fleet("provider = disagg.elsewhere");
    let run = workspace.apply_fails(&format!("{alias}{elsewhere}{}", service("")));
    run.says(&["Fleet local/local/pd not found", "the same provider configuration"]);
    workspace.write(&format!("{alias}{elsewhere}"));
    workspace.terraform(&["destroy", "-auto-approve"]).success();
}

fn user_data_that_no_machine_takes_is_refused_in_the_plan(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    // What does not compress: the numbers are random enough.
    let mut seed = 7_u64;
    let mut noise = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{seed:x}")
    };
    let text: String = (0..30_000).map(|_| noise()).collect();
    let big = format!("replicas = 1\n  env = {{ A = \"{text}\" }}");
    let hcl = format!("{}{}{}", fleet(""), service(""), group("decode", &big));
    let run = workspace.plan_fails(&hcl);
    let limit = &cloud.most_user_data().to_string();
    run.says(&["User data too large", limit, "the largest of its files is"]);
    let router = service(&format!("router = {{ env = {{ A = \"{text}\" }} }}"));
    workspace.apply(&fleet(""));
    let run = workspace.plan_fails(&format!("{}{router}", fleet("")));
    run.says(&["User data too large", limit]);
    workspace.write(&fleet(""));
    workspace.destroy();
}
