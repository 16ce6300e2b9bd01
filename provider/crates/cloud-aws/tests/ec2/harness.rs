//! A datacentre, a cloud that works in it, and a fleet.

use cloud::{
    Address, AddressRequest, BootDocument, Cloud, FleetKey, FleetRequest, Interconnect,
    LaunchRequest, Managed, Offer, Phase, PlacementStrategy, Purchase, Tags, tag,
};
use cloud_aws::{AwsCloud, AwsConfig};
use cloudsim::Server;
use cloudsim::ec2::{Region, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

pub(crate) const REGION: &str = "us-east-2";
pub(crate) const ZONE: &str = "us-east-2a";

/// A datacentre with a fleet in it.
pub(crate) struct Place {
    pub(crate) server: Server<Region>,
    pub(crate) cloud: Managed,
}

impl Place {
    pub(crate) async fn new(settings: Settings) -> Self {
        Self::empty(settings).await.with_fleet(None).await
    }

    /// The same in a subnet of the user's own.
    pub(crate) async fn in_subnet(settings: Settings, subnet: &str) -> Self {
        Self::empty(settings).await.with_fleet(Some(subnet.to_owned())).await
    }

    /// A datacentre without one.
    pub(crate) async fn empty(settings: Settings) -> Self {
        let server = serve(settings).await;
        let cloud = Managed::new(connect(&server));
        Self { server, cloud }
    }

    async fn with_fleet(self, subnet: Option<String>) -> Self {
        let request = FleetRequest {
            key: key(),
            zone: Some(ZONE.to_owned()),
            fabrics: BTreeSet::new(),
            subnet,
            placement: PlacementStrategy::Cluster,
            tags: tags("fleet"),
        };
        self.cloud.create_fleet(&request).await.expect("a fleet");
        self
    }

    pub(crate) async fn reserve(&self) -> Address {
        let token = "router".to_owned();
        let request = AddressRequest { fleet: key(), public: None, token, tags: tags("router") };
        self.cloud.reserve_address(&request).await.expect("an address")
    }

    /// How often each operation was called since the last time.
    pub(crate) fn new_calls(&self, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
        let now = self.server.datacentre().calls().clone();
        let new = now.into_iter().map(|(name, count)| {
            let earlier = before.get(&name).copied().unwrap_or_default();
            (name, count - earlier)
        });
        new.filter(|(_, count)| *count > 0).collect()
    }
}

/// A datacentre that writes down its calls.
pub(crate) async fn serve(settings: Settings) -> Server<Region> {
    let mut region = Region::new(settings);
    region.record(Path::new(JOURNAL)).expect("a journal");
    Server::start(region, 0).await.expect("a server")
}

/// Holds every call of these tests against the vendor's own description of the API.
pub(crate) fn judge() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../..");
    let judge = Command::new(format!("{root}/.make/judge")).arg(JOURNAL).output();
    let judged = judge.expect("bash is there");
    let (found, said) = (judged.stdout, judged.stderr);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(judged.status.success(), "{}{}", text(&found), text(&said));
}

/// Every call of this process.
pub(crate) const JOURNAL: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/ec2.jsonl");

pub(crate) fn connect(server: &Server<Region>) -> AwsCloud {
    let endpoint_url = Some(server.endpoint());
    AwsCloud::new(AwsConfig { endpoint_url, profile: None, assume_role: None })
}

pub(crate) fn key() -> FleetKey {
    FleetKey { region: REGION.to_owned(), name: "pd".to_owned() }
}

pub(crate) fn offer(instance_type: &str, interconnect: Interconnect) -> Offer {
    Offer {
        instance_type: instance_type.to_owned(),
        gpu: None,
        gpu_count: 0,
        cpu: 2,
        memory_gb: 8,
        simulated: false,
        interconnect,
        fabric: None,
        hourly_cost: 0.1,
        priced_on: "2026-07-20".to_owned(),
    }
}

pub(crate) fn request(instance_type: &str, count: u32, token: &str) -> LaunchRequest {
    let mut tags = tags("decode");
    tags.insert(tag::LAUNCH, token.to_owned());
    LaunchRequest {
        fleet: key(),
        offer: offer(instance_type, Interconnect::Tcp),
        count,
        disk_gb: 50,
        image: None,
        purchase: Purchase::OnDemand,
        placed: true,
        egress: cloud::Egress::default(),
        address: None,
        document: document(),
        identity: None,
        token: token.to_owned(),
        tags,
    }
}

/// What simulated machines boot from, which run none of it.
pub(crate) fn document() -> BootDocument {
    BootDocument { spec: "{}".to_owned(), ..BootDocument::default() }
}

pub(crate) fn tags(group: &str) -> Tags {
    let pairs = [
        (tag::MANAGED_BY, tag::MANAGED_BY_US),
        (tag::FLEET, "pd"),
        (tag::GROUP, group),
        (tag::PHASE, Phase::Creating.as_str()),
    ];
    pairs.map(|(label, value)| (label, value.to_owned())).into()
}
