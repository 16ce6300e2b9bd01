//! Whatever is lost, too new to be known, or done by two at once: one set of machines.

use super::{ZONED, aws, fleet, stack};
use acceptance::config::{group, service};
use acceptance::{Machine, Workspace, wait_until};
use cloudsim::Fault;
use cloudsim::datacentre::Effect;
use std::time::Duration;

#[test]
fn two_applies_of_one_configuration_make_one_set_of_machines() {
    for known_after in [0.0, 2.0] {
        two_applies(known_after);
    }
}

fn two_applies(known_after_seconds: f64) {
    let one = Workspace::on_aws();
    one.apply(&fleet(ZONED));
    aws(&one).datacentre().settings_mut().know_after(known_after_seconds);
    let two = one.neighbour();
    // The same configuration and the same fleet in two states, as a pipeline that runs twice.
    let config = stack("replicas = 1", "replicas = 2");
    let owner = two_runs(&one, &two, &IMPORTS[..1], &config);
    let routers = |machines: Vec<Machine>| machines.iter().filter(|m| m.group.is_none()).count();
    wait_until("what the loser made is gone", || routers(owner.machines()) == 1);
    assert_eq!(owner.machines().len(), 4, "{:?}", owner.machines());
    // Each may have given the router a public address, of which the later one counts: the next apply knows
    // which it is.
    owner.apply(&config);
    owner.assert_no_changes();
    owner.destroy();
}

/// Two states that have the same service, and a run of each, begun at once; answers the workspace of one
/// that has succeeded.
fn two_runs<'a>(
    one: &'a Workspace,
    two: &'a Workspace,
    imports: &[(&str, &str)],
    config: &str,
) -> &'a Workspace {
    for workspace in [one, two] {
        workspace.write(config);
    }
    for (address, path) in imports {
        two.terraform(&["import", address, path]).success();
    }
    let mut runs =
        [one, two].map(|workspace| workspace.start_terraform(&["apply", "-auto-approve"]));
    let ended = runs.each_mut().map(|run| run.wait().expect("it ends").success());
    assert!(ended.contains(&true), "{ended:?}");
    if ended[0] { one } else { two }
}

const IMPORTS: [(&str, &str); 3] = [
    ("disagg_fleet.pd", "aws/us-east-2/pd"),
    ("disagg_service.tiny", "aws/us-east-2/pd/tiny"),
    ("disagg_replica_group.decode", "aws/us-east-2/pd/tiny/decode"),
];

#[test]
fn two_runs_of_which_one_has_to_take_another_type_make_one_set_of_machines() {
    let one = Workspace::on_aws();
    let base = format!("{}{}", fleet(ZONED), service(""));
    one.apply(&base);
    let two = one.neighbour();
    // Whoever comes first is refused the first type; the other gets it.
    let effect = Effect::Refuse { status: 500, code: "InsufficientInstanceCapacity".to_owned() };
    let fault = Fault { operation: "RunInstances".to_owned(), effect, times: 1 };
    aws(&one).datacentre().add_fault(fault);
    let group = group("decode", "replicas = 2\n  resources = { cpu = 4 }");
    let owner = two_runs(&one, &two, &IMPORTS[..2], &format!("{base}{group}"));
    // The second set is gone by now, or with the next apply.
    owner.apply(&format!("{base}{group}"));
    owner.assert_no_changes();
    assert_eq!(owner.group("decode").len(), 2);
    owner.destroy();
}

#[test]
fn two_rolls_of_one_group_at_once_neither_double_nor_sell_its_machines() {
    let one = Workspace::on_aws();
    let config = |env: &str| stack("replicas = 0", &format!("replicas = 3\n  {env}"));
    one.apply(&config(""));
    let two = one.neighbour();
    let changed = config("env = { A = \"b\" }");
    let owner = two_runs(&one, &two, &IMPORTS, &changed);
    owner.apply(&changed);
    assert_eq!(owner.group("decode").len(), 3, "{:?}", owner.machines());
    owner.assert_no_changes();
    owner.destroy();
}

#[test]
fn a_launch_that_is_throttled_or_whose_answer_is_lost_makes_one_set_of_machines() {
    let workspace = Workspace::on_aws();
    let throttled = Effect::Refuse { status: 503, code: "RequestLimitExceeded".to_owned() };
    for effect in [throttled, Effect::CutAfter] {
        let fault = Fault { operation: "RunInstances".to_owned(), effect, times: 2 };
        aws(&workspace).datacentre().add_fault(fault);
    }
    workspace.apply(&stack("replicas = 1", "replicas = 3"));
    assert_eq!(workspace.machines().len(), 5);
    workspace.assert_no_changes();
    workspace.destroy();
}

/// For a second nobody knows what was made, and for another one not everybody.
#[test]
fn what_is_too_new_to_be_known_is_neither_gone_nor_made_twice() {
    let workspace = Workspace::on_aws();
    aws(&workspace).datacentre().settings_mut().know_after(2.0);
    // Several types that fit, so that a launch looks who else has launched.
    let config = |replicas: u32| {
        let any = "resources = { cpu = 4 }";
        stack(&format!("replicas = 1\n  {any}"), &format!("replicas = {replicas}\n  {any}"))
    };
    // Killed right after each launch, and applied again at once.
    for machines in [1, 2, 3] {
        workspace.write(&config(2));
        workspace.apply_and_kill_at(machines);
    }
    workspace.apply(&config(2));
    assert_eq!(workspace.machines().len(), 4, "{:?}", workspace.machines());
    workspace.assert_no_changes();
    workspace.apply(&config(3));
    workspace.lose(&workspace.group("decode")[0].id);
    workspace.apply(&config(3));
    assert_eq!(workspace.machines().len(), 5, "{:?}", workspace.machines());
    // Killed in the middle of a launch, and destroyed at once.
    workspace.write(&config(6));
    workspace.apply_and_kill_at(8);
    workspace.destroy();
}

#[test]
fn a_launch_whose_answers_are_all_lost_is_found_by_its_token() {
    let workspace = Workspace::on_aws();
    workspace.apply(&stack("replicas = 0", "replicas = 1"));
    let fault = Fault { operation: "RunInstances".to_owned(), effect: Effect::CutAfter, times: 6 };
    aws(&workspace).datacentre().add_fault(fault);
    workspace.apply(&stack("replicas = 0", "replicas = 4"));
    assert_eq!(workspace.group("decode").len(), 4);
    workspace.assert_no_changes();
    // Where nothing answers at all, nobody says that nothing is left.
    let fault = |operation: &str| Fault {
        operation: operation.to_owned(),
        effect: Effect::Refuse { status: 503, code: "Unavailable".to_owned() },
        times: 6,
    };
    aws(&workspace).datacentre().add_fault(fault("RunInstances"));
    let run = workspace.apply_fails(&stack("replicas = 0", "replicas = 6"));
    run.says(&["Whether any of it was launched is not known", "the next apply finds it"]);
    workspace.apply(&stack("replicas = 0", "replicas = 6"));
    assert_eq!(workspace.group("decode").len(), 6);
    workspace.assert_no_changes();
    workspace.destroy();
}

/// The token is of the group and its count: a newer image does not make it another launch.
#[test]
fn a_launch_that_was_made_with_an_older_image_is_gone_on_with() {
    let workspace = Workspace::on_aws();
    let config = stack("replicas = 0", "replicas = 2");
    workspace.apply(&stack("replicas = 0", "replicas = 0"));
    {
        let mut datacentre = aws(&workspace).datacentre();
        // What is there is old, and known.
        datacentre.advance(Duration::from_secs(60));
        datacentre.settings_mut().know_after(6.0);
    }
    workspace.write(&config);
    workspace.apply_and_kill_at(3);
    let ids = || workspace.group("decode").into_iter().map(|one| one.id).collect::<Vec<_>>();
    let launched = ids();
    aws(&workspace).datacentre().publish_images("20261120", "2026-11-20");
    workspace.apply(&config);
    assert_eq!(ids(), launched);
    workspace.destroy();
}

#[test]
fn a_fleet_that_one_server_does_not_know_is_not_gone() {
    let workspace = Workspace::on_aws();
    workspace.apply(&stack("replicas = 0", "replicas = 1"));
    aws(&workspace).datacentre().hide_group_for(2);
    workspace.assert_no_changes();
    workspace.destroy();
}
