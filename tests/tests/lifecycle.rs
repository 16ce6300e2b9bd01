//! From nothing to an endpoint, through changes of the count, and back to nothing.

use acceptance::config::Stack;
use acceptance::{Cloud, Workspace, assert_chats, chat, chat_stream};
use serde_json::json;

acceptance::tests! {
    a_second_plan_is_empty_and_so_is_the_plan_after_a_refresh;
    a_first_plan_knows_what_can_be_known;
    a_first_plan_knows_the_cloud_through_a_module_too;
    counts_change_in_place_and_only_by_the_difference;
    a_count_inside_its_bounds_is_left_alone;
    a_group_may_have_no_machine;
    both_boot_orders_end_in_the_same_deployment;
    another_name_is_another_group_with_a_warning;
    a_timeout_beyond_any_clock_is_as_good_as_never;
    a_completion_streams_through_prefill_and_decode needs chats;
}

fn a_second_plan_is_empty_and_so_is_the_plan_after_a_refresh(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&Stack::on(cloud).hcl());
    workspace.assert_no_changes();
    workspace.terraform(&["apply", "-refresh-only", "-auto-approve"]).success();
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_first_plan_knows_what_can_be_known(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { groups: "resources = { gpu = \"H200:8\" }".to_owned(), ..Stack::on(cloud) };
    let plan = workspace.plan(&stack.hcl());
    assert_eq!(plan.after("disagg_fleet.pd", "id"), cloud.path("pd"));
    assert_eq!(plan.after("disagg_service.tiny", "version"), "1.6.1");
    assert!(plan.is_unknown("disagg_service.tiny", "id"));
    // The group's cloud is read from the beginning of the unknown id.
    let group = "disagg_replica_group.decode";
    assert_ne!(plan.after(group, "instance_type"), json!(null));
    assert_ne!(plan.after(group, "hourly_cost"), json!(null));
}

fn a_first_plan_knows_the_cloud_through_a_module_too(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let module = workspace.path().join("group");
    std::fs::create_dir(&module).expect("module directory");
    std::fs::write(
        module.join("main.tf"),
        r#"
terraform {
  required_providers {
    disagg = { source = "disagg/disagg" }
  }
}

variable "service_id" {
  type = string
}

resource "disagg_replica_group" "worker" {
  for_each   = toset(["a", "b"])
  name       = each.key
  service_id = var.service_id
  role       = "worker"
  replicas   = 2
  resources  = { gpu = "H200:8" }
  engine     = { type = "mocker" }
}
"#,
    )
    .expect("module");
    workspace.write(&format!(
        "{}{}\nmodule \"group\" {{\n  source     = \"./group\"\n  service_id = disagg_service.tiny.id\n}}\n",
        acceptance::config::fleet(""),
        acceptance::config::service(""),
    ));
    workspace.terraform(&["get"]).success();
    let plan = workspace.plan_now(&[]);
    let address = "module.group.disagg_replica_group.worker[\"a\"]";
    assert_ne!(plan.after(address, "instance_type"), json!(null));
}

fn counts_change_in_place_and_only_by_the_difference(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&Stack::on(cloud).hcl());
    let before = workspace.group("decode");

    let wider = Stack { decode: "replicas = 3".to_owned(), ..Stack::on(cloud) };
    let plan = workspace.plan(&wider.hcl());
    assert_eq!(plan.action("disagg_replica_group.decode"), "update");
    assert_eq!(plan.changed(), ["disagg_replica_group.decode"]);
    workspace.apply(&wider.hcl());
    let wide = workspace.group("decode");
    assert_eq!(wide.len(), 3);
    assert!(wide.contains(&before[0]), "the machine that was there stays");
    assert_eq!(workspace.resource("disagg_replica_group.decode")["instance_count"], 3);
    workspace.assert_no_changes();

    workspace.apply(&Stack::on(cloud).hcl());
    assert_eq!(workspace.group("decode").len(), 1);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_count_inside_its_bounds_is_left_alone(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let bounds = |min: u32, max: u32| Stack {
        decode: format!("scaling = {{ min = {min}, max = {max}, target = 10 / 3 }}"),
        endpoint: false,
        ..Stack::on(cloud)
    };
    workspace.apply(&bounds(2, 4).hcl());
    assert_eq!(workspace.group("decode").len(), 2);
    workspace.assert_no_changes();
    // Bounds that the count is inside of move no machine.
    let before = workspace.group("decode");
    workspace.apply(&bounds(1, 3).hcl());
    assert_eq!(workspace.group("decode"), before);
    // Bounds that it is outside of do.
    workspace.apply(&bounds(3, 4).hcl());
    assert_eq!(workspace.group("decode").len(), 3);
    workspace.destroy();
}

fn a_group_may_have_no_machine(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { decode: "replicas = 0".to_owned(), endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    workspace.apply(&Stack { endpoint: false, ..Stack::on(cloud) }.hcl());
    assert_eq!(workspace.group("decode").len(), 1);
    workspace.destroy();
}

fn both_boot_orders_end_in_the_same_deployment(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { service: "boot = \"overlap\"".to_owned(), ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    assert_chats(&workspace);
    workspace.assert_no_changes();
    // How it was booted is the provider's matter: a change of it touches no machine.
    let before = workspace.machines();
    let plan = workspace.plan(&Stack::on(cloud).hcl());
    assert_eq!(plan.changed(), ["disagg_service.tiny"]);
    workspace.apply(&Stack::on(cloud).hcl());
    assert_eq!(workspace.machines(), before);
    workspace.destroy();
}

fn another_name_is_another_group_with_a_warning(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&Stack::on(cloud).hcl());
    let renamed =
        Stack::on(cloud).hcl().replace("name       = \"decode\"", "name       = \"decode-2\"");
    workspace.write(&renamed);
    let plan = workspace.plan_now(&[]);
    assert_eq!(plan.action("disagg_replica_group.decode"), "delete, create");
    assert_eq!(plan.action("disagg_service.tiny"), "no-op");
    assert!(plan.text.contains("Replica group is replaced"), "{}", plan.text);
    workspace.apply(&renamed);
    assert_eq!((workspace.group("decode").len(), workspace.group("decode-2").len()), (0, 1));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_timeout_beyond_any_clock_is_as_good_as_never(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let fleet = acceptance::config::fleet("timeouts = { create = \"9223372036854775807s\" }");
    workspace.apply(&fleet);
    workspace.destroy();
}

fn a_completion_streams_through_prefill_and_decode(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&Stack::on(cloud).hcl());
    let url = workspace.output("url");
    let url = url.as_str().expect("the url is a text");

    let (status, answer) = chat(url, "disagg/tiny", "What is prefill-decode disaggregation?");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["usage"]["completion_tokens"], json!(16), "{answer}");

    let events = chat_stream(url, "disagg/tiny", "And why does it help?");
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    assert!(events.len() > 4, "it is no stream: {events:?}");

    // One half alone answers nothing: the completion went through both.
    let prefill = &workspace.group("prefill")[0];
    workspace.lose(&prefill.id);
    acceptance::wait_until("the router notices that prefill is gone", || {
        chat(url, "disagg/tiny", "Still there?").0 != 200
    });
    workspace.destroy();
}

#[test]
fn fleets_of_two_states_live_side_by_side() {
    let (one, two) = (Workspace::local(), Workspace::local());
    let stack = Stack { endpoint: false, ..Stack::on(one.cloud()) };
    one.apply(&stack.hcl());
    two.apply(&stack.hcl());
    assert_ne!(one.router().address, two.router().address);
    one.destroy();
    two.assert_no_changes();
    two.destroy();
}
