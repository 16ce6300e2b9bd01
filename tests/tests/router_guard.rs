//! A live router is never replaced in place; each way out of the refusal works as it says.

use acceptance::config::{Stack, fleet, group, service};
use acceptance::{Cloud, Machine, Workspace};

acceptance::tests! {
    changes_of_a_live_router_are_refused_one_by_one;
    another_model_is_refused_and_worker_changes_never_are;
    the_first_way_out_replaces_everything_in_full_view;
    the_second_way_out_is_a_second_service;
    the_third_way_out_is_to_remove_the_service_and_its_groups_first;
    replace_of_an_unchanged_service_is_the_users_explicit_wish;
    a_service_is_not_destroyed_under_its_workers;
    a_name_that_is_taken_is_never_taken_again;
    a_router_that_nobody_has_looked_at_is_guarded;
    a_router_is_guarded_when_nothing_is_known_of_it;
    a_router_that_was_healthy_once_is_guarded_whatever_its_console_says_now;
    a_target_takes_what_hangs_on_it_and_nothing_that_another_state_has;
}

fn deployed(cloud: &Cloud) -> (Workspace, Stack) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    (workspace, stack)
}

fn changes_of_a_live_router_are_refused_one_by_one(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let router = workspace.router();
    for (change, path, old, new) in [
        ("port = 8001", "port", "8000", "8001"),
        ("version = \"1.4.2\"", "version", "1.6.1", "1.4.2"),
        ("router = { resources = { cpu = 8 } }", "router.resources.cpu", "4", "8"),
    ] {
        let changed = Stack { service: change.to_owned(), ..stack.clone() };
        let refused = workspace.plan_fails(&changed.hcl());
        refused.says(&[
            "Router replacement is not allowed",
            path,
            old,
            new,
            "2 running workers",
            &router.address,
            "on_router_change = \"replace\"",
            "second service",
        ]);
    }
    // Several at once: one diagnostic each.
    let changed =
        Stack { service: "port = 8001\n  version = \"1.4.2\"".to_owned(), ..stack.clone() };
    let refused = workspace.plan_fails(&changed.hcl());
    let count = refused.stderr.matches("Error: Router replacement is not allowed").count();
    assert_eq!(count, 2, "{}", refused.stderr);
    assert_eq!(workspace.router(), router);
    workspace.write(&stack.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn another_model_is_refused_and_worker_changes_never_are(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    workspace.write(&stack.hcl().replace("\"disagg/tiny\"", "\"disagg/other\""));
    workspace.terraform(&["plan"]).failure().says(&["Router replacement is not allowed", "model"]);
    let wider = Stack {
        decode: "replicas = 2".to_owned(),
        groups: "env = { A = \"b\" }".to_owned(),
        service: "ingress_cidrs = [\"203.0.113.0/24\"]".to_owned(),
        ..stack
    };
    let plan = workspace.plan(&wider.hcl());
    assert_eq!(plan.action("disagg_service.tiny"), "update");
    // An in-place change of the service plans nothing on what depends on it.
    let ingress = Stack { groups: String::new(), decode: "replicas = 1".to_owned(), ..wider };
    assert_eq!(workspace.plan(&ingress.hcl()).changed(), ["disagg_service.tiny"]);
    workspace.apply(&ingress.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn the_first_way_out_replaces_everything_in_full_view(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let before = workspace.machines();
    let changed =
        Stack { service: "port = 8001\n  on_router_change = \"replace\"".to_owned(), ..stack };
    let plan = workspace.plan(&changed.hcl());
    assert_eq!(plan.action("disagg_service.tiny"), "delete, create");
    assert_eq!(plan.action("disagg_replica_group.prefill"), "delete, create");
    assert_eq!(plan.action("disagg_replica_group.decode"), "delete, create");
    assert!(plan.text.contains("Workers go with their router"), "{}", plan.text);
    workspace.apply(&changed.hcl());
    let after = workspace.machines();
    assert!(after.iter().all(|machine| before.iter().all(|old| old.id != machine.id)));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn the_second_way_out_is_a_second_service(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let second = r#"
resource "disagg_service" "second" {
  name     = "second"
  fleet_id = disagg_fleet.pd.id
  model    = "disagg/tiny"
  port     = 8001
}

resource "disagg_replica_group" "second" {
  name       = "worker"
  service_id = disagg_service.second.id
  role       = "worker"
  replicas   = 1
  engine     = { type = "mocker" }
}
"#;
    let endpoint = r#"
resource "disagg_endpoint" "second" {
  service_id = disagg_service.second.id
  group_ids  = [disagg_replica_group.second.id]
}
"#;
    let second = format!("{second}{}", if cloud.serves() { endpoint } else { "" });
    workspace.apply(&format!("{}{second}", stack.hcl()));
    assert_eq!(workspace.machines().len(), 5);
    // The cut-over: the first service goes.
    workspace.apply(&format!("{}{second}", fleet("")));
    assert_eq!(workspace.machines().len(), 2);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn the_third_way_out_is_to_remove_the_service_and_its_groups_first(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    workspace.apply(&fleet(""));
    assert_eq!(workspace.machines().len(), 0);
    let changed = Stack { service: "port = 8001".to_owned(), ..stack };
    workspace.apply(&changed.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn replace_of_an_unchanged_service_is_the_users_explicit_wish(cloud: &Cloud) {
    let (workspace, _) = deployed(cloud);
    let before = workspace.router();
    workspace.terraform(&["apply", "-auto-approve", "-replace=disagg_service.tiny"]).success();
    assert_ne!(workspace.router().id, before.id);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_service_is_not_destroyed_under_its_workers(cloud: &Cloud) {
    let (workspace, _) = deployed(cloud);
    // Another state has the groups: this one only forgets them.
    for role in ["prefill", "decode"] {
        workspace.terraform(&["state", "rm", &format!("disagg_replica_group.{role}")]).success();
    }
    workspace.write(&fleet(""));
    let refused = workspace.terraform(&["apply", "-auto-approve"]).failure();
    refused.says(&["is still in use", "/prefill", "/decode", "terraform import"]);
    assert_eq!(workspace.machines().len(), 3);
    // Nor is a fleet under its service.
    workspace.terraform(&["state", "rm", "disagg_service.tiny"]).success();
    workspace.write("");
    workspace
        .terraform(&["apply", "-auto-approve"])
        .failure()
        .says(&["is still in use", "service tiny@"]);
    // Back into the state, and all of it can go.
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.write(&stack.hcl());
    workspace.terraform(&["import", "disagg_service.tiny", &cloud.path("pd/tiny")]).success();
    for role in ["prefill", "decode"] {
        let (address, id) =
            (format!("disagg_replica_group.{role}"), cloud.path(&format!("pd/tiny/{role}")));
        workspace.terraform(&["import", &address, &id]).success();
    }
    workspace.destroy();
}

fn a_name_that_is_taken_is_never_taken_again(cloud: &Cloud) {
    let (workspace, _) = deployed(cloud);
    let other = r#"
resource "disagg_service" "other" {
  name     = "tiny"
  fleet_id = disagg_fleet.pd.id
  model    = "disagg/tiny"
}
"#;
    let text = format!(
        "{}{}{}{}{other}",
        fleet(""),
        service(""),
        group("prefill", "replicas = 1"),
        group("decode", "replicas = 1")
    );
    workspace.apply_fails(&text).says(&[
        "Already exists",
        "terraform import",
        &cloud.path("pd/tiny"),
    ]);
    assert_eq!(workspace.machines().len(), 3);
    workspace.write(&Stack { endpoint: false, ..Stack::on(cloud) }.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_router_that_nobody_has_looked_at_is_guarded(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    let overlap = Stack { service: "boot = \"overlap\"".to_owned(), ..stack };
    workspace.apply(&overlap.hcl());
    let changed =
        Stack { service: "boot = \"overlap\"\n  port = 8001".to_owned(), ..overlap.clone() };
    workspace.write(&changed.hcl());
    let refused = workspace.terraform(&["plan", "-refresh=false"]).failure();
    refused.says(&["Router replacement is not allowed", "port"]);
    workspace.plan_fails(&changed.hcl()).says(&["Router replacement is not allowed"]);
    workspace.write(&overlap.hcl());
    workspace.destroy();
}

fn a_router_is_guarded_when_nothing_is_known_of_it(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let path = workspace.path().join("terraform.tfstate");
    let text = std::fs::read_to_string(&path).expect("a state");
    let mut state: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for resource in state["resources"].as_array_mut().expect("resources") {
        resource["instances"][0].as_object_mut().expect("an instance").remove("private");
    }
    std::fs::write(&path, state.to_string()).expect("a state");
    workspace.write(&Stack { service: "port = 8001".to_owned(), ..stack.clone() }.hcl());
    let refused = workspace.terraform(&["plan", "-refresh=false"]).failure();
    refused.says(&["Router replacement is not allowed", "port"]);
    workspace.write(&stack.hcl());
    workspace.destroy();
}

fn a_router_that_was_healthy_once_is_guarded_whatever_its_console_says_now(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let lazy = |service: &str| {
        let service = format!("boot = \"overlap\"\n  {service}");
        let groups = "wait_for = \"running\"".to_owned();
        Stack { endpoint: false, service, groups, ..Stack::on(cloud) }.hcl()
    };
    workspace.apply(&lazy(""));
    let router = workspace.router();
    acceptance::wait_until("it is ready", || {
        let console = workspace.console(&router.id);
        console.contains("status=ready")
    });
    workspace.lose(&router.id);
    workspace.plan_fails(&lazy("port = 8001")).says(&["Router replacement is not allowed"]);
    workspace.apply(&lazy(""));
    workspace.destroy();
}

fn a_target_takes_what_hangs_on_it_and_nothing_that_another_state_has(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    // A router that is gone is recovered alone, and its workers find it again.
    let before = workspace.machines();
    workspace.lose(&workspace.router().id);
    workspace.terraform(&["apply", "-auto-approve", "-target=disagg_service.tiny"]).success();
    let workers = |machines: &[Machine]| -> Vec<String> {
        let workers = machines.iter().filter(|machine| machine.group.is_some());
        workers.map(|machine| machine.id.clone()).collect()
    };
    assert_eq!(workers(&workspace.machines()), workers(&before));
    workspace.assert_no_changes();
    // Workers that only another state has are not left without their router.
    workspace.terraform(&["state", "rm", "disagg_replica_group.decode"]).success();
    let service = "-target=disagg_service.tiny";
    let refused = workspace.terraform(&["destroy", "-auto-approve", service]).failure();
    refused.says(&["still in use", "decode", "terraform import"]);
    workspace.router();
    let import = ["import", "disagg_replica_group.decode", &cloud.path("pd/tiny/decode")];
    workspace.terraform(&import).success();
    // Terraform learns by an apply what an imported resource hangs on.
    workspace.terraform(&["apply", "-auto-approve", "-refresh-only"]).success();
    workspace.apply(&stack.hcl());
    // The service goes with all that hangs on it; the fleet stays.
    workspace.terraform(&["destroy", "-auto-approve", service]).success();
    assert_eq!(workspace.machines(), Vec::new());
    assert_eq!(workspace.resource("disagg_fleet.pd")["id"], cloud.path("pd"));
    workspace.destroy();
}
