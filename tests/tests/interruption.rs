//! Whatever stops an apply, a kill or the user, and whenever: nothing is orphaned, nothing doubled,
//! and nothing healthy is sold.

use acceptance::config::{Stack, fleet, group, service};
use acceptance::{Cloud, Fault, Workspace, kill, signal, wait_until};
use rustix::process::Signal;
use std::process::Child;
use std::time::Duration;

acceptance::tests! {
    a_provider_that_dies_in_a_creation_leaves_nothing_double;
    workers_that_registered_before_they_are_adopted_count;
    a_roll_that_dies_goes_on;
    a_dead_creation_that_meant_something_else_is_cleared_away;
    a_stopped_creation_keeps_its_machines_and_the_next_apply_waits_for_them;
    a_stopped_surge_goes_on_with_the_machine_that_came_last;
    a_stopped_surge_under_scaling_leaves_no_machine_too_many;
    machines_that_are_not_wanted_any_more_are_not_waited_for;
    what_a_dead_creation_left_is_seen_and_goes_though_nobody_asks_for_it_again;
    a_fleet_goes_with_what_dead_creations_left_in_it;
    a_stopped_update_and_a_stopped_removal_leave_the_state_true;
    two_of_one_name_are_refused_whoever_comes_first;
    create_before_destroy_never_takes_the_old_ones_machines;
}

/// Starts an apply of what stands there, and returns when there are so many machines.
fn apply_until(workspace: &Workspace, machines: usize) -> Child {
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    wait_until("the next machine is there", || {
        workspace.cloud().started() >= machines || apply.try_wait().expect("wait").is_some()
    });
    apply
}

fn a_provider_that_dies_in_a_creation_leaves_nothing_double(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, decode: "replicas = 2".to_owned(), ..Stack::on(cloud) };
    // At every stage of the creation: after each new machine the whole process group is killed.
    for machines in [1, 2, 3] {
        workspace.write(&stack.hcl());
        workspace.apply_and_kill_at(machines);
    }
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.machines().len(), 4, "{:?}", workspace.machines());
    assert_eq!(workspace.group("decode").len(), 2);
    workspace.router();
    workspace.assert_no_changes();
    workspace.destroy();
}

fn workers_that_registered_before_they_are_adopted_count(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.write(&stack.hcl());
    kill(&mut apply_until(&workspace, 3));
    wait_until("the workers have registered by themselves", || {
        workspace.machines().iter().filter(|machine| machine.group.is_some()).all(|worker| {
            let console = workspace.console(&worker.id);
            console.contains("status=registered")
        })
    });
    let machines = workspace.machines();
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.machines().len(), machines.len());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_roll_that_dies_goes_on(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, decode: "replicas = 2".to_owned(), ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    let changed = Stack { groups: "env = { A = \"b\" }".to_owned(), ..stack };
    workspace.write(&changed.hcl());
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    wait_until("the first new machine is there", || {
        let is_new = |machine| !before.contains(&machine);
        workspace.group("decode").into_iter().any(is_new)
            || apply.try_wait().expect("wait").is_some()
    });
    kill(&mut apply);
    workspace.apply(&changed.hcl());
    let now = workspace.group("decode");
    assert_eq!(now.len(), 2, "{now:?}");
    assert!(now.iter().all(|machine| before.iter().all(|old| old.id != machine.id)), "{now:?}");
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_dead_creation_that_meant_something_else_is_cleared_away(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.write(&format!("{}{}", fleet(""), service("port = 8001")));
    kill(&mut apply_until(&workspace, 1));
    let first = workspace.router();
    // The same name, another configuration: no conflict, and nothing of the old one is left.
    workspace.apply(&format!("{}{}", fleet(""), service("port = 8002")));
    assert_ne!(workspace.router().id, first.id);
    let endpoint = workspace.resource("disagg_service.tiny")["endpoint"].to_string();
    assert!(endpoint.contains(":8002"), "{endpoint}");
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_stopped_creation_keeps_its_machines_and_the_next_apply_waits_for_them(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    workspace.faults(&[Fault::SlowBoot(Duration::from_secs(4))]);
    let stack = Stack { endpoint: false, decode: "replicas = 2".to_owned(), ..Stack::on(cloud) };
    workspace.write(&stack.hcl());
    let mut apply = apply_until(&workspace, 4);
    signal(&apply, Signal::INT);
    apply.wait().expect("it ends by itself");
    workspace.faults(&[]);
    let machines = workspace.machines();
    assert_eq!(machines.len(), 4);

    let plan = workspace.plan(&stack.hcl());
    assert_eq!(plan.action("disagg_replica_group.decode"), "update", "{}", plan.text);
    assert!(plan.text.contains("the next one waits for it"), "{}", plan.text);
    workspace.apply(&stack.hcl());
    let ids = |machines: Vec<acceptance::Machine>| -> Vec<String> {
        machines.into_iter().map(|machine| machine.id).collect()
    };
    assert_eq!(ids(workspace.machines()), ids(machines), "none was replaced");
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_stopped_surge_goes_on_with_the_machine_that_came_last(cloud: &Cloud) {
    a_stopped_surge_goes_on(cloud, "replicas = 1");
}

/// Under scaling nothing but the roll itself knows that the second machine is one too many.
fn a_stopped_surge_under_scaling_leaves_no_machine_too_many(cloud: &Cloud) {
    a_stopped_surge_goes_on(cloud, "scaling = { min = 1, max = 4, target = 3 }");
}

fn a_stopped_surge_goes_on(cloud: &Cloud, count: &str) {
    let workspace = Workspace::on(cloud);
    let stack = |change: &str| Stack {
        endpoint: false,
        decode: count.to_owned(),
        groups: format!("update_strategy = {{ max_surge = 1, max_unavailable = 0 }}\n{change}"),
        ..Stack::on(cloud)
    };
    workspace.apply(&stack("").hcl());
    let before = workspace.group("decode").remove(0).id;
    workspace.faults(&[
        Fault::SlowBoot(Duration::from_secs(4)),
        Fault::NoCapacity { group: "prefill", after: 0 },
    ]);
    let changed = stack("env = { A = \"b\" }").hcl();
    workspace.write(&changed);
    let mut apply = apply_until(&workspace, 4);
    signal(&apply, Signal::INT);
    apply.wait().expect("it ends by itself");
    workspace.faults(&[]);
    let machines = workspace.group("decode");
    let came = machines.iter().find(|machine| machine.id != before).expect("a surge").id.clone();
    workspace.apply(&changed);
    let now = workspace.group("decode");
    assert_eq!(now.len(), 1);
    assert_eq!(now[0].id, came);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn machines_that_are_not_wanted_any_more_are_not_waited_for(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = |count: &str| Stack {
        endpoint: false,
        decode: format!("replicas = {count}"),
        ..Stack::on(cloud)
    };
    workspace.apply(&stack("0").hcl());
    workspace.faults(&[Fault::SlowBoot(Duration::from_secs(600))]);
    workspace.write(&stack("2").hcl());
    let mut apply = apply_until(&workspace, 4);
    signal(&apply, Signal::INT);
    apply.wait().expect("it ends by itself");
    assert_eq!(workspace.group("decode").len(), 2);
    workspace.write(&stack("0").hcl());
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    wait_until("they are gone", || apply.try_wait().expect("wait").is_some());
    assert_eq!(workspace.group("decode"), Vec::new());
    workspace.faults(&[]);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn what_a_dead_creation_left_is_seen_and_goes_though_nobody_asks_for_it_again(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let service_only = format!("{}{}", fleet(""), service(""));
    workspace.apply(&service_only);
    workspace.faults(&[Fault::SlowBoot(Duration::from_secs(20))]);
    workspace.write(&format!("{service_only}{}", group("decode", "replicas = 2")));
    kill(&mut apply_until(&workspace, 3));
    workspace.faults(&[]);
    assert_eq!(workspace.group("decode").len(), 2);
    // The group is gone from the configuration; its machines are paid for all the same.
    workspace.write(&service_only);
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stdout.contains("by a creation that died"), "{}", run.stdout);
    workspace.apply(&service_only);
    assert_eq!(workspace.group("decode").len(), 2, "it might still go on elsewhere");
    for machine in workspace.group("decode") {
        workspace.age(&machine.id);
    }
    workspace.apply(&service_only);
    wait_until("they are gone", || workspace.group("decode").is_empty());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_fleet_goes_with_what_dead_creations_left_in_it(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.write(&format!("{}{}", fleet(""), service("")));
    kill(&mut apply_until(&workspace, 1));
    workspace.destroy();
}

fn a_stopped_update_and_a_stopped_removal_leave_the_state_true(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = |decode: &str| {
        Stack { endpoint: false, decode: decode.to_owned(), ..Stack::on(cloud) }.hcl()
    };
    workspace.apply(&stack("replicas = 1"));
    workspace.faults(&[Fault::SlowBoot(Duration::from_secs(4))]);
    workspace.write(&stack("replicas = 3"));
    let mut apply = apply_until(&workspace, 5);
    signal(&apply, Signal::INT);
    assert!(!apply.wait().expect("it ends by itself").success());
    workspace.faults(&[]);
    let machines = workspace.machines();
    let members = workspace.resource("disagg_replica_group.decode")["members"].clone();
    assert_eq!(members.as_object().map(serde_json::Map::len), Some(3), "{members}");
    workspace.apply(&stack("replicas = 3"));
    let ids = |machines: &[acceptance::Machine]| -> Vec<String> {
        machines.iter().map(|machine| machine.id.clone()).collect()
    };
    assert_eq!(ids(&workspace.machines()), ids(&machines), "none was bought twice, none sold");
    workspace.assert_no_changes();

    let mut destroy = workspace.start_terraform(&["destroy", "-auto-approve", "-lock=false"]);
    wait_until("the removal has begun", || {
        workspace.machines().len() < 5 || destroy.try_wait().expect("wait").is_some()
    });
    signal(&destroy, Signal::INT);
    destroy.wait().expect("it ends by itself");
    workspace.destroy();
}

fn two_of_one_name_are_refused_whoever_comes_first(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let twin = group("decode", "replicas = 1").replace("\"decode\" {", "\"twin\" {");
    let both = format!("{}{}{}{twin}", fleet(""), service(""), group("decode", "replicas = 1"));
    workspace
        .apply_fails(&both)
        .says(&[&format!("Duplicate name: replica group {}@", cloud.path("pd/tiny"))]);
    assert_eq!(workspace.group("decode").len(), 1, "and one of them was made");
    // Later, it is owned.
    workspace.apply_fails(&both).says(&["Already exists", "terraform import"]);
    assert_eq!(workspace.group("decode").len(), 1);
    workspace.destroy();
}

fn create_before_destroy_never_takes_the_old_ones_machines(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let lifecycle = "lifecycle {\n    create_before_destroy = true\n  }";
    let stack = Stack { endpoint: false, groups: lifecycle.to_owned(), ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    workspace.terraform(&["taint", "disagg_replica_group.decode"]).success();
    workspace.apply_fails(&stack.hcl()).says(&["Already exists", "create_before_destroy"]);
    assert_eq!(workspace.machines(), before);
    workspace.terraform(&["untaint", "disagg_replica_group.decode"]).success();
    workspace.assert_no_changes();
    workspace.destroy();
}
