//! What the cloud is like: which one it stands for, what an account has there, and how long everything takes.

use cloud::{CloudName, Feature, Profile};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Never changed while the cloud is there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which cloud it stands for: what its machines can have, how it is polled, whether it lags behind.
    pub stands_for: CloudName,
    /// Its one region.
    pub region: String,
    /// The zones of the region.
    pub zones: Vec<String>,
    /// Subnets besides the default ones, and their zones.
    pub subnets: BTreeMap<String, String>,
    /// Types of machines that there are; empty is all.
    pub types: BTreeSet<String>,
    /// Identities that machines may use.
    pub identities: BTreeSet<String>,
    /// Reservations.
    pub reservations: BTreeSet<String>,
    /// Images, the newest of them last.
    pub images: Vec<String>,
    /// Keys of people.
    pub ssh_keys: BTreeSet<String>,
    /// From a launch or a start until the machine runs.
    pub starts: Duration,
    /// From the order until a machine is stopped, or gone.
    pub stops: Duration,
    /// From the moment when it runs until a router serves.
    pub serves: Duration,
    /// From the moment when it runs, and its router serves, until a worker has registered.
    pub registers: Duration,
    /// So long a machine needs to see that it is to drain.
    pub hears: Duration,
    /// So long a call is on its way to the cloud.
    pub latency: Duration,
    /// How far each of the cloud's servers is behind; they answer in turns. Empty is one that never is.
    pub lags: Vec<Duration>,
    /// How far consoles are behind.
    pub console_lag: Duration,
    /// So long it takes to find that there is no way to a machine.
    pub connects: Duration,
    /// Whether a token means its launch for good, also when the machines are gone.
    pub remembers_tokens: bool,
    /// Whether user data are held to the cloud's limit. Where that is a small one, it takes milliseconds a launch.
    pub checks_user_data: bool,
    /// Whether it tells why a machine has ended.
    pub tells_why: bool,
}

impl Settings {
    /// A small account in this cloud, as quick as it is polled.
    pub fn of(cloud: CloudName) -> Self {
        let profile = cloud.profile();
        let one = |name: &str| BTreeSet::from([name.to_owned()]);
        let zones = match profile.zones.only() {
            Some(zone) => vec![zone.to_owned()],
            None => vec!["zone-a".to_owned(), "zone-b".to_owned()],
        };
        let has = |feature| profile.features.contains(&feature);
        let subnets = has(Feature::Subnet).then(|| ("subnet-own".to_owned(), "zone-b".to_owned()));
        let moment = profile.polling.shortest * 2;
        Self {
            stands_for: cloud,
            region: profile.regions.only().unwrap_or("region-1").to_owned(),
            zones,
            subnets: subnets.into_iter().collect(),
            types: BTreeSet::new(),
            identities: one("identity-own"),
            reservations: one("reservation-own"),
            images: vec!["image-old".to_owned(), "image-new".to_owned()],
            ssh_keys: one("key-own"),
            starts: moment,
            stops: moment,
            serves: 2 * moment,
            registers: 4 * moment,
            hears: moment,
            latency: Duration::ZERO,
            lags: match profile.propagation.is_eventual() {
                true => vec![profile.propagation.usual, Duration::ZERO],
                false => Vec::new(),
            },
            console_lag: Duration::ZERO,
            connects: Duration::from_secs(2),
            remembers_tokens: profile.propagation.is_eventual(),
            checks_user_data: true,
            tells_why: profile.propagation.is_eventual(),
        }
    }

    pub(crate) fn profile(&self) -> &'static Profile {
        self.stands_for.profile()
    }

    pub(crate) fn has(&self, feature: Feature) -> bool {
        self.stands_for.has(feature)
    }

    /// Whether what is new may not be known.
    pub(crate) fn is_eventual(&self) -> bool {
        self.profile().propagation.is_eventual()
    }

    /// Greatest size of user data.
    pub(crate) fn user_data_bytes(&self) -> usize {
        if self.checks_user_data { self.profile().user_data_bytes } else { usize::MAX }
    }

    /// How far the server is behind that answers the call of this number.
    pub(crate) fn lag(&self, call: u64) -> Duration {
        let servers = self.lags.len() as u64;
        match call.checked_rem(servers) {
            Some(server) => self.lags[server as usize],
            None => Duration::ZERO,
        }
    }
}
