//! What an apply waits for, and what becomes of what did not come up in time.

use acceptance::config::{ENDPOINT, Stack, fleet, group, service};
use acceptance::{Cloud, Fault, Workspace, wait_until};
use serde_json::Value;
use std::time::Duration;

acceptance::tests! {
    a_failed_boot_can_be_kept_for_a_look;
    a_kept_failure_of_an_update_is_tried_again_with_another_machine;
    a_router_that_is_late_is_kept_and_nothing_is_bought_for_it_meanwhile;
    workers_that_are_late_are_kept_and_waited_for;
    an_endpoint_that_is_never_answered_is_an_error_and_taints_nothing needs chats;
    running_machines_can_be_enough needs journals;
    a_secret_reaches_the_engine_and_nothing_else needs own_secrets;
}

fn a_failed_boot_can_be_kept_for_a_look(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let broken = format!(
        "{}{}{}",
        fleet(""),
        service(""),
        group("decode", "replicas = 1\n  on_boot_failure = \"keep\"")
            .replace("\"mocker\"", "\"mocker\", args = [\"--no-such-flag\"]")
    );
    workspace.apply_fails(&broken).says(&["failed", "for inspection"]);
    let kept = workspace.group("decode");
    assert_eq!(kept.len(), 1);
    let console = workspace.console(&kept[0].id);
    assert!(console.contains("status=failed"), "{}", console);
    // It is tainted: mended, it is replaced.
    workspace.apply(&format!("{}{}{}", fleet(""), service(""), group("decode", "replicas = 1")));
    assert_ne!(workspace.group("decode")[0].id, kept[0].id);
    workspace.destroy();
}

fn a_kept_failure_of_an_update_is_tried_again_with_another_machine(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = |engine: &str| {
        let group = group("decode", "replicas = 1\n  on_boot_failure = \"keep\"");
        format!("{}{}{}", fleet(""), service(""), group.replace("\"mocker\"", engine))
    };
    workspace.apply(&stack("\"mocker\""));
    let serves = workspace.group("decode").remove(0);
    let broken = stack("\"mocker\", args = [\"--no-such-flag\"]");
    let mut seen = Vec::new();
    for _ in 0..2 {
        workspace.apply_fails(&broken).says(&["no-such-flag", "for inspection"]);
        let (old, kept): (Vec<_>, Vec<_>) =
            workspace.group("decode").into_iter().partition(|machine| machine.id == serves.id);
        assert_eq!((old.len(), kept.len()), (1, 1), "the one that serves goes for none that fails");
        assert!(!seen.contains(&kept[0].id), "{} has failed before", kept[0].id);
        seen.push(kept[0].id.clone());
    }
    workspace.apply(&stack("\"mocker\""));
    assert_eq!(workspace.group("decode"), [serves]);
    workspace.assert_no_changes();
    workspace.destroy();
}

/// Time that ran out is no verdict: what is late is gone on with.
fn a_router_that_is_late_is_kept_and_nothing_is_bought_for_it_meanwhile(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&fleet(""));
    workspace.faults(&[Fault::SlowBoot(Duration::from_secs(15))]);
    let stack = |timeouts: &str| {
        Stack { endpoint: false, service: timeouts.to_owned(), ..Stack::on(cloud) }.hcl()
    };
    let run = workspace.apply_fails(&stack("timeouts = { create = \"2s\" }"));
    run.says(&[
        "is not finished",
        "Timeout while waiting for the router",
        "is not ready",
        "Nothing was launched",
    ]);
    let router = workspace.router().id;
    assert_eq!(workspace.machines().len(), 1, "no group was bought for it");
    workspace.faults(&[]);
    let plan = workspace.plan(&stack(""));
    assert_eq!(plan.action("disagg_service.tiny"), "update", "{}", plan.text);
    workspace.apply(&stack(""));
    assert_eq!(workspace.router().id, router);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn workers_that_are_late_are_kept_and_waited_for(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    workspace.faults(&[Fault::SlowBoot(Duration::from_secs(15))]);
    let stack = |more: &str| {
        format!(
            "{}{}{}",
            fleet(""),
            service(""),
            group("decode", &format!("replicas = 1\n  {more}"))
        )
    };
    let run = workspace.apply(&stack("timeouts = { create = \"2s\", update = \"2s\" }"));
    run.says(&["1 of the workers", "are not ready yet", "the next apply waits for it"]);
    let late = workspace.group("decode").remove(0).id;
    // Late in an update is an error, and takes nothing either.
    workspace.terraform(&["apply", "-auto-approve"]).failure().says(&["Timeout while waiting for"]);
    workspace.faults(&[]);
    workspace.apply(&stack(""));
    assert_eq!(workspace.group("decode").remove(0).id, late);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn an_endpoint_that_is_never_answered_is_an_error_and_taints_nothing(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    // Decode without prefill answers nothing.
    let lonely = ENDPOINT
        .replace("disagg_replica_group.prefill.id, ", "")
        .replace("  group_ids", "  timeouts = { create = \"4s\" }\n  group_ids");
    let configuration =
        format!("{}{}{}{lonely}", fleet(""), service(""), group("decode", "replicas = 1"));
    let run = workspace.apply_fails(&configuration);
    run.says(&["Timeout while waiting for a chat completion", "disagg/tiny", "timeouts"]);
    assert_eq!(workspace.resource("disagg_endpoint.tiny"), Value::Null);
    assert_eq!(workspace.machines().len(), 2, "the machines are healthy, and stay");
    let all = format!(
        "{}{}{}{}{ENDPOINT}",
        fleet(""),
        service(""),
        group("prefill", "replicas = 1"),
        group("decode", "replicas = 1")
    );
    workspace.apply(&all);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn running_machines_can_be_enough(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let custom = r#"
resource "disagg_replica_group" "idle" {
  name       = "idle"
  service_id = disagg_service.tiny.id
  role       = "worker"
  replicas   = 1
  wait_for   = "running"
  engine     = { type = "custom", commands = ["echo \"I am $DISAGG_GROUP of $DISAGG_ROUTER_INTERNAL_IP\"", "exec tail -f /dev/null"] }
}
"#;
    workspace.apply(&format!("{}{}{custom}", fleet(""), service("")));
    let idle = workspace.group("idle").remove(0);
    let said = format!("I am idle of {}", workspace.router().address);
    wait_until("the commands have run", || cloud.journal(&idle.id).contains(&said));
    workspace.assert_no_changes();
    // They never register, and are rolled all the same.
    let changed = custom.replace("I am", "Here is");
    workspace.apply(&format!("{}{}{changed}", fleet(""), service("")));
    assert_ne!(workspace.group("idle")[0].id, idle.id);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_secret_reaches_the_engine_and_nothing_else(cloud: &Cloud) {
    let value = "hf_this_is_the_value";
    let workspace = Workspace::on(cloud).with_env("DISAGG_TEST_TOKEN", value);
    let stack = Stack {
        groups: "secret_env = { HF_TOKEN = \"env://DISAGG_TEST_TOKEN\" }".to_owned(),
        ..Stack::on(cloud)
    };
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    let engines = processes_with(&format!("HF_TOKEN={value}"));
    assert!(engines >= 2, "{engines} engines have it");
    let mut directories = vec![workspace.path().to_owned(), workspace.state_directory()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let kind = entry.file_type().expect("a file type");
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).unwrap_or_default();
                let found = bytes.windows(value.len()).any(|window| window == value.as_bytes());
                assert!(!found, "{} has the secret", entry.path().display());
            }
        }
    }
    workspace.destroy();
}

fn processes_with(variable: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let environments =
        processes.map(|entry| std::fs::read(entry.path().join("environ")).unwrap_or_default());
    environments
        .filter(|environment| {
            environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes())
        })
        .count()
}
