//! How whoever watches reaches a router.

use super::listings::Listings;
use super::observed::Observations;
use crate::http::Http;
use cloud::{Deadline, FleetKey, InstanceId, Managed};
use std::net::IpAddr;
use std::sync::Arc;

/// A service's router, as its watchers need it.
#[derive(Clone, Debug)]
pub struct RouterAccess {
    /// Within the operation that watches: its end is that of every request to the router too.
    pub cloud: Arc<Managed>,
    pub http: Arc<dyn Http>,
    pub listings: Arc<Listings>,
    pub observations: Arc<Observations>,
    pub fleet: FleetKey,
    pub instance: InstanceId,
    pub ip: IpAddr,
    /// `http://address:port`.
    pub endpoint: String,
    /// The model it serves.
    pub model: String,
    /// It was started or rebooted just now: what it and its console say of the boot before is past.
    pub restarted: Option<Restarted>,
}

/// A machine that is to boot again.
#[derive(Clone, Debug)]
pub struct Restarted {
    /// The boot that its console told of last, if it had told of any.
    pub past_boot: Option<String>,
}

impl RouterAccess {
    /// The same for another frame.
    pub(crate) fn within(&self, deadline: &Deadline) -> Self {
        Self { cloud: Arc::new(self.cloud.within(deadline.clone())), ..self.clone() }
    }
}
