//! Requests for a small cloud.

pub(crate) use cloud::scripted::offer;
use cloud::{
    AddressRequest, BootDocument, BootFile, Cloud, CloudName, Egress, FleetKey, FleetRequest,
    LaunchRequest, PlacementStrategy, Purchase, Tags, tag,
};
use cloud_memory::{Memory, Settings};
use std::collections::BTreeSet;

/// A machine that prints this line.
pub(crate) fn document(line: &str) -> BootDocument {
    let issue = BootFile::private("/etc/issue", format!("{line}\n"));
    BootDocument { files: vec![issue], ..BootDocument::default() }
}

pub(crate) fn key() -> FleetKey {
    FleetKey { region: "region-1".to_owned(), name: "pd".to_owned() }
}

pub(crate) fn fleet() -> FleetRequest {
    FleetRequest {
        key: key(),
        zone: Some("zone-a".to_owned()),
        subnet: None,
        fabrics: BTreeSet::new(),
        placement: PlacementStrategy::Zone,
        tags: key().lasting_tags(),
    }
}

pub(crate) fn address(token: &str) -> AddressRequest {
    AddressRequest { fleet: key(), public: None, token: token.to_owned(), tags: Tags::new() }
}

pub(crate) fn launch(token: &str, count: u32) -> LaunchRequest {
    LaunchRequest {
        fleet: key(),
        offer: offer("small"),
        count,
        disk_gb: 10,
        image: None,
        purchase: Purchase::OnDemand,
        placed: false,
        egress: Egress::default(),
        address: None,
        document: document("hello"),
        identity: None,
        token: token.to_owned(),
        tags: Tags::from([(tag::LAUNCH, token.to_owned())]),
    }
}

/// One that stands for EC2, and in which nothing lags behind but by a test's own wish.
pub(crate) async fn cloud(change: impl FnOnce(&mut Settings)) -> Memory {
    let mut settings = Settings { lags: Vec::new(), ..Settings::of(CloudName::Aws) };
    change(&mut settings);
    let cloud = Memory::new(settings);
    cloud.another_process().create_fleet(&fleet()).await.expect("a fleet");
    cloud
}
