//! What exists can be taken over, and the plan after that is empty.

use acceptance::config::Stack;
use acceptance::{Cloud, Workspace};

acceptance::tests! {
    an_imported_deployment_has_an_empty_plan;
    a_deployment_of_defaults_is_imported_without_a_change;
    what_no_cloud_records_is_one_change_without_a_call;
    import_blocks_generate_a_configuration_that_changes_nothing;
    what_does_not_exist_cannot_be_imported;
}

fn an_imported_deployment_has_an_empty_plan(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        service: "port = 8080\n  router = { args = [\"--router-temperature\", \"0.1\"], env = { DYN_LOG = \"info\" } }\n  ingress_cidrs = [\"203.0.113.0/24\"]".to_owned(),
        prefill: "replicas = 1".to_owned(),
        decode: "scaling = { min = 1, max = 3, target = 2.5 }".to_owned(),
        groups: "env = { DYN_LOG = \"info\" }".to_owned(),
        ..Stack::on(cloud)
    };
    workspace.apply(&stack.hcl());
    let state = workspace.path().join("terraform.tfstate");
    std::fs::remove_file(state).expect("the state was there");

    for (address, id) in [
        ("disagg_fleet.pd", &cloud.path("pd")),
        ("disagg_service.tiny", &cloud.path("pd/tiny")),
        ("disagg_replica_group.prefill", &cloud.path("pd/tiny/prefill")),
        ("disagg_replica_group.decode", &cloud.path("pd/tiny/decode")),
    ] {
        workspace.terraform(&["import", address, id]).success();
    }
    let plan = workspace.plan_now(&[]);
    // Only the endpoint, which nothing in the cloud records, is still to be made.
    let left = if cloud.serves() { vec!["disagg_endpoint.tiny"] } else { Vec::new() };
    assert_eq!(plan.changed(), left, "{}", plan.text);
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_deployment_of_defaults_is_imported_without_a_change(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        endpoint: false,
        groups: "resources = { gpu = \"H100:1\" }".to_owned(),
        ..Stack::on(cloud)
    };
    workspace.apply(&stack.hcl());
    for (address, id) in [
        ("disagg_service.tiny", &cloud.path("pd/tiny")),
        ("disagg_replica_group.prefill", &cloud.path("pd/tiny/prefill")),
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

fn what_no_cloud_records_is_one_change_without_a_call(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        service: "boot = \"overlap\"\n  timeouts = { create = \"30m\" }".to_owned(),
        endpoint: false,
        ..Stack::on(cloud)
    };
    workspace.apply(&stack.hcl());
    workspace.terraform(&["state", "rm", "disagg_service.tiny"]).success();
    workspace.terraform(&["import", "disagg_service.tiny", &cloud.path("pd/tiny")]).success();
    let plan = workspace.plan_now(&[]);
    assert_eq!(plan.action("disagg_service.tiny"), "update");
    let before = workspace.machines();
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.machines(), before);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn import_blocks_generate_a_configuration_that_changes_nothing(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        endpoint: false,
        decode: "scaling = { min = 1, max = 3, target = 2.5 }".to_owned(),
        groups: "env = { DYN_LOG = \"info\" }".to_owned(),
        ..Stack::on(cloud)
    };
    workspace.apply(&stack.hcl());
    let machines = workspace.machines();
    std::fs::remove_file(workspace.path().join("terraform.tfstate")).expect("the state was there");
    let block =
        |address: &str, id: &str| format!("import {{\n  to = {address}\n  id = \"{id}\"\n}}\n");
    let blocks: String = [
        block("disagg_fleet.pd", &cloud.path("pd")),
        block("disagg_service.tiny", &cloud.path("pd/tiny")),
        block("disagg_replica_group.prefill", &cloud.path("pd/tiny/prefill")),
        block("disagg_replica_group.decode", &cloud.path("pd/tiny/decode")),
    ]
    .concat();
    workspace.write(&blocks);
    let run = workspace.terraform(&["plan", "-generate-config-out=generated.tf"]).success();
    assert!(
        run.stdout.contains("4 to import, 0 to add, 0 to change, 0 to destroy"),
        "{}",
        run.stdout
    );
    workspace.terraform(&["apply", "-auto-approve"]).success();
    assert_eq!(workspace.machines(), machines);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn what_does_not_exist_cannot_be_imported(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.write(&Stack::on(cloud).hcl());
    let fleet = cloud.path("pd");
    for (address, id, said) in [
        ("disagg_fleet.pd", fleet.as_str(), format!("Fleet {fleet} not found")),
        ("disagg_fleet.pd", "pd", "aws/us-east-2/pd".to_owned()),
        ("disagg_service.tiny", &fleet, "cloud/region/fleet/service".to_owned()),
    ] {
        workspace.terraform(&["import", address, id]).failure().says(&[&said]);
    }
}
