//! No change takes the service down, unless it was told to.

use acceptance::config::Stack;
use acceptance::{Cloud, Fault, Machine, Workspace, assert_chats, chat};

acceptance::tests! {
    a_wrong_flag_leaves_the_only_machine_at_work;
    a_roll_without_room_for_the_successor_leaves_everything_as_it_was;
    a_roll_of_groups_of_one_loses_no_chat needs chats;
}

const NEW_FLAG: &str = "\"mocker\", args = [\"--speedup-ratio\", \"2\"] }";

/// One machine of each role; the engine of both runs with another argument.
fn changed(stack: &Stack, engine: &str) -> String {
    stack.hcl().replace("\"mocker\" }", engine)
}

fn ids(machines: &[Machine]) -> Vec<&str> {
    machines.iter().map(|machine| machine.id.as_str()).collect()
}

fn a_wrong_flag_leaves_the_only_machine_at_work(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack::on(cloud);
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    let broken = changed(&stack, "\"mocker\", args = [\"--no-such-flag\"] }");
    let run = workspace.apply_fails(&broken);
    run.says(&[
        "Roll of replica group",
        "no-such-flag",
        "No old machine was removed. 1 old and 0 new machines are running.",
    ]);
    assert_eq!(workspace.machines(), before);
    assert_chats(&workspace);
    workspace.apply(&stack.hcl());
    assert_eq!(workspace.machines(), before, "nothing is left of the change that was taken back");
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_roll_without_room_for_the_successor_leaves_everything_as_it_was(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack =
        |more: &str| Stack { decode: format!("replicas = 1\n  {more}"), ..Stack::on(cloud) };
    workspace.apply(&stack("").hcl());
    let before = workspace.machines();
    workspace.faults(&[Fault::NoCapacity { group: "decode", after: 1 }]);
    workspace.apply_fails(&stack("env = { A = \"b\" }").hcl()).says(&[
        "Insufficient capacity",
        "1 old and 0 new machines are running",
        "there is no room for that one",
        "max_unavailable = 1",
    ]);
    assert_eq!(workspace.machines(), before);
    assert_chats(&workspace);
    // What the error names: the group goes without, and the plan says so.
    let told = stack("env = { A = \"b\" }\n  update_strategy = { max_unavailable = 1 }");
    let plan = workspace.plan(&told.hcl());
    assert!(plan.text.contains("Roll takes the whole group"), "{}", plan.text);
    workspace.apply(&told.hcl());
    workspace.faults(&[]);
    let now = workspace.group("decode");
    assert_eq!(now.len(), 1);
    assert!(!ids(&before).contains(&now[0].id.as_str()));
    assert_chats(&workspace);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_roll_of_groups_of_one_loses_no_chat(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack::on(cloud);
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    let url = workspace.output("url");
    let url = url.as_str().expect("a text");
    workspace.write(&changed(&stack, NEW_FLAG));
    let mut apply = workspace.start_terraform(&["apply", "-auto-approve", "-lock=false"]);
    let mut answers = 0;
    while apply.try_wait().expect("wait").is_none() {
        let (status, answer) = chat(url, "disagg/tiny", "Are you still there?");
        assert_eq!(status, 200, "after {answers} answers: {answer}");
        answers += 1;
    }
    assert!(apply.wait().expect("it has ended").success());
    assert!(answers > 10, "only {answers} answers");
    let now = workspace.machines();
    assert_eq!(now.len(), 3);
    assert_eq!(ids(&now).iter().filter(|id| ids(&before).contains(id)).count(), 1, "the router");
    workspace.assert_no_changes();
    workspace.destroy();
}
