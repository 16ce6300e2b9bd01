//! What goes wrong in a datacentre, and what it must not lead to.

use crate::harness::{Place, ZONE, key, offer, request};
use cloud::{Cloud, ErrorKind, Interconnect, LabelFilter, launch_over_offers};
use cloudsim::Fault;
use cloudsim::datacentre::{self, Effect, WayOut, Zone};
use cloudsim::ec2::{Account, Settings, Subnet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn fault(operation: &str, effect: Effect) -> Fault {
    Fault { operation: operation.to_owned(), effect, times: 1 }
}

/// The machines exist and nobody was told: the repeat has to find them.
pub(crate) async fn a_lost_answer_launches_once() {
    let place = Place::new(Settings::default()).await;
    place.server.datacentre().add_fault(fault("RunInstances", Effect::CutAfter));
    let launched = place.cloud.launch(&request("g6.xlarge", 4, "t")).await.expect("machines");
    assert_eq!(launched.len(), 4);
    assert_eq!(place.server.datacentre().living().len(), 4);

    place.server.datacentre().add_fault(fault("CreateNetworkInterface", Effect::CutAfter));
    place.server.datacentre().add_fault(fault("AllocateAddress", Effect::CutAfter));
    let address = place.reserve().await;
    assert!(address.public_ip.is_some());
    let left = place.server.datacentre().left();
    let count = |what: &str| left.iter().filter(|found| found.starts_with(what)).count();
    // Four machines have one interface each.
    assert_eq!((count("interface"), count("address")), (5, 1), "{left:?}");
}

pub(crate) async fn capacity_in_another_type_is_taken() {
    let place = Place::new(Settings::default()).await;
    place.server.datacentre().limit(ZONE, "p5.48xlarge", Some(1));
    let offers =
        [offer("p5.48xlarge", Interconnect::Tcp), offer("p5en.48xlarge", Interconnect::Tcp)];
    let request = request("p5.48xlarge", 2, "t");
    let launched = launch_over_offers(&place.cloud, &offers, &request).await.expect("machines");
    assert!(launched.iter().all(|machine| machine.instance_type == "p5en.48xlarge"));
    assert_eq!(place.server.datacentre().living().len(), 2);
}

pub(crate) async fn what_is_refused_is_said_in_ec2_s_words() {
    let few = datacentre::Settings { most_machines: Some(2), ..datacentre::Settings::default() };
    let place = Place::new(few.into()).await;
    let without = vec!["g6.12xlarge".to_owned()];
    let zone = Zone { without, ..Zone::default() };
    place.server.datacentre().settings_mut().zones.insert(ZONE.to_owned(), zone);
    for (request, kind, code) in [
        (request("g6.xlarge", 3, "quota"), ErrorKind::QuotaExceeded, "VcpuLimitExceeded"),
        (request("g6.12xlarge", 1, "zone"), ErrorKind::Unsupported, "Unsupported"),
        (request("c1.medium", 1, "type"), ErrorKind::Unsupported, "InvalidInstanceType"),
        (
            request("t3.medium", 1, "cluster"),
            ErrorKind::InvalidRequest,
            "InvalidParameterCombination",
        ),
    ] {
        let error = place.cloud.launch(&request).await.expect_err("it is refused");
        assert_eq!((error.kind, error.code.as_deref()), (kind, Some(code)), "{error}");
        let checked = place.cloud.check_launch(&request).await;
        // A dry run knows no quota.
        assert_eq!(checked.is_err(), kind != ErrorKind::QuotaExceeded, "{error}");
    }
    assert_eq!(place.server.datacentre().living().len(), 0);
}

pub(crate) async fn throttling_passes() {
    let place = Place::new(Settings::default()).await;
    let throttled = Effect::Refuse { status: 503, code: "RequestLimitExceeded".to_owned() };
    let fault = Fault { times: 2, ..fault("RunInstances", throttled) };
    place.server.datacentre().add_fault(fault);
    place.cloud.launch(&request("g6.xlarge", 1, "t")).await.expect("the third time");
    assert_eq!(place.server.datacentre().living().len(), 1);
}

pub(crate) async fn a_stranger_in_the_security_group_is_named() {
    let place = Place::new(Settings::default()).await;
    let stranger = place.server.datacentre().add_stranger("disagg-pd", "a load balancer");
    let error = place.cloud.delete_fleet(&key()).await.expect_err("it is in use");
    assert_eq!(error.kind, ErrorKind::InUse);
    assert!(error.message.contains(&stranger), "{error}");
    assert!(error.message.contains("a load balancer"), "{error}");
}

pub(crate) async fn a_thousand_and_one_machines_are_two_calls() {
    let place = Place::new(Settings::default()).await;
    for (count, token) in [(1000, "a"), (1, "b")] {
        place.cloud.launch(&request("g6.xlarge", count, token)).await.expect("machines");
        let before = place.server.datacentre().calls().clone();
        let all = LabelFilter::all();
        place.cloud.get_fleet(&key()).await.expect("an answer").expect("a fleet");
        place.cloud.list_addresses(&key(), &all).await.expect("addresses");
        let listed = place.cloud.list_instances(&key(), &all).await.expect("machines");
        let calls = place.new_calls(&before);
        assert_eq!(calls["DescribeInstances"], (listed.len() as u64).div_ceil(1000), "{calls:?}");
        let constant = calls.values().sum::<u64>() - calls["DescribeInstances"];
        assert_eq!(constant, 2, "{calls:?}");
    }
}

pub(crate) async fn cards_get_their_interfaces() {
    let nat = Subnet { zone: ZONE.to_owned(), vpc: "vpc-own".to_owned(), way_out: WayOut::Nat };
    let subnets = [("subnet-nat".to_owned(), nat)].into();
    let account = Account { subnets, ..Account::default() };
    let place = Place::in_subnet(account.into(), "subnet-nat").await;
    let mut with_efa = request("p5.48xlarge", 1, "t");
    with_efa.offer = offer("p5.48xlarge", Interconnect::Efa);
    place.cloud.launch(&with_efa).await.expect("a machine");
    let kinds = place.server.datacentre().interface_kinds();
    assert_eq!(kinds.iter().filter(|kind| *kind == "efa-only").count(), 32);
    assert_eq!(kinds.len(), 33);
    // They go with the machine, and the fleet can go.
    let machines = place.cloud.list_instances(&key(), &LabelFilter::all()).await.expect("one");
    let ids: Vec<_> = machines.into_iter().map(|machine| machine.id).collect();
    place.cloud.terminate_instances(&key(), &ids).await.expect("it goes");
    place.cloud.delete_fleet(&key()).await.expect("it goes");
    assert_eq!(place.server.datacentre().left(), Vec::<String>::new());
}

pub(crate) async fn a_public_router_keeps_its_addresses() {
    let place = Place::new(Settings::default()).await;
    let address = place.reserve().await;
    for token in ["first", "second"] {
        let mut router = request("m7i.large", 1, token);
        router.address = Some(address.id.clone());
        let launched = place.cloud.launch(&router).await.expect("a router").remove(0);
        assert_eq!(launched.ip, Some(address.ip));
        place.cloud.terminate_instances(&key(), &[launched.id]).await.expect("it goes");
    }
    let listed = place.cloud.list_addresses(&key(), &LabelFilter::all()).await.expect("one");
    assert_eq!(listed, std::slice::from_ref(&address));
    place.cloud.release_address(&key(), &address.id).await.expect("it goes");
    place.cloud.delete_fleet(&key()).await.expect("it goes");
    assert_eq!(place.server.datacentre().left(), Vec::<String>::new());
}

pub(crate) async fn why_a_machine_has_ended_is_said_in_ec2_s_words() {
    let place = Place::new(Settings::default()).await;
    let code = "Client.VolumeLimitExceeded";
    place.server.datacentre().end_after_pending("disagg:group", "decode", 1, code);
    let launched = place.cloud.launch(&request("g6.xlarge", 2, "t")).await.expect("machines");
    let ids: Vec<_> = launched.into_iter().map(|launched| launched.id).collect();
    let reasons = place.cloud.why_ended(&key(), &ids).await.expect("an answer");
    let reasons: Vec<&String> = reasons.values().collect();
    assert!(matches!(reasons[..], [reason] if reason.contains(code)), "{reasons:?}");
}

/// What is old is told by EC2's clock, wherever this computer's stands.
pub(crate) async fn time_is_told_by_the_answers() {
    let place = Place::new(Settings::default()).await;
    let three_hours = Duration::from_secs(3 * 60 * 60);
    place.server.datacentre().set_ahead(three_hours);
    let launched = place.cloud.launch(&request("g6.xlarge", 1, "t")).await.expect("a machine");
    let here = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let ahead = place.cloud.now().checked_sub(here).expect("it is ahead");
    assert!(ahead.abs_diff(three_hours.as_secs()) < 60, "{ahead}");
    assert!(place.cloud.now().abs_diff(launched[0].launched_at) < 60);
}
