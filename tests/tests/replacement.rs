//! What replaces what: the guard against every way to lose a live router, and the moves that must
//! replace nothing.

use acceptance::config::{Stack, fleet, group, service};
use acceptance::{Cloud, Workspace, wait_until};

acceptance::tests! {
    each_attribute_of_a_live_router_is_refused;
    a_value_that_is_not_known_yet_is_judged_when_it_is;
    replace_and_destroy_with_a_pending_router_change;
    a_tainted_service_is_replaced_with_its_groups;
    a_router_that_was_never_healthy_holds_nobody;
    a_router_that_is_gone_or_stopped_is_guarded_all_the_same;
    a_router_that_hangs_is_guarded_all_the_same needs hangs;
    create_before_destroy_never_makes_a_second_router_under_one_name;
    groups_move_and_are_reordered_without_a_machine;
    what_the_fleet_does_in_place_touches_nothing_in_it;
    a_fleet_is_not_replaced_under_its_service;
}

fn deployed(cloud: &Cloud) -> (Workspace, Stack) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    (workspace, stack)
}

const REFUSED: &str = "Router replacement is not allowed";

fn each_attribute_of_a_live_router_is_refused(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let machines = workspace.machines();
    for (attribute, change) in [
        ("port", "port = 8001"),
        ("version", "version = \"1.4.2\""),
        ("router.type", "router = { type = \"custom\", commands = [\"true\"] }"),
        ("router.resources.cpu", "router = { resources = { cpu = 8 } }"),
        ("router.resources.memory_gb", "router = { resources = { memory_gb = 32 } }"),
        ("router.resources.disk_gb", "router = { resources = { disk_gb = 99 } }"),
        ("router.args", "router = { args = [\"--kv-cache-block-size\", \"32\"] }"),
        ("router.env", "router = { env = { DYN_LOG = \"debug\" } }"),
    ] {
        let changed = Stack { service: change.to_owned(), ..stack.clone() };
        workspace.plan_fails(&changed.hcl()).says(&[REFUSED, &format!("`{attribute}`:")]);
    }
    let hcl = stack.hcl();
    for (attribute, from, to) in [
        ("model", "model    = \"disagg/tiny\"", "model    = \"disagg/other\""),
        ("name", "name     = \"tiny\"", "name     = \"other\""),
    ] {
        assert!(hcl.contains(from));
        workspace.plan_fails(&hcl.replace(from, to)).says(&[REFUSED, &format!("`{attribute}`:")]);
    }
    // Another fleet, one that exists and one that is yet to be made.
    let other = fleet("").replace("\"pd\"", "\"other\"");
    let moved = hcl.replace("disagg_fleet.pd.id", "disagg_fleet.other.id");
    workspace.plan_fails(&format!("{moved}{other}")).says(&[REFUSED, "`fleet_id`:"]);
    workspace.write(&format!("{hcl}{other}"));
    workspace.terraform(&["apply", "-auto-approve"]).success();
    workspace.plan_fails(&format!("{moved}{other}")).says(&[REFUSED, &cloud.path("other")]);
    assert_eq!(workspace.machines(), machines);
    workspace.write(&format!("{hcl}{other}"));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_value_that_is_not_known_yet_is_judged_when_it_is(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = |port: &str, service: &str| {
        let input = format!("resource \"terraform_data\" \"port\" {{\n  input = {port}\n}}\n");
        let service = format!("port = terraform_data.port.output\n  {service}");
        format!("{input}{}", Stack { endpoint: false, service, ..Stack::on(cloud) }.hcl())
    };
    workspace.apply(&stack("8000", ""));
    let router = workspace.router();
    let plan = workspace.plan(&stack("8001", ""));
    assert!(plan.text.contains("Router change cannot be judged yet"), "{}", plan.text);
    assert_ne!(plan.action("disagg_service.tiny"), "delete, create", "{}", plan.text);
    workspace.apply_fails(&stack("8001", "")).says(&[REFUSED, "8000 -> 8001"]);
    assert_eq!(workspace.router(), router);
    // With the user's word it is a replacement, in full view although the value is not known.
    workspace.apply(&stack("8002", "on_router_change = \"replace\""));
    assert_ne!(workspace.router().id, router.id);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn replace_and_destroy_with_a_pending_router_change(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let changed = Stack { service: "port = 8001".to_owned(), ..stack };
    workspace.write(&changed.hcl());
    let replace = workspace.terraform(&["plan", "-replace=disagg_service.tiny"]).failure();
    replace.says(&[REFUSED, "`port`:"]);
    workspace.terraform(&["destroy", "-auto-approve"]).failure().says(&[REFUSED]);
    assert_eq!(workspace.machines().len(), 3);
    workspace.terraform(&["destroy", "-auto-approve", "-refresh=false"]).success();
    workspace.assert_nothing_left();
}

fn a_tainted_service_is_replaced_with_its_groups(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let before = workspace.machines();
    workspace.terraform(&["taint", "disagg_service.tiny"]).success();
    let plan = workspace.plan(&stack.hcl());
    assert_eq!(plan.action("disagg_service.tiny"), "delete, create");
    assert_eq!(plan.action("disagg_replica_group.decode"), "delete, create");
    workspace.apply(&stack.hcl());
    let after = workspace.machines();
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|machine| before.iter().all(|old| old.id != machine.id)));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_router_that_was_never_healthy_holds_nobody(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let broken = "wait_for = \"running\"\n  router = { args = [\"--no-such-flag\"] }";
    workspace.apply(&format!("{}{}", fleet(""), service(broken)));
    let router = workspace.router();
    wait_until("its boot has failed", || {
        let console = workspace.console(&router.id);
        console.contains("status=failed")
    });
    let plan = workspace.plan(&format!("{}{}", fleet(""), service("")));
    assert_eq!(plan.action("disagg_service.tiny"), "delete, create", "{}", plan.text);
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    assert_ne!(workspace.router().id, router.id);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_router_that_is_gone_or_stopped_is_guarded_all_the_same(cloud: &Cloud) {
    guarded_after(cloud, &[Workspace::stop, Workspace::lose]);
}

fn a_router_that_hangs_is_guarded_all_the_same(cloud: &Cloud) {
    guarded_after(cloud, &[|workspace, id| workspace.cloud().hang(id)]);
}

fn guarded_after(cloud: &Cloud, accidents: &[fn(&Workspace, &str)]) {
    let (workspace, stack) = deployed(cloud);
    let changed = Stack { service: "port = 8001".to_owned(), ..stack.clone() };
    for accident in accidents {
        let router = workspace.router();
        accident(&workspace, &router.id);
        workspace.plan_fails(&changed.hcl()).says(&[REFUSED, "`port`:"]);
        workspace.apply(&stack.hcl());
        assert_eq!(workspace.router().address, router.address);
    }
    workspace.assert_no_changes();
    workspace.destroy();
}

fn create_before_destroy_never_makes_a_second_router_under_one_name(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let router = workspace.router();
    let change = "port = 8001\n  on_router_change = \"replace\"\n  lifecycle {\n    \
                  create_before_destroy = true\n  }";
    let changed = Stack { service: change.to_owned(), ..stack.clone() };
    workspace.apply_fails(&changed.hcl()).says(&["Already exists", "different names"]);
    // Terraform has removed the groups before it came to the service; that one stands.
    assert_eq!(workspace.router(), router);
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.router(), router);
    assert_eq!(workspace.machines().len(), 3);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn groups_move_and_are_reordered_without_a_machine(cloud: &Cloud) {
    let (workspace, _) = deployed(cloud);
    let machines = workspace.machines();
    let each =
        |roles: &str, moved: &str| {
            let template = group("each", "replicas = 1")
            .replace("resource \"disagg_replica_group\" \"each\" {", &format!(
                "resource \"disagg_replica_group\" \"workers\" {{\n  for_each = toset({roles})"
            ))
            .replace("= \"each\"", "= each.key");
            format!("{}{}{template}{moved}", fleet(""), service(""))
        };
    let moved = "moved {\n  from = disagg_replica_group.prefill\n  to   = \
                 disagg_replica_group.workers[\"prefill\"]\n}\nmoved {\n  from = \
                 disagg_replica_group.decode\n  to   = disagg_replica_group.workers[\"decode\"]\n}\n";
    workspace.apply(&each("[\"prefill\", \"decode\"]", moved));
    assert_eq!(workspace.machines(), machines);
    workspace.write(&each("[\"decode\", \"prefill\"]", ""));
    workspace.assert_no_changes();
    // A third one more touches neither of the two.
    let more = each(
        "[\"decode\", \"prefill\"]",
        &group("extra", "replicas = 1")
            .replace("role       = \"extra\"", "role       = \"decode\""),
    );
    let plan = workspace.plan(&more);
    assert_eq!(plan.changed(), ["disagg_replica_group.extra"], "{}", plan.text);
    workspace.destroy();
}

fn what_the_fleet_does_in_place_touches_nothing_in_it(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let changed = Stack { fleet: "timeouts = { create = \"1h\" }", ..stack };
    assert_eq!(workspace.plan(&changed.hcl()).changed(), ["disagg_fleet.pd"]);
    workspace.apply(&changed.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_fleet_is_not_replaced_under_its_service(cloud: &Cloud) {
    let (workspace, stack) = deployed(cloud);
    let zoned = Stack { fleet: "placement = \"zone\"", ..stack.clone() };
    let plan = workspace.plan(&zoned.hcl());
    assert!(plan.text.contains("Fleet is replaced"), "{}", plan.text);
    workspace.apply_fails(&zoned.hcl()).says(&["still in use", "tiny"]);
    workspace.apply(&stack.hcl());
    workspace.assert_no_changes();
    // With the command that the warning names.
    let before = workspace.machines();
    workspace.write(&zoned.hcl());
    let replace = "-replace=disagg_service.tiny";
    workspace.terraform(&["apply", "-auto-approve", replace]).success();
    assert!(workspace.machines().iter().all(|machine| !before.contains(machine)));
    workspace.assert_no_changes();
    workspace.destroy();
}
