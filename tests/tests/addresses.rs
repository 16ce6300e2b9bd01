//! Resources that get another address in Terraform, or a successor under their name: nothing that serves goes
//! for a name of Terraform.

use acceptance::config::Stack;
use acceptance::{Cloud, Machine, Workspace, assert_chats};

acceptance::tests! {
    a_group_at_another_address_keeps_its_machines;
    a_group_that_was_imported_at_its_new_address_is_not_removed_at_the_old_one;
    a_service_and_a_fleet_at_another_address_are_refused_before_anything_goes;
    two_groups_that_swap_their_names_are_refused;
}

/// The stack with another address for one of its resources.
fn readdressed(stack: &Stack, kind: &str, from: &str, to: &str) -> String {
    let (block, new_block) = (format!("\"{kind}\" \"{from}\""), format!("\"{kind}\" \"{to}\""));
    let text = stack.hcl().replace(&block, &new_block);
    text.replace(&format!("{kind}.{from}.id"), &format!("{kind}.{to}.id"))
}

fn ids(machines: &[Machine]) -> Vec<&str> {
    machines.iter().map(|machine| machine.id.as_str()).collect()
}

fn a_group_at_another_address_keeps_its_machines(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack::on(cloud);
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    let renamed = readdressed(&stack, "disagg_replica_group", "decode", "generator");
    let run = workspace.apply(&renamed);
    run.says(&["Another address for replica group", "machines are handed over", "moved {"]);
    assert_eq!(workspace.machines(), before);
    workspace.assert_no_changes();
    assert_chats(&workspace);

    // Back, together with a change: it is made as an update would make it.
    let grown = Stack { decode: "replicas = 2".to_owned(), ..stack };
    workspace.apply(&grown.hcl());
    let now = workspace.machines();
    assert_eq!(now.len(), 4);
    assert!(ids(&before).iter().all(|id| ids(&now).contains(id)));
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_group_that_was_imported_at_its_new_address_is_not_removed_at_the_old_one(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    let renamed = readdressed(&stack, "disagg_replica_group", "decode", "generator");
    workspace.write(&renamed);
    // Imported at the new address, it is at both.
    let id = format!("{}/decode", cloud.path("pd/tiny"));
    workspace.terraform(&["import", "disagg_replica_group.generator", &id]).success();
    workspace.terraform(&["apply", "-auto-approve"]).failure().says(&["Two addresses", "state rm"]);
    assert_eq!(workspace.machines(), before);
    workspace.terraform(&["state", "rm", "disagg_replica_group.decode"]).success();
    workspace.apply(&renamed);
    assert_eq!(workspace.machines(), before);
    workspace.assert_no_changes();
    workspace.destroy();
}

fn a_service_and_a_fleet_at_another_address_are_refused_before_anything_goes(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    for (kind, from, what) in
        [("disagg_service", "tiny", "service"), ("disagg_fleet", "pd", "fleet")]
    {
        let renamed = readdressed(&stack, kind, from, "other");
        let said =
            [&format!("Two addresses for {what}")[..], &format!("{kind}.OLD_NAME"), "moved {"];
        workspace.plan_fails(&renamed).says(&said);
        workspace.apply_fails(&renamed).says(&said);
        assert_eq!(workspace.machines(), before);
        // As it is said.
        let moved = format!("moved {{\n  from = {kind}.{from}\n  to   = {kind}.other\n}}\n");
        workspace.write(&format!("{renamed}{moved}"));
        let plan = workspace.plan_now(&[]);
        assert_eq!(plan.changed(), Vec::<&str>::new(), "{}", plan.text);
    }
    workspace.apply(&stack.hcl());
    workspace.destroy();
}

fn two_groups_that_swap_their_names_are_refused(cloud: &Cloud) {
    let workspace = Workspace::on(cloud);
    let stack = Stack { endpoint: false, ..Stack::on(cloud) };
    workspace.apply(&stack.hcl());
    let before = workspace.machines();
    let swapped = stack.hcl();
    let swapped = swapped
        .replace("name       = \"decode\"", "name       = \"between\"")
        .replace("name       = \"prefill\"", "name       = \"decode\"")
        .replace("name       = \"between\"", "name       = \"prefill\"");
    workspace.apply_fails(&swapped).says(&["Two addresses for replica group"]);
    assert_eq!(workspace.machines(), before);
    workspace.apply(&stack.hcl());
    workspace.destroy();
}
