//! What a service remembers beside its state, in private data: is its router live, and who hangs
//! on it. A plan is pure and makes no call, so Read leaves it the last look.

use domain::guard::LiveRouter;
use plugin::{Private, State};
use schemas::Service;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

const KEY: &str = "router";

/// The last look at the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RouterRecord {
    /// It exists and was once healthy: from then on workers may hold connections to it. None while
    /// nobody has looked: its creation did not wait for it.
    pub(super) live: Option<bool>,
    /// Its reserved address.
    pub(super) address: IpAddr,
    /// Worker machines of the service.
    pub(super) workers: u32,
    /// Clients reach it elsewhere than its `endpoint` said.
    pub(super) moved: bool,
}

impl RouterRecord {
    pub(super) fn load(private: &Private) -> Option<Self> {
        serde_json::from_value(private.get(KEY)?.clone()).ok()
    }

    pub(super) fn store(&self, private: &mut Private) {
        let value = serde_json::to_value(self).expect("a record is plain data");
        private.set(KEY, value);
    }

    /// What the guard asks, if it has to be asked. A router of which nobody knows may be live.
    pub(super) fn live_router(&self, service: &str) -> Option<LiveRouter> {
        (self.live != Some(false)).then(|| LiveRouter {
            service: service.to_owned(),
            address: self.address,
            workers: Some(self.workers),
        })
    }
}

/// Leaves it for the next plan.
pub(super) fn remember(state: &mut State<Service>, record: &RouterRecord) {
    record.store(state.private_mut());
}
