//! Elastic IPs of routers and workers: one each, given back, and nobody else's.

use crate::harness::{Place, connect, key, request};
use cloud::{Cloud, Egress, InstanceId, LabelFilter, LaunchRequest};
use cloudsim::datacentre::{Effect, Fault};
use cloudsim::ec2::{Account, Settings};

fn settings() -> Settings {
    Account { most_addresses: Some(4), ..Account::default() }.into()
}

fn with_elastic_ips(count: u32, token: &str) -> LaunchRequest {
    LaunchRequest { egress: Egress::PublicIp, ..request("g6.xlarge", count, token) }
}

/// Launches, and gives each machine its own.
async fn launch(place: &Place, count: u32, token: &str) -> Vec<InstanceId> {
    let launched = place.cloud.launch(&with_elastic_ips(count, token)).await.expect("machines");
    let ids: Vec<InstanceId> = launched.into_iter().map(|launched| launched.id).collect();
    for id in &ids {
        place.cloud.repair_instance(&key(), id).await.expect("it has one");
    }
    ids
}

pub(crate) async fn a_lost_answer_or_a_late_list_takes_none_twice() {
    for (operation, known_after) in
        [("AllocateAddress", 0.0), ("AssociateAddress", 0.0), ("RunInstances", 0.0), ("", 0.6)]
    {
        let mut lags = settings();
        lags.datacentre.known_after_seconds = known_after;
        lags.account.changes_known_after_seconds = known_after;
        let place = Place::new(lags).await;
        let lost = Fault { operation: operation.to_owned(), effect: Effect::CutAfter, times: 1 };
        place.server.datacentre().add_fault(lost);
        let mut ids = launch(&place, 2, "t").await;
        // Whoever asks again finds that all is there.
        for id in &ids {
            place.cloud.repair_instance(&key(), id).await.expect("it has one");
        }
        let mut on: Vec<Option<String>> = place.server.datacentre().elastic_ips();
        on.retain(Option::is_some);
        on.sort();
        ids.sort();
        let expected: Vec<Option<String>> = ids.iter().map(|id| Some(id.0.clone())).collect();
        assert_eq!(on, expected, "{operation}");
        place.cloud.terminate_instances(&key(), &ids).await.expect("they go");
        wait_for_the_end(&place).await;
        place.cloud.delete_fleet(&key()).await.expect("it goes");
        assert_eq!(place.server.datacentre().left(), Vec::<String>::new(), "{operation}");
    }
}

async fn wait_for_the_end(place: &Place) {
    while !place.server.datacentre().living().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

pub(crate) async fn two_groups_at_once_take_their_own() {
    let place = Place::new(settings()).await;
    let (one, two) = tokio::join!(launch(&place, 2, "one"), launch(&place, 2, "two"));
    let mut on = place.server.datacentre().elastic_ips();
    on.sort();
    let mut ids: Vec<Option<String>> =
        one.iter().chain(&two).map(|id| Some(id.0.clone())).collect();
    ids.sort();
    assert_eq!(on, ids);
    // What the removal of the one gives back is not the other's.
    place.cloud.terminate_instances(&key(), &one).await.expect("they go");
    let mut left = place.server.datacentre().elastic_ips();
    left.sort();
    let mut of_two: Vec<Option<String>> = two.iter().map(|id| Some(id.0.clone())).collect();
    of_two.sort();
    assert_eq!(left, of_two);
}

/// Whoever launched them: a process that ends machines may know of them by their tags alone.
pub(crate) async fn a_fleet_without_any_is_not_asked_for_them() {
    let place = Place::new(settings()).await;
    let other = connect(&place.server);
    // So it knows the fleet as it is now.
    let all = LabelFilter::all();
    assert_eq!(other.list_instances(&key(), &all).await.expect("none"), []);
    let asked = || place.server.datacentre().calls().get("DescribeAddresses").copied().unwrap_or(0);

    let plain = request("g6.xlarge", 1, "plain");
    let plain = place.cloud.launch(&plain).await.expect("a machine").remove(0).id;
    place.cloud.terminate_instances(&key(), &[plain]).await.expect("it goes");
    assert_eq!(asked(), 0);

    launch(&place, 1, "t").await;
    let listed = other.list_instances(&key(), &all).await.expect("machines");
    let ids: Vec<InstanceId> = listed.into_iter().map(|machine| machine.id).collect();
    other.terminate_instances(&key(), &ids).await.expect("they go");
    assert_eq!(place.server.datacentre().elastic_ips(), []);
    // One that has never seen such a machine reads it from the fleet.
    let before = asked();
    connect(&place.server).terminate_instances(&key(), &ids).await.expect("they are gone");
    assert_eq!(asked(), before + 1);
}

pub(crate) async fn an_address_of_the_user_s_own_stays_the_account_s() {
    let place = Place::new(settings()).await;
    let worker = launch(&place, 1, "t").await.remove(0);
    let address = place.reserve().await;
    let mut router = request("m7i.large", 1, "router");
    router.address = Some(address.id.clone());
    let router = place.cloud.launch(&router).await.expect("a router").remove(0).id;
    let own: Vec<String> = [&worker, &router]
        .iter()
        .map(|machine| place.server.datacentre().attach_foreign_address(&machine.0))
        .collect();
    let machines = place.cloud.list_instances(&key(), &LabelFilter::all()).await.expect("two");
    assert!(machines.iter().all(|machine| machine.findings.is_empty()), "{machines:?}");
    place.cloud.terminate_instances(&key(), &[worker, router]).await.expect("they go");
    wait_for_the_end(&place).await;
    place.cloud.release_address(&key(), &address.id).await.expect("it goes");
    place.cloud.delete_fleet(&key()).await.expect("it goes");
    let datacentre = place.server.datacentre();
    assert!(own.iter().all(|own| datacentre.has_address(own)), "{:?}", datacentre.left());
    assert_eq!(datacentre.left().len(), own.len(), "{:?}", datacentre.left());
}
