//! Who reaches whom: public addresses, Elastic IPs, people, fabrics.

use super::{ZONED, aws, fleet};
use acceptance::config::{ENDPOINT, group, service};
use acceptance::{Machine, Workspace, wait_until};
use cloudsim::datacentre::WayOut;
use cloudsim::ec2::Subnet;
use std::collections::BTreeMap;

#[test]
fn a_public_address_comes_and_goes_and_workers_do_not_notice() {
    let workspace = Workspace::on_aws();
    let config = |more: &str| {
        let groups = [group("prefill", "replicas = 1"), group("decode", "replicas = 1")].concat();
        format!("{}{}{groups}{ENDPOINT}", fleet(ZONED), service(more))
    };
    // Nobody listens at its address here, as for a runner that is not let in: its console tells.
    workspace.apply(&config("")).says(&[
        "Endpoint cannot be reached from here",
        "The router answers a chat completion on its own machine",
        "`ingress_cidrs` say who is let in",
    ]);
    let before = workspace.machines();
    let endpoint = || {
        let endpoint = workspace.resource("disagg_service.tiny")["endpoint"].clone();
        let endpoint = endpoint.as_str().expect("a text").to_owned();
        let url = workspace.resource("disagg_endpoint.tiny")["url"].clone();
        assert_eq!(url, format!("{endpoint}/v1"), "they change in one apply");
        endpoint
    };
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
fn elastic_ips_come_with_their_machines_and_go_with_them() {
    let workspace = Workspace::on_aws();
    aws(&workspace).datacentre().account_mut().most_addresses = Some(3);
    let config = |replicas: u32, egress: &str| {
        let engine = "engine = { type = \"sglang\", tensor_parallel = 8 }";
        let more =
            format!("replicas = {replicas}\n  resources = {{ gpu = \"H200:8\" }}\n  {egress}");
        let group = group("decode", &more).replace("engine     = { type = \"mocker\" }", engine);
        format!("{}{}{group}", fleet(ZONED), service(""))
    };
    let held = || aws(&workspace).datacentre().elastic_ips();
    let own = "egress = \"public_ip\"";
    // The router has one; three more are more than the account may have.
    workspace.apply_fails(&config(3, own)).says(&[
        "Quota exceeded",
        "AddressLimitExceeded",
        "launch 3 machines",
    ]);
    assert_eq!(workspace.group("decode"), Vec::new());
    assert_eq!(held().len(), 1, "what was taken for them is given back: {:?}", held());

    workspace.apply(&config(2, own));
    workspace.assert_no_changes();
    let machines = workspace.group("decode");
    let of = |machine: &Machine| {
        held().into_iter().filter(|on| on.as_ref() == Some(&machine.id)).count()
    };
    assert!(machines.iter().all(|machine| of(machine) == 1), "{:?}", held());

    // One that is taken off shows, and comes back.
    aws(&workspace).datacentre().take_public_address_of(&machines[0].id);
    let run = workspace.terraform(&["plan", "-detailed-exitcode"]);
    assert_eq!(run.code, Some(2), "{}", run.stdout);
    assert!(run.stdout.contains("it has no Elastic IP"), "{}", run.stdout);
    workspace.apply(&config(2, own));
    workspace.assert_no_changes();
    assert_eq!(held().len(), 3, "the same one: {:?}", held());

    workspace.apply(&config(1, own));
    assert_eq!(held().len(), 2, "{:?}", held());
    // A machine that ends by itself leaves its own, and the next launch of the fleet gives it back.
    workspace.lose(&workspace.group("decode")[0].id);
    wait_until("it has ended", || held().contains(&None));
    workspace.apply(&config(1, own));
    assert_eq!(held().len(), 2, "{:?}", held());
    workspace.destroy();
    assert_eq!(aws(&workspace).datacentre().left(), Vec::<String>::new());
}

#[test]
fn a_machine_that_ends_by_itself_is_said_so_and_the_others_serve() {
    let workspace = Workspace::on_aws();
    let config = |more: &str| {
        let group = group("decode", &format!("replicas = 3\n  {more}"));
        format!("{}{}{group}", fleet(ZONED), service(""))
    };
    workspace.apply(&format!("{}{}", fleet(ZONED), service("")));
    for more in ["egress = \"public_ip\"", "", "wait_for = \"running\""] {
        let code = "Client.VolumeLimitExceeded";
        aws(&workspace).datacentre().end_after_pending("disagg:group", "decode", 1, code);
        let run = workspace.apply(&config(more));
        run.says(&["1 of the workers", "has ended by itself. The cloud says: ", code]);
        assert_eq!(workspace.group("decode").len(), 2, "{more}");
        let plan = workspace.terraform(&["plan", "-detailed-exitcode"]);
        assert_eq!(plan.code, Some(2), "{}", plan.stdout);
        workspace.apply(&config(more));
        assert_eq!(workspace.group("decode").len(), 3, "{more}");
        workspace.assert_no_changes();
        workspace.apply(&format!("{}{}", fleet(ZONED), service("")));
    }
    workspace.destroy();
}

#[test]
fn two_services_of_one_fleet_let_the_same_clients_in() {
    let workspace = Workspace::on_aws();
    let clients = "ingress_cidrs = [\"203.0.113.0/24\", \"198.51.100.0/24\"]";
    let first = service(clients);
    let second = service("ingress_cidrs = [\"203.0.113.0/24\"]")
        .replace("\"disagg_service\" \"tiny\"", "\"disagg_service\" \"second\"")
        .replace("= \"tiny\"", "= \"second\"");
    let open = || aws(&workspace).datacentre().open_ports("disagg-pd");
    let at = |cidr: &str| (8000, cidr.to_owned());
    workspace.apply(&format!("{}{first}{second}", fleet(ZONED)));
    workspace.assert_no_changes();
    assert!(open().contains(&at("198.51.100.0/24")), "{:?}", open());
    // The clients have moved over: the first one goes, and they stay.
    workspace.apply(&format!("{}{second}", fleet(ZONED)));
    workspace.assert_no_changes();
    assert!(open().contains(&at("203.0.113.0/24")), "{:?}", open());
    assert!(!open().contains(&at("198.51.100.0/24")), "{:?}", open());
    workspace.destroy();
}

#[test]
fn somebody_else_s_interface_in_the_fleet_is_named() {
    let workspace = Workspace::on_aws();
    workspace.apply(&fleet(ZONED));
    let stranger = aws(&workspace).datacentre().add_stranger("disagg-pd", "a load balancer");
    let run = workspace.terraform(&["destroy", "-auto-approve"]).failure();
    run.says(&["DependencyViolation", &stranger, "a load balancer", "Remove what uses it first"]);
    assert_eq!(workspace.resource("disagg_fleet.pd")["name"], "pd", "it is still managed");
}

#[test]
fn people_come_in_only_when_it_is_asked_for() {
    let workspace = Workspace::on_aws();
    aws(&workspace).datacentre().account_mut().key_pairs = vec!["ops".to_owned()];
    let config = |ssh: &str| {
        let fleet = fleet(&format!("{ZONED}\n  {ssh}"));
        format!("{fleet}{}{}", service(""), group("decode", "replicas = 1"))
    };
    let ssh = |key: &str, cidr: &str| {
        format!("ssh = {{ key_name = \"{key}\", ingress_cidrs = [\"{cidr}\"] }}")
    };
    workspace.apply_fails(&config(&ssh("nobody", "203.0.113.0/24"))).says(&[
        "InvalidKeyPair.NotFound",
        "ssh",
        "nobody",
    ]);
    let open = || aws(&workspace).datacentre().open_ports("disagg-pd");
    workspace.apply(&config(""));
    assert!(!open().iter().any(|(port, _)| *port == 22), "{:?}", open());
    let key_of = |index: usize| {
        let machine = workspace.group("decode").swap_remove(index);
        aws(&workspace).datacentre().key_pair(&machine.id)
    };
    assert_eq!(key_of(0), None);

    let before = workspace.machines();
    workspace.apply(&config(&ssh("ops", "203.0.113.0/24")));
    assert_eq!(workspace.machines(), before, "no machine is touched");
    workspace.assert_no_changes();
    assert!(open().contains(&(22, "203.0.113.0/24".to_owned())), "{:?}", open());
    workspace.lose(&before.iter().find(|machine| machine.group.is_some()).expect("one").id);
    workspace.apply(&config(&ssh("ops", "203.0.113.0/24")));
    assert_eq!(key_of(0).as_deref(), Some("ops"));

    // What somebody closes shows, and is opened again.
    aws(&workspace).datacentre().close_ports("disagg-pd");
    let plan = workspace.plan(&config(&ssh("ops", "203.0.113.0/24")));
    assert_eq!(plan.action("disagg_fleet.pd"), "update", "{}", plan.text);
    workspace.apply(&config(&ssh("ops", "203.0.113.0/24")));
    workspace.assert_no_changes();
    workspace.apply(&config(""));
    assert!(!open().iter().any(|(port, _)| *port == 22), "{:?}", open());
    workspace.assert_no_changes();
    // A rule that only looks like ours is somebody else's.
    aws(&workspace).datacentre().open_port("disagg-pd", 22, "0.0.0.0/0", "ssh");
    let plan = workspace.plan(&config(""));
    assert!(plan.text.contains("tcp port 22 from 0.0.0.0/0"), "{}", plan.text);
    workspace.apply(&config(""));
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
    aws(&workspace).datacentre().account_mut().subnets = subnets;
    let on = |role: &str, gpu: &str| {
        let engine = "engine = { type = \"sglang\", tensor_parallel = 8 }";
        let more = format!("replicas = 1\n  resources = {{ gpu = \"{gpu}\" }}");
        group(role, &more).replace("engine     = { type = \"mocker\" }", engine)
    };
    let endpoint = ENDPOINT.replace("  group_ids", "  timeouts = { create = \"1s\" }\n  group_ids");
    let (fleet, service) = (fleet("subnet = \"subnet-private\""), service(""));
    let config =
        [fleet, service, on("prefill", "A100-40GB:8"), on("decode", "H100:8"), endpoint].concat();
    // Without a call, where the fleet is asked for both.
    let both = "zone = \"us-east-2a\"\n  gpus = [\"A100-40GB:8\", \"H100:8\"]";
    workspace.write(&super::fleet(both));
    workspace.terraform(&["plan"]).success().says(&[
        "GPUs without a fabric in common",
        "EFA of the machines with H100:8 does not reach EFA of those with A100-40GB:8",
        "gpus = [\"A100-40GB:8\", \"H100:8\"]",
    ]);
    // Nobody answers a chat here.
    workspace.apply_fails(&config).says(&[
        "Prefill and decode have no fabric in common",
        "prefill on `p4d.24xlarge` and decode on `p5.48xlarge`",
    ]);
    workspace.destroy();
}
