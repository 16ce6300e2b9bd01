//! What is AWS's alone, on a simulated one: calls, errors by their attribute, credentials, and two
//! runs at once. Everything that all clouds have in common is tested on it by the other files, with
//! `DISAGG_TEST_CLOUD=aws`.

use acceptance::config::{ENDPOINT, group, service};
use acceptance::{Aws, Machine, Place, Workspace, wait_until};
use cloudsim::Fault;
use cloudsim::datacentre::{Effect, Subnet, WayOut};
use std::collections::BTreeMap;

fn fleet(attributes: &str) -> String {
    format!(
        "resource \"disagg_fleet\" \"pd\" {{\n  name = \"pd\"\n  cloud = \"aws\"\n  {attributes}\n}}\n"
    )
}

const ZONED: &str = "zone = \"us-east-2a\"";

fn stack(prefill: &str, decode: &str) -> String {
    let groups = [group("prefill", prefill), group("decode", decode)].concat();
    format!("{}{}{groups}", fleet(ZONED), service(""))
}

fn aws(workspace: &Workspace) -> &Aws {
    match workspace.place() {
        Place::Aws(aws) => aws,
        Place::Local => panic!("this workspace is on the simulated AWS"),
    }
}

/// How often each operation was called by what `act` does.
fn calls_of(workspace: &Workspace, act: impl FnOnce()) -> BTreeMap<String, u64> {
    let before = aws(workspace).datacentre().calls().clone();
    act();
    let after = aws(workspace).datacentre().calls().clone();
    let new = after.into_iter().map(|(name, count)| {
        let earlier = before.get(&name).copied().unwrap_or_default();
        (name, count - earlier)
    });
    new.filter(|(_, count)| *count > 0).collect()
}

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

#[test]
fn two_applies_of_one_configuration_make_one_set_of_machines() {
    let one = Workspace::on_aws();
    one.apply(&fleet(ZONED));
    let two = one.neighbour();
    // The same configuration and the same fleet in two states, as a pipeline that runs twice.
    let config = stack("replicas = 1", "replicas = 2");
    for workspace in [&one, &two] {
        workspace.write(&config);
    }
    two.terraform(&["import", "disagg_fleet.pd", "aws/us-east-2/pd"]).success();
    let mut runs =
        [&one, &two].map(|workspace| workspace.start_terraform(&["apply", "-auto-approve"]));
    let ended = runs.each_mut().map(|run| run.wait().expect("it ends").success());
    assert!(ended.contains(&true), "{ended:?}");
    let owner = if ended[0] { &one } else { &two };
    let routers = |machines: Vec<Machine>| machines.iter().filter(|m| m.group.is_none()).count();
    wait_until("what the loser made is gone", || routers(owner.machines()) == 1);
    assert_eq!(owner.machines().len(), 4, "{:?}", owner.machines());
    // Each may have given the router a public address, of which one is in the way of the other: the next
    // apply knows which it is.
    owner.apply(&config);
    owner.assert_no_changes();
    owner.destroy();
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
fn a_public_address_comes_and_goes_and_workers_do_not_notice() {
    let workspace = Workspace::on_aws();
    let config = |more: &str| {
        format!("{}{}{}", fleet(ZONED), service(more), group("decode", "replicas = 1"))
    };
    workspace.apply(&config(""));
    let before = workspace.machines();
    let endpoint = || workspace.resource("disagg_service.tiny")["endpoint"].to_string();
    let internal = workspace.resource("disagg_service.tiny")["internal_ip"].clone();
    let internal = internal.as_str().expect("an address").to_owned();
    assert!(!endpoint().contains(&internal), "{}", endpoint());
    workspace.apply(&config("public_ip = false"));
    assert!(endpoint().contains(&internal), "{}", endpoint());
    workspace.assert_no_changes();
    workspace.apply(&config("public_ip = true"));
    assert!(!endpoint().contains(&internal), "{}", endpoint());
    workspace.assert_no_changes();
    assert_eq!(workspace.machines(), before);
    workspace.destroy();
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
fn each_group_is_one_launch_and_a_refresh_is_three_calls() {
    let workspace = Workspace::on_aws();
    workspace.apply(&fleet(ZONED));
    let config = stack("replicas = 4", "replicas = 8");
    let calls = calls_of(&workspace, || drop(workspace.apply(&config)));
    assert_eq!(calls["RunInstances"], 3, "one for the router, one for each group: {calls:?}");
    assert_eq!(calls["CreateTags"], 3, "{calls:?}");
    // A refresh is one list for all, and two more.
    let refresh = calls_of(&workspace, || workspace.assert_no_changes());
    assert_eq!(refresh.values().sum::<u64>(), 3, "{refresh:?}");
    workspace.destroy();
}

#[test]
fn two_hundred_workers_are_one_launch() {
    let workspace = Workspace::on_aws();
    workspace.apply(&stack("replicas = 1", "replicas = 0"));
    let calls =
        calls_of(&workspace, || drop(workspace.apply(&stack("replicas = 1", "replicas = 200"))));
    assert_eq!(calls["RunInstances"], 1, "{calls:?}");
    assert_eq!(workspace.group("decode").len(), 200);
    workspace.assert_no_changes();
    workspace.destroy();
}

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
    let group = "module.glm.disagg_replica_group.this[\"decode\"]";
    assert_eq!(plan.after(group, "minimum_hourly_cost"), 9.2);
    assert!(plan.text.contains("maximum_hourly_cost"), "{}", plan.text);
    // With what the example's model would really take.
    let plan = workspace.plan_now(&["-var", "gpu=H200:8", "-var", "subnet=subnet-1"]);
    assert_eq!(plan.after(group, "interconnect"), "efa");
}

#[test]
fn a_zone_that_is_full_says_so_and_another_one_does() {
    let workspace = Workspace::on_aws();
    let types: Vec<String> = {
        let mut datacentre = aws(&workspace).datacentre();
        let types: Vec<String> = datacentre.settings_mut().types.keys().cloned().collect();
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

#[test]
fn fabrics_that_do_not_meet_are_warned_of() {
    let workspace = Workspace::on_aws();
    let private = Subnet {
        zone: "us-east-2a".to_owned(),
        vpc: "vpc-default".to_owned(),
        way_out: WayOut::Nat,
    };
    let subnets = BTreeMap::from([("subnet-private".to_owned(), private)]);
    aws(&workspace).datacentre().settings_mut().subnets = subnets;
    let on = |role: &str, gpu: &str| {
        let engine = "engine = { type = \"sglang\", tensor_parallel = 8 }";
        let more = format!("replicas = 1\n  resources = {{ gpu = \"{gpu}\" }}");
        group(role, &more).replace("engine     = { type = \"mocker\" }", engine)
    };
    let endpoint = ENDPOINT.replace("  group_ids", "  timeouts = { create = \"1s\" }\n  group_ids");
    let (fleet, service) = (fleet("subnet = \"subnet-private\""), service(""));
    let config =
        [fleet, service, on("prefill", "A100-40GB:8"), on("decode", "H100:8"), endpoint].concat();
    // Nobody answers a chat here.
    workspace.apply_fails(&config).says(&[
        "Prefill and decode have no fabric in common",
        "prefill on `p4d.24xlarge` and decode on `p5.48xlarge`",
    ]);
    workspace.destroy();
}
