//! What is baked into workers changes batch by batch, and the group stays what it is.

use acceptance::config::Stack;
use acceptance::{Cloud, Fault, Machine, Workspace, assert_chats};

acceptance::tests! {
    a_change_of_workers_is_rolled_and_the_endpoint_stays;
    a_roll_that_fails_stops_and_can_be_taken_back;
    a_strategy_that_cannot_begin_and_one_that_takes_all_are_said;
    a_roll_without_capacity_says_what_is_gone;
    a_roll_that_stops_under_scaling_costs_no_machine_for_good;
    what_a_roll_has_brought_stays_ready_when_it_stops;
    a_roll_takes_no_machine_for_one_that_would_be_refused needs own_secrets;
}

fn two_decoders(cloud: &Cloud, groups: &str) -> Stack {
    Stack { decode: "replicas = 2".to_owned(), groups: groups.to_owned(), ..Stack::on(cloud) }
}

fn ids(machines: &[Machine]) -> Vec<&str> {
    machines.iter().map(|machine| machine.id.as_str()).collect()
}

fn a_change_of_workers_is_rolled_and_the_endpoint_stays(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&two_decoders(cloud, "").hcl());
    let (before, router) = (workspace.group("decode"), workspace.router());
    for change in ["env = { A = \"b\" }", "env = { A = \"b\" }\n  boot_revision = 1"] {
        let surge = format!("{change}\n  update_strategy = {{ max_surge = 1 }}");
        let changed = two_decoders(cloud, &surge);
        let plan = workspace.plan(&changed.hcl());
        assert_eq!(plan.action("disagg_replica_group.decode"), "update", "{}", plan.text);
        assert_eq!(plan.action("disagg_endpoint.tiny"), "no-op", "{}", plan.text);
        assert!(plan.text.contains("Replica group is rolled"), "{}", plan.text);
        workspace.apply(&changed.hcl());
        workspace.assert_no_changes();
        let now = workspace.group("decode");
        assert_eq!(now.len(), 2);
        assert!(ids(&now).iter().all(|id| !ids(&before).contains(id)), "{now:?}");
    }
    assert_eq!(workspace.router(), router);
    assert_chats(&workspace);
    workspace.destroy();
}

fn a_roll_that_fails_stops_and_can_be_taken_back(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = two_decoders(cloud, "");
    workspace.apply(&stack.hcl());
    let before = workspace.group("decode");
    let broken = stack.hcl().replace("\"mocker\" }", "\"mocker\", args = [\"--no-such-flag\"] }");
    let run = workspace.apply_fails(&broken);
    run.says(&[
        "Roll of replica group",
        "no-such-flag",
        "1 old machine was removed. 1 old and 0 new machines are running.",
        "take the change back",
    ]);
    let left = workspace.group("decode");
    assert_eq!(left.len(), 1, "the one that did not boot is removed, the other was not touched");
    assert!(ids(&before).contains(&left[0].id.as_str()));
    workspace.apply(&stack.hcl());
    let now = workspace.group("decode");
    assert_eq!(now.len(), 2);
    assert!(ids(&now).contains(&left[0].id.as_str()), "it serves what is declared again");
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_strategy_that_cannot_begin_and_one_that_takes_all_are_said(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stuck = two_decoders(cloud, "update_strategy = { max_unavailable = 0 }");
    workspace.plan_fails(&stuck.hcl()).says(&["cannot begin", "at least 1"]);
    let all = |change: &str| {
        let strategy = format!("{change}\n  update_strategy = {{ max_unavailable = 2 }}");
        Stack { endpoint: false, ..two_decoders(cloud, &strategy) }
    };
    workspace.apply(&all("").hcl());
    let plan = workspace.plan(&all("env = { A = \"b\" }").hcl());
    assert!(plan.text.contains("Roll takes the whole group"), "{}", plan.text);
    workspace.apply(&all("env = { A = \"b\" }").hcl());
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_roll_without_capacity_says_what_is_gone(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&two_decoders(cloud, "").hcl());
    workspace.faults(&[Fault::NoCapacity { group: "decode", after: 1 }]);
    let changed = two_decoders(cloud, "env = { A = \"b\" }");
    workspace.apply_fails(&changed.hcl()).says(&[
        "Roll of replica group",
        "Insufficient capacity",
        "1 old machine was removed. 1 old and 0 new machines are running.",
        "max_surge = 1",
    ]);
    workspace.faults(&[]);
    workspace.apply(&changed.hcl());
    assert_eq!(workspace.group("decode").len(), 2);
    workspace.assert_no_changes();
    workspace.destroy();
}

/// Under scaling nothing else says how many machines there were.
fn a_roll_that_stops_under_scaling_costs_no_machine_for_good(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let scaled = |min: u32, change: &str| Stack {
        endpoint: false,
        decode: format!("scaling = {{ min = {min}, max = 4, target = 3 }}"),
        groups: change.to_owned(),
        ..Stack::on(cloud)
    };
    // Three, as an autoscaler would have left them.
    workspace.apply(&scaled(3, "").hcl());
    workspace.apply(&scaled(1, "").hcl());
    workspace.assert_no_changes();
    workspace.faults(&[Fault::NoCapacity { group: "decode", after: 2 }]);
    let changed = scaled(1, "env = { A = \"b\" }");
    workspace.apply_fails(&changed.hcl()).says(&["Insufficient capacity", "2 old and 0 new"]);
    workspace.faults(&[]);
    // Taken back, and then made after all.
    let plan = workspace.plan(&scaled(1, "").hcl());
    assert!(plan.text.contains("3 before a roll that did not end"), "{}", plan.text);
    workspace.apply(&scaled(1, "").hcl());
    assert_eq!(workspace.group("decode").len(), 3);
    workspace.assert_no_changes();
    workspace.apply(&changed.hcl());
    assert_eq!(workspace.group("decode").len(), 3);
    workspace.assert_no_changes();
    workspace.destroy();
}

/// What the first batch brought is finished, whatever becomes of the second.
fn what_a_roll_has_brought_stays_ready_when_it_stops(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&two_decoders(cloud, "").hcl());
    let before = workspace.group("decode");
    let changed = two_decoders(cloud, "env = { A = \"b\" }");
    workspace.write(&changed.hcl());
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    let is_new = |machine: &Machine| before.iter().all(|old| old.id != machine.id);
    let ready = || {
        let machines = workspace.group("decode").into_iter();
        machines.filter(is_new).find(|machine| workspace.tag(&machine.id, "phase") == "ready")
    };
    acceptance::wait_until("the first of the new ones is ready", || ready().is_some());
    let first = ready().expect("it is").id;
    workspace.faults(&[Fault::BootFailure { group: "decode", first: None }]);
    let ended = apply.wait().expect("it ends");
    workspace.faults(&[]);
    if ended.success() {
        // The second was launched before the fault was there.
        return workspace.destroy();
    }
    assert_eq!(workspace.tag(&first, "phase"), "ready");
    workspace.apply(&changed.hcl());
    assert!(workspace.group("decode").iter().any(|machine| machine.id == first));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_roll_takes_no_machine_for_one_that_would_be_refused(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    workspace.apply(&two_decoders(cloud, "").hcl());
    let before = workspace.group("decode");
    let secret = two_decoders(cloud, "secret_env = { HF_TOKEN = \"env://DISAGG_TEST_UNSET\" }");
    workspace.apply_fails(&secret.hcl()).says(&[
        "Roll of replica group",
        "DISAGG_TEST_UNSET",
        "No old machine was removed. 2 old and 0 new machines are running.",
    ]);
    assert_eq!(workspace.group("decode"), before);
    workspace.destroy();
}
