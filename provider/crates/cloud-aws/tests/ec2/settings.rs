//! What a fleet and its machines may be made with, and what somebody changes about them later.

use crate::harness::{Place, ZONE, connect, key, offer, request, tags};
use cloud::{
    AddressRequest, Cloud, CloudError, Egress, ErrorKind, FleetKey, FleetRequest, Interconnect,
    LabelFilter, PlacementStrategy, Purchase, RequestPart, SiteFilter,
};
use cloudsim::datacentre::WayOut;
use cloudsim::ec2::{Account, Reservation, Settings, Subnet};
use std::collections::BTreeSet;

/// A subnet for each way out, by its name.
fn subnets() -> Account {
    let ways = [
        ("subnet-nat", WayOut::Nat),
        ("subnet-endpoints", WayOut::Endpoints),
        ("subnet-closed", WayOut::None),
        ("subnet-gateway", WayOut::Gateway),
    ];
    let subnet =
        |zone: &str, way_out| Subnet { zone: zone.to_owned(), vpc: "vpc-own".to_owned(), way_out };
    let mut account = Account::default();
    account.subnets.extend(ways.map(|(name, way_out)| (name.to_owned(), subnet(ZONE, way_out))));
    account.subnets.insert("subnet-elsewhere".to_owned(), subnet("us-east-2b", WayOut::Nat));
    account
}

fn fleet_in(subnet: &str) -> FleetRequest {
    FleetRequest {
        key: key(),
        zone: Some(ZONE.to_owned()),
        fabrics: BTreeSet::new(),
        subnet: Some(subnet.to_owned()),
        placement: PlacementStrategy::Cluster,
        tags: tags("fleet"),
    }
}

fn at_fault(error: &CloudError) -> (ErrorKind, Option<&str>, Option<RequestPart>) {
    (error.kind, error.code.as_deref(), error.part)
}

pub(crate) async fn a_fleet_is_in_the_subnet_that_is_asked_for() {
    let place = Place::empty(subnets().into()).await;
    for (subnet, code) in [
        ("subnet-none", "InvalidSubnetID.NotFound"),
        ("subnet-elsewhere", "InvalidSubnet.Conflict"),
    ] {
        let error = place.cloud.create_fleet(&fleet_in(subnet)).await.expect_err("no such subnet");
        let expected = (ErrorKind::InvalidRequest, Some(code), Some(RequestPart::Subnet));
        assert_eq!(at_fault(&error), expected, "{error}");
    }
    assert_eq!(place.server.datacentre().left(), Vec::<String>::new());
    let fleet = place.cloud.create_fleet(&fleet_in("subnet-nat")).await.expect("a fleet");
    assert_eq!(fleet.subnet.as_deref(), Some("subnet-nat"));
    let elsewhere =
        SiteFilter { subnet: Some("subnet-elsewhere".to_owned()), ..SiteFilter::default() };
    let sites = place.cloud.find_sites("us-east-2", &elsewhere).await.expect("a site");
    let zones: Vec<_> = sites.iter().map(|site| site.zone.as_deref()).collect();
    assert_eq!(zones, [Some("us-east-2b")]);
    // Behind NAT a router has no public address, unless it is wished for.
    assert_eq!(place.reserve().await.public_ip, None);
}

/// A machine that can install nothing is not bought.
pub(crate) async fn a_way_out_is_looked_for_before_a_launch() {
    for (subnet, with_efa, is_launched) in [
        ("subnet-nat", true, true),
        ("subnet-endpoints", true, true),
        ("subnet-gateway", false, true),
        ("subnet-gateway", true, false),
        ("subnet-closed", false, false),
    ] {
        let account = Account { images: vec!["ami-baked".to_owned()], ..subnets() };
        let place = Place::empty(account.into()).await;
        place.cloud.create_fleet(&fleet_in(subnet)).await.expect("a fleet");
        let interconnect = if with_efa { Interconnect::Efa } else { Interconnect::Tcp };
        let kind = if with_efa { "p5.48xlarge" } else { "g6.xlarge" };
        let mut wanted = request(kind, 1, "t");
        wanted.offer = offer(kind, interconnect);
        match place.cloud.launch(&wanted).await {
            Ok(_) => assert!(is_launched, "{subnet}"),
            Err(error) => {
                assert!(!is_launched, "{subnet}: {error}");
                assert_eq!(error.part, Some(RequestPart::Egress));
                assert!(error.message.contains(subnet), "{error}");
            }
        }
        // With everything on its image it needs none.
        wanted.image = Some("ami-baked".to_owned());
        wanted.token = "baked".to_owned();
        let baked = place.cloud.launch(&wanted).await.expect("a machine").remove(0);
        assert_eq!(baked.image.as_deref(), Some("ami-baked"));
    }
}

pub(crate) async fn images_markets_and_reservations_are_said_to_be_wrong_by_name() {
    let block = |machines| Reservation {
        zone: ZONE.to_owned(),
        instance_type: "p5.48xlarge".to_owned(),
        machines,
        block: true,
    };
    let mut account = subnets();
    account.reservations.insert("cr-block".to_owned(), block(1));
    let place = Place::empty(account.into()).await;
    let zoned = FleetRequest { placement: PlacementStrategy::Zone, ..fleet_in("subnet-nat") };
    place.cloud.create_fleet(&zoned).await.expect("a fleet");
    let mut image = request("g6.xlarge", 1, "image");
    image.image = Some("ami-none".to_owned());
    let mut unknown = request("p5.48xlarge", 1, "unknown");
    let reserved = |id: &str, prepaid| Purchase::Reserved { id: id.to_owned(), prepaid };
    unknown.purchase = reserved("cr-none", false);
    let mut other_market = request("p5.48xlarge", 1, "market");
    other_market.purchase = reserved("cr-block", false);
    let mut full = request("p5.48xlarge", 2, "full");
    full.purchase = reserved("cr-block", true);
    for (request, kind, part) in [
        (&image, ErrorKind::InvalidRequest, Some(RequestPart::Image)),
        (&unknown, ErrorKind::InvalidRequest, Some(RequestPart::Reservation)),
        (&other_market, ErrorKind::InvalidRequest, Some(RequestPart::Reservation)),
        (&full, ErrorKind::InsufficientCapacity, None),
    ] {
        let error = place.cloud.launch(request).await.expect_err("it is refused");
        assert_eq!((error.kind, error.part), (kind, part), "{error}");
    }
    let mut fits = full.clone();
    (fits.count, fits.token) = (1, "fits".to_owned());
    place.cloud.launch(&fits).await.expect("a machine of the block");
    let mut spot = request("g6.xlarge", 1, "spot");
    spot.purchase = Purchase::Spot;
    place.cloud.launch(&spot).await.expect("a spot machine");

    // What is reserved is where it is.
    let clustered = Place::in_subnet(subnets().into(), "subnet-nat").await;
    let error = clustered.cloud.launch(&fits).await.expect_err("a placement group and a block");
    assert_eq!(error.part, Some(RequestPart::Reservation));
    assert!(error.message.contains("placement = \"zone\""), "{error}");
}

/// A new one takes some seconds to be known everywhere.
pub(crate) async fn an_instance_profile_that_comes_late_is_waited_for() {
    let place = Place::new(Settings::default()).await;
    let mut wanted = request("g6.xlarge", 1, "t");
    wanted.identity = Some("inference".to_owned());
    let comes = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        place.server.datacentre().account_mut().profiles.push("inference".to_owned());
    };
    let (launched, ()) = tokio::join!(place.cloud.launch(&wanted), comes);
    assert_eq!(launched.expect("a machine").len(), 1);
    assert!(place.server.datacentre().calls()["RunInstances"] > 1);
}

/// To wait is for whoever calls.
pub(crate) async fn an_instance_profile_that_is_not_known_is_told_at_once_and_costs_nothing() {
    let place = Place::new(Settings::default()).await;
    let cloud = connect(&place.server);
    let mut wanted = request("g6.xlarge", 1, "t");
    (wanted.identity, wanted.egress) = (Some("nobody".to_owned()), Egress::PublicIp);
    for error in [
        cloud.launch(&wanted).await.expect_err("there is no such profile"),
        cloud.check_launch(&wanted).await.expect_err("there is no such profile"),
    ] {
        let expected =
            (ErrorKind::NotVisibleYet, Some("InvalidParameterValue"), Some(RequestPart::Identity));
        assert_eq!(at_fault(&error), expected, "{error}");
        assert!(error.message.contains("nobody"), "{error}");
    }
    assert_eq!(place.server.datacentre().calls()["RunInstances"], 2);
    assert_eq!(place.server.datacentre().elastic_ips(), []);
}

pub(crate) async fn what_somebody_changes_about_a_machine_is_found_and_put_back() {
    let place = Place::new(Settings::default()).await;
    let launched = place.cloud.launch(&request("g6.xlarge", 1, "t")).await.expect("a machine");
    let id = launched[0].id.clone();
    let findings = async || {
        let listed = place.cloud.list_instances(&key(), &LabelFilter::all()).await.expect("one");
        listed.into_iter().next().expect("one").findings
    };
    assert_eq!(findings().await, []);
    {
        let mut datacentre = place.server.datacentre();
        datacentre.set_metadata_tokens(&id.0, "optional");
        datacentre.move_to_default_group(&id.0);
    }
    let found = findings().await;
    let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
    assert!(texts[0].contains("answers without a token"), "{texts:?}");
    assert!(texts[1].contains("has the security groups"), "{texts:?}");
    assert!(found.iter().all(|finding| finding.repairable));
    place.cloud.repair_instance(&key(), &id).await.expect("it is put back");
    assert_eq!(findings().await, []);

    place.server.datacentre().set_type(&id.0, "g6.12xlarge");
    let found = findings().await;
    assert_eq!(found[0].text, "its type is `g6.12xlarge`, and it was launched as another");
    assert!(!found[0].repairable);
}

pub(crate) async fn a_router_gets_and_loses_its_public_address() {
    let place = Place::new(Settings::default()).await;
    let fleet = FleetKey { ..key() };
    let wish = |public| AddressRequest {
        fleet: fleet.clone(),
        public,
        token: "router".to_owned(),
        tags: tags("router"),
    };
    let reserve = async |public| place.cloud.reserve_address(&wish(public)).await.expect("one");
    let first = reserve(Some(false)).await;
    assert_eq!(first.public_ip, None);
    let public = reserve(Some(true)).await;
    assert!(public.public_ip.is_some());
    assert_eq!(reserve(None).await, public, "the subnet leads to the internet");
    let private = reserve(Some(false)).await;
    assert_eq!((private.public_ip, private.ip), (None, first.ip));
    let left = place.server.datacentre().left();
    assert!(left.iter().all(|object| !object.starts_with("address")), "{left:?}");
}
