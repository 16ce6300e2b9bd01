//! What exists can be taken over, and the plan after that is empty.

use acceptance::Workspace;
use acceptance::config::Stack;

#[test]
fn an_imported_deployment_has_an_empty_plan() {
    let workspace = Workspace::new();
    let stack = Stack {
        service: "port = 8080\n  router = { args = [\"--router-temperature\", \"0.1\"], env = { DYN_LOG = \"info\" } }\n  ingress_cidrs = [\"203.0.113.0/24\"]".to_owned(),
        prefill: "replicas = 1".to_owned(),
        decode: "scaling = { min = 1, max = 3, target = 2.5 }".to_owned(),
        groups: "env = { DYN_LOG = \"info\" }".to_owned(),
        ..Stack::default()
    };
    workspace.apply(&stack.hcl());
    let state = workspace.path().join("terraform.tfstate");
    std::fs::remove_file(state).expect("the state was there");

    for (address, id) in [
        ("disagg_fleet.pd", "local/local/pd"),
        ("disagg_service.tiny", "local/local/pd/tiny"),
        ("disagg_replica_group.prefill", "local/local/pd/tiny/prefill"),
        ("disagg_replica_group.decode", "local/local/pd/tiny/decode"),
    ] {
        workspace.terraform(&["import", address, id]).success();
    }
    let plan = workspace.plan_now(&[]);
    // Only the endpoint, which nothing in the cloud records, is still to be made.
    assert_eq!(plan.changed(), ["disagg_endpoint.tiny"], "{}", plan.text);
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn a_deployment_of_defaults_is_imported_without_a_change() {
    let workspace = Workspace::new();
    let stack = Stack {
        endpoint: false,
        groups: "resources = { gpu = \"H200:1\" }".to_owned(),
        ..Stack::default()
    };
    workspace.apply(&stack.hcl());
    for (address, id) in [
        ("disagg_service.tiny", "local/local/pd/tiny"),
        ("disagg_replica_group.prefill", "local/local/pd/tiny/prefill"),
    ] {
        workspace.terraform(&["state", "rm", address]).success();
        workspace.terraform(&["import", address, id]).success();
    }
    let plan = workspace.plan_now(&[]);
    // One GPU is one GPU, however it is written: no replacement, and no machine changes.
    assert_eq!(plan.changed(), ["disagg_replica_group.prefill"], "{}", plan.text);
    assert_eq!(plan.action("disagg_replica_group.prefill"), "update", "{}", plan.text);
    let before = workspace.machines();
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.machines(), before);
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn what_no_cloud_records_is_one_change_without_a_call() {
    let workspace = Workspace::new();
    let stack = Stack {
        service: "boot = \"overlap\"\n  timeouts = { create = \"30m\" }".to_owned(),
        endpoint: false,
        ..Stack::default()
    };
    workspace.apply(&stack.hcl());
    workspace.terraform(&["state", "rm", "disagg_service.tiny"]).success();
    workspace.terraform(&["import", "disagg_service.tiny", "local/local/pd/tiny"]).success();
    let plan = workspace.plan_now(&[]);
    assert_eq!(plan.action("disagg_service.tiny"), "update");
    let before = workspace.machines();
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.machines(), before);
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn what_does_not_exist_cannot_be_imported() {
    let workspace = Workspace::new();
    workspace.write(&Stack::default().hcl());
    for (address, id, said) in [
        ("disagg_fleet.pd", "local/local/pd", "Fleet local/local/pd not found"),
        ("disagg_fleet.pd", "pd", "aws/us-east-2/pd"),
        ("disagg_service.tiny", "local/local/pd", "cloud/region/fleet/service"),
    ] {
        workspace.terraform(&["import", address, id]).failure().says(&[said]);
    }
}
