//! What is wrong is said at its attribute, and nothing is bought for it.

use super::{ZONED, aws, calls_of, fleet, stack};
use acceptance::Workspace;
use acceptance::config::{group, service};
use std::collections::BTreeMap;

#[test]
fn a_plan_needs_no_credentials_and_an_apply_says_that_there_are_none() {
    let workspace = Workspace::on_aws();
    let config = format!(
        "{}{}{}",
        fleet("region = \"us-east-2\"\n  gpus = [\"L4:4\"]"),
        service(""),
        group("decode", "replicas = 2\n  resources = { gpu = \"L4:4\" }")
    );
    let blind = workspace
        .with_env("AWS_ACCESS_KEY_ID", "")
        .with_env("AWS_SECRET_ACCESS_KEY", "")
        .with_env("HOME", "/nonexistent");
    let mut plan = None;
    let calls = calls_of(&blind, || plan = Some(blind.plan(&config)));
    assert_eq!(calls, BTreeMap::new());
    let plan = plan.expect("a plan");
    assert_eq!(plan.after("disagg_replica_group.decode", "minimum_hourly_cost"), 9.2);
    assert_eq!(plan.after("disagg_replica_group.decode", "interconnect"), "efa");
    blind.apply_fails(&config).says(&[
        "Credentials missing or expired",
        "there are no credentials that can be used",
        "Give the provider credentials that are valid now",
    ]);
}

#[test]
fn what_is_wrong_is_said_at_its_attribute() {
    let workspace = Workspace::on_aws();
    let base = format!("{}{}", fleet(ZONED), service(""));
    for (config, said) in [
        (
            fleet("subnet = \"subnet-none\""),
            ["InvalidSubnetID.NotFound", "subnet = \"subnet-none\""],
        ),
        (
            fleet("zone = \"us-east-2b\"\n  subnet = \"subnet-us-east-2a\""),
            ["Subnet of another zone", "The subnet is in zone `us-east-2a`"],
        ),
        (fleet("zone = \"us-east-2z\""), ["no default subnet", "zone"]),
        (
            format!("{base}{}", group("decode", "replicas = 1\n  image = \"ami-none\"")),
            ["InvalidAMIID.NotFound", "image"],
        ),
        (
            format!("{base}{}", group("decode", "replicas = 1\n  identity = \"nobody\"")),
            ["Invalid IAM Instance Profile", "identity"],
        ),
        (
            format!(
                "{base}{}",
                group(
                    "decode",
                    "replicas = 1\n  market = \"capacity-block\"\n  reservation = \"cr-1\""
                )
            ),
            ["placement = \"zone\"", "reservation"],
        ),
        (
            format!(
                "{base}{}",
                group("decode", "replicas = 1\n  resources = { gpu = \"H200:8\" }")
            ),
            ["network interfaces, to which EC2 gives no public address", "subnet"],
        ),
    ] {
        workspace.apply_fails(&config).says(&said);
        assert!(workspace.group("decode").is_empty(), "{config}");
    }
    workspace.plan_fails(&fleet("gpus = [\"H200:9\"]")).says(&["No machine fits", "H200"]);
    let missing = group("decode", "replicas = 1\n  market = \"capacity-block\"");
    workspace.plan_fails(&format!("{base}{missing}")).says(&["Missing reservation"]);
    workspace.write(&base);
    workspace.destroy();
}

#[test]
fn a_type_that_the_zone_does_not_offer_is_refused_with_those_that_do() {
    let workspace = Workspace::on_aws();
    {
        let mut datacentre = aws(&workspace).datacentre();
        let zones = &mut datacentre.settings_mut().zones;
        for (name, zone) in zones.iter_mut().filter(|(name, _)| *name != "us-east-2b") {
            assert!(name.starts_with("us-east-2"));
            zone.without.push("p5en.48xlarge".to_owned());
        }
    }
    let zoned = fleet("zone = \"us-east-2a\"\n  gpus = [\"H200:8\"]");
    workspace.apply_fails(&zoned).says(&["No machine with H200:8", "`us-east-2b` do"]);
    workspace.apply(&fleet("gpus = [\"H200:8\"]"));
    assert_eq!(workspace.resource("disagg_fleet.pd")["zone"], "us-east-2b");
    workspace.assert_no_changes();
    workspace.destroy();
}

#[test]
fn a_zone_that_is_full_says_so_and_another_one_does() {
    let workspace = Workspace::on_aws();
    let types: Vec<String> = {
        let mut datacentre = aws(&workspace).datacentre();
        let types: Vec<String> = datacentre.account_mut().types.keys().cloned().collect();
        for name in &types {
            datacentre.limit("us-east-2b", name, Some(0));
        }
        types
    };
    assert!(!types.is_empty());
    let config = |zone: &str| {
        let group = group("decode", "replicas = 2\n  resources = { cpu = 4 }");
        format!("{}{}{group}", fleet(&format!("zone = \"{zone}\"")), service(""))
    };
    let run = workspace.apply_fails(&config("us-east-2b"));
    run.says(&["Insufficient capacity", "us-east-2b", "Tried, in this order"]);
    assert_eq!(workspace.machines(), Vec::new(), "nothing is paid for");
    workspace.apply(&config("us-east-2a"));
    assert_eq!(workspace.group("decode").len(), 2);
    workspace.destroy();
}

#[test]
fn a_quota_ends_a_launch_at_once_and_nothing_is_left_of_it() {
    let workspace = Workspace::on_aws();
    workspace.apply(&stack("replicas = 1", "replicas = 0"));
    aws(&workspace).datacentre().settings_mut().most_machines = Some(3);
    let calls = calls_of(&workspace, || {
        workspace.apply_fails(&stack("replicas = 1", "replicas = 4")).says(&[
            "Quota exceeded",
            "VcpuLimitExceeded",
            "Ask the cloud for a higher quota",
        ]);
    });
    assert_eq!(calls["RunInstances"], 1, "{calls:?}");
    assert_eq!(workspace.machines().len(), 2);
    workspace.write(&stack("replicas = 1", "replicas = 0"));
    workspace.destroy();
}
