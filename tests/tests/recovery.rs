//! Whatever dies, the next apply converges to exactly what is declared.

use acceptance::config::{Stack, fleet, service};
use acceptance::{Cloud, Fault, Workspace, assert_chats, wait_until};

acceptance::tests! {
    a_lost_worker_shows_as_a_smaller_count_and_comes_back;
    a_stopped_worker_is_started;
    a_lost_router_is_recovered_at_its_address;
    a_worker_whose_tags_were_changed_is_no_other_worker;
    a_stopped_router_is_started_and_serves;
    a_boot_that_fails_on_every_worker_is_an_error_and_leaves_none;
    one_worker_that_does_not_boot_never_takes_the_group_down;
    a_router_that_does_not_boot_leaves_nothing;
    a_lack_of_capacity_says_what_was_tried;
}

fn a_lost_worker_shows_as_a_smaller_count_and_comes_back(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { decode: "replicas = 2".to_owned(), ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let lost = workspace.group("decode").remove(0);
    workspace.lose(&lost.id);
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stdout.contains("1 -> 2"), "{}", run.stdout);
    workspace.apply(&stack.hcl());
    let now = workspace.group("decode");
    assert_eq!(now.len(), 2);
    assert!(now.iter().all(|machine| machine.id != lost.id));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_stopped_worker_is_started(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let worker = workspace.group("decode").remove(0);
    workspace.stop(&worker.id);
    wait_until("the worker is stopped", || workspace.group("decode")[0].state == "stopped");
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stdout.contains("stopped; it will be started"), "{}", run.stdout);
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.group("decode"), [worker]);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_lost_router_is_recovered_at_its_address(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack::on(cloud);
    workspace.apply(&stack.hcl());
    let (router, workers) = (workspace.router(), workspace.group("decode"));
    workspace.lose(&router.id);
    let plan = workspace.plan(&stack.hcl());
    assert_eq!(plan.action("disagg_service.tiny"), "update");
    // The endpoint is proved again, so that an apply returns when it serves.
    let endpoint = cloud.serves().then_some("disagg_endpoint.tiny");
    let changed: Vec<&str> = endpoint.into_iter().chain(["disagg_service.tiny"]).collect();
    assert_eq!(plan.changed(), changed, "{}", plan.text);
    assert!(plan.text.contains("a new one will be launched at"), "{}", plan.text);
    workspace.apply(&stack.hcl());
    let recovered = workspace.router();
    assert_eq!(recovered.address, router.address);
    assert_ne!(recovered.id, router.id);
    assert_eq!(workspace.group("decode"), workers, "workers are left alone");
    // The workers have noticed, restarted and registered again by themselves.
    assert_chats(&workspace);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_worker_whose_tags_were_changed_is_no_other_worker(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let worker = workspace.group("decode").remove(0);
    workspace.retag(&worker.id, "disagg:group", "mine");
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(
        run.stdout.contains("`disagg:group` is `mine`; it will be `decode` again"),
        "{}",
        run.stdout
    );
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.group("decode"), std::slice::from_ref(&worker));

    // What it was made from cannot be told from its tags any more: another one takes its place.
    workspace.retag(&worker.id, "disagg:digest", "0123456789abcdef");
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stdout.contains("made from another configuration"), "{}", run.stdout);
    workspace.apply(&stack.hcl());
    assert_ne!(workspace.group("decode"), [worker]);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_stopped_router_is_started_and_serves(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack::on(cloud);
    workspace.apply(&stack.hcl());
    let router = workspace.router();
    workspace.stop(&router.id);
    wait_until("the router is stopped", || workspace.router().state == "stopped");
    workspace.apply(&stack.hcl());
    // Ready means now, and not that it was so in the boot before.
    assert_chats(&workspace);
    assert_eq!(workspace.router(), router);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_boot_that_fails_on_every_worker_is_an_error_and_leaves_none(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack {
        endpoint: false,
        groups: "env = { DISAGG_TEST = \"1\" }".to_owned(),
        ..Stack::on(cloud)
    };
    let reserved = workspace.plan_fails(&stack.hcl());
    reserved.says(&["Reserved variable", "DISAGG_TEST"]);
    let broken = Stack { groups: String::new(), ..stack };
    let broken = broken.hcl().replace(
        "engine     = { type = \"mocker\" }",
        "engine     = { type = \"mocker\", args = [\"--no-such-flag\"] }",
    );
    let run = workspace.apply_fails(&broken);
    run.says(&["failed", "no-such-flag", "phase `engine`", "removed"]);
    assert_eq!(workspace.machines().len(), 1, "only the router is left");
    workspace.apply(&Stack { endpoint: false, ..Stack::on(cloud) }.hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn one_worker_that_does_not_boot_never_takes_the_group_down(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    workspace.faults(&[Fault::BootFailure { group: "decode", first: Some(1) }]);
    let stack = Stack { endpoint: false, decode: "replicas = 2".to_owned(), ..Stack::on(cloud) };
    let run = workspace.apply(&stack.hcl());
    run.says(&["1 of the workers", "did not boot"]);
    assert_eq!(workspace.group("decode").len(), 1);
    workspace.faults(&[]);
    // The shortfall is drift, and the next apply fills it.
    let plan = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(plan.code, Some(2), "{}", plan.stdout);
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.group("decode").len(), 2);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_router_that_does_not_boot_leaves_nothing(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let run = workspace.apply_fails(&format!(
        "{}{}",
        fleet(""),
        service("router = { args = [\"--no-such-flag\"] }")
    ));
    run.says(&["Boot of the router failed", "no-such-flag", "phase `frontend`", "removed"]);
    assert_eq!(workspace.machines(), Vec::new());
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    workspace.destroy();
}

fn a_lack_of_capacity_says_what_was_tried(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&format!("{}{}", fleet(""), service("")));
    workspace.faults(&[Fault::NoCapacity { group: "decode", after: 0 }]);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    let run = workspace.apply_fails(&stack.hcl());
    run.says(&["Insufficient capacity", "Tried, in this order", "Nothing of it was left behind"]);
    assert_eq!(workspace.group("decode").len(), 0);
    workspace.faults(&[]);
    workspace.apply(&stack.hcl());
    workspace.destroy();
}
