//! Rules of the security group: whose they are, and what becomes of those that are unowned.

use crate::harness::{Place, key};
use cloud::{Cloud, Ingress, Opening};
use cloudsim::ec2::Settings;

fn rule(service: &str, port: u16, cidrs: &[&str]) -> Ingress {
    let cidrs = cidrs.iter().map(|cidr| (*cidr).to_owned()).collect();
    Ingress { service: service.to_owned(), opening: Opening { port, cidrs } }
}

/// EC2 knows a rule by its port and its block alone.
pub(crate) async fn services_that_let_the_same_clients_in_share_a_rule() {
    let place = Place::new(Settings::default()).await;
    let (office, home, six) = ("203.0.113.0/24", "198.51.100.0/24", "2001:db8::/32");
    let rules = async || {
        let fleet = place.cloud.get_fleet(&key()).await.expect("an answer").expect("a fleet");
        assert_eq!(fleet.findings.len(), 0, "{:?}", fleet.findings);
        fleet.ingress
    };
    let set = async |rule: &Ingress| {
        let opening = Some(&rule.opening);
        place.cloud.set_ingress(&key(), &rule.service, opening).await.expect("it is set");
    };
    let one = rule("one_aaaaaaaa", 8000, &[home, six, office]);
    let two = rule("two_bbbbbbbb", 8000, &[office, "192.0.2.0/24"]);
    set(&one).await;
    set(&two).await;
    let sorted = |rule: &Ingress| {
        let mut rule = rule.clone();
        rule.opening.cidrs.sort();
        rule
    };
    let now = async || rules().await.iter().map(sorted).collect::<Vec<_>>();
    assert_eq!(now().await, [sorted(&one), sorted(&two)]);

    // What the one no longer lets in, the other still does.
    let less = rule("one_aaaaaaaa", 8000, &[home]);
    set(&less).await;
    assert_eq!(now().await, [less.clone(), sorted(&two)]);
    place.cloud.set_ingress(&key(), &two.service, None).await.expect("it is closed");
    assert_eq!(now().await, [less]);

    // One that somebody has opened becomes a service's when it asks for it.
    place.server.datacentre().open_port("disagg-pd", 9000, office, "for a while");
    let third = rule("three_cccccccc", 9000, &[office]);
    set(&third).await;
    assert_eq!(now().await.len(), 2);
    assert_eq!(now().await[1], third);
}

pub(crate) async fn what_somebody_opens_is_found_and_closed() {
    let place = Place::new(Settings::default()).await;
    let own = rule("tiny_abcd1234", 8000, &["203.0.113.0/24"]);
    let opening = Some(&own.opening);
    place.cloud.set_ingress(&key(), &own.service, opening).await.expect("it is open");
    for (port, description) in [(22, "just for a minute"), (23, "ticket 7, bob@corp.com"), (24, "")]
    {
        place.server.datacentre().open_port("disagg-pd", port, "0.0.0.0/0", description);
        let fleet = place.cloud.get_fleet(&key()).await.expect("an answer").expect("a fleet");
        let findings: Vec<&String> = fleet.findings.keys().collect();
        let expected = format!("tcp port {port} from 0.0.0.0/0");
        assert!(findings[0].ends_with(&expected), "{findings:?}");
        let repaired = place.cloud.repair_fleet(&key()).await.expect("it is closed");
        assert_eq!((repaired.findings.len(), repaired.ingress), (0, vec![own.clone()]));
    }
}
