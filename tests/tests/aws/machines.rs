//! What machines are made of and what they cost, and what becomes of them without us.

use super::{ZONED, aws, fleet, stack};
use acceptance::config::{group, service};
use acceptance::{Aws, Workspace, wait_until};
use std::time::Duration;

#[test]
fn the_example_shows_its_price_before_anything_is_bought() {
    let workspace = Workspace::on_aws();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let example = std::fs::read_to_string(format!("{root}examples/dynamo-pd-aws/main.tf"));
    let module = format!("{root}modules/dynamo-pd");
    let example = example.expect("the example").replace("../../modules/dynamo-pd", &module);
    std::fs::write(workspace.path().join("main.tf"), example).expect("configuration");
    workspace.terraform(&["get"]).success();
    let plan = workspace.plan_now(&["-var", "clients=[\"203.0.113.0/24\"]"]);
    let group = "module.qwen.disagg_replica_group.this[\"decode\"]";
    assert_eq!(plan.after(group, "minimum_hourly_cost"), 9.2);
    assert!(plan.text.contains("+ maximum_hourly_cost = 2"), "{}", plan.text);
    // With what a greater model would take.
    let greater =
        ["-var", "gpu=H200:8", "-var", "model=zai-org/GLM-4.5-FP8", "-var", "subnet=subnet-1"];
    let plan = workspace.plan_now(&greater);
    assert_eq!(plan.after(group, "interconnect"), "efa");
}

#[test]
fn an_image_is_kept_until_a_roll_takes_the_newest() {
    let workspace = Workspace::on_aws();
    let config = |replicas: u32, more: &str| {
        let decode = group("decode", &format!("replicas = {replicas}\n  {more}"));
        format!("{}{}{decode}", fleet(ZONED), service(""))
    };
    workspace.apply(&config(1, ""));
    let image = || workspace.resource("disagg_replica_group.decode")["image_id"].clone();
    let first = image();
    assert!(first.as_str().is_some_and(|image| image.starts_with("ami-")), "{first}");
    // A newer one is published: nothing happens by itself, and a grown group stays of one kind.
    aws(&workspace).datacentre().publish_images("20261120", "2026-11-20");
    workspace.assert_no_changes();
    workspace.apply(&config(2, ""));
    assert_eq!(image(), first);
    workspace.apply(&config(2, "boot_revision = 1"));
    assert_ne!(image(), first);
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn what_somebody_does_by_hand_shows_and_is_put_back() {
    let workspace = Workspace::on_aws();
    let config = stack("replicas = 1", "replicas = 2");
    workspace.apply(&config);
    let id = workspace.group("decode")[0].id.clone();
    let (fleet_group, machine) = ("disagg-pd", id.clone());
    type Hand<'a> = Box<dyn Fn(&Aws) + 'a>;
    let hands: Vec<(Hand<'_>, &str)> = vec![
        (
            Box::new(|aws| aws.datacentre().open_port(fleet_group, 22, "0.0.0.0/0", "")),
            "tcp port 22 from 0.0.0.0/0",
        ),
        (
            Box::new(|aws| aws.datacentre().set_metadata_tokens(&machine, "optional")),
            "answers without a token",
        ),
        (
            Box::new(|aws| aws.datacentre().move_to_default_group(&machine)),
            "has the security groups",
        ),
        (
            Box::new(|aws| aws.datacentre().set_type(&machine, "m7i.2xlarge")),
            "its type is `m7i.2xlarge`",
        ),
    ];
    for (by_hand, said) in hands {
        by_hand(aws(&workspace));
        let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
        assert_eq!(run.code, Some(2), "{said}: {}", run.stdout);
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
        workspace.apply(&config);
        workspace.assert_no_changes();
        assert_eq!(workspace.group("decode").len(), 2);
    }
    // The one of another type is another machine now.
    assert!(workspace.group("decode").iter().all(|machine| machine.id != id));
    workspace.destroy();
}

#[test]
fn a_spot_machine_that_is_taken_back_shows_and_is_bought_again() {
    let workspace = Workspace::on_aws();
    let config = stack("replicas = 0", "replicas = 2\n  market = \"spot\"");
    workspace.apply(&config);
    let taken = workspace.group("decode").swap_remove(0);
    assert!(aws(&workspace).datacentre().take_back(&taken.id), "it is a spot machine");
    let plan = workspace.plan(&config);
    assert_eq!(plan.action("disagg_replica_group.decode"), "update", "{}", plan.text);
    workspace.apply(&config);
    let now = workspace.group("decode");
    assert_eq!(now.len(), 2);
    assert!(now.iter().all(|machine| machine.id != taken.id), "{now:?}");
    workspace.assert_no_changes();
    // There is no more spot capacity: what runs goes on, and the error says what to do.
    aws(&workspace).datacentre().limit_tagged("disagg:group", "decode", Some(1));
    assert!(aws(&workspace).datacentre().take_back(&now[0].id), "it is a spot machine");
    wait_until("it has ended", || workspace.group("decode").len() == 1);
    workspace.apply_fails(&config).says(&["Insufficient capacity"]);
    assert_eq!(workspace.group("decode").len(), 1);
    workspace.destroy();
}

/// What a tag says that somebody has changed is not believed over what nobody can change.
#[test]
fn tags_that_are_changed_by_hand_replace_nothing() {
    let workspace = Workspace::on_aws();
    let config = stack("replicas = 1", "replicas = 2");
    workspace.apply(&config);
    let before = workspace.machines();
    let taken = workspace.group("decode")[0].id.clone();
    for (key, value) in [("disagg:group", "prefill"), ("disagg:role", "prefill")] {
        aws(&workspace).datacentre().retag(&taken, key, Some(value));
    }
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(!run.stdout.contains("disagg_replica_group.prefill will be"), "{}", run.stdout);
    workspace.apply(&config);
    workspace.assert_no_changes();
    assert_eq!(workspace.machines(), before);
    workspace.destroy();
}

#[test]
fn a_router_that_a_dead_creation_has_left_shows_and_goes_when_it_is_old() {
    let workspace = Workspace::on_aws();
    let empty = fleet(ZONED);
    workspace.apply(&empty);
    aws(&workspace).datacentre().settings_mut().boot_seconds = 60.0;
    workspace.write(&stack("replicas = 0", "replicas = 0"));
    workspace.apply_and_kill_at(1);
    let left = workspace.machines().remove(0).id;
    workspace.write(&empty);
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(
        run.stdout.contains("in no state, and removed when it is 2 hours old"),
        "{}",
        run.stdout
    );
    workspace.apply(&empty);
    assert_eq!(workspace.machines().len(), 1, "its creation may go on elsewhere");
    aws(&workspace).datacentre().age(&left, Duration::from_secs(3 * 60 * 60));
    workspace.apply(&empty);
    assert_eq!(workspace.machines(), Vec::new());
    workspace.assert_no_changes();
    workspace.destroy();
}
