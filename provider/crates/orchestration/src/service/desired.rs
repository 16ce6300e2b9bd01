//! What a service is to be, and what there is of it.

use super::wait::WaitFor;
use cloud::{Address, Instance};
use domain::id::ServiceId;
use domain::spec::RouterSpec;

/// What a service is to be.
#[derive(Clone, Debug)]
pub struct DesiredService {
    /// What its router is made from. The uid counts for nothing while it is being created.
    pub spec: RouterSpec,
    /// How it is handled.
    pub policy: ServicePolicy,
}

/// How a service is handled; nothing of it is baked into its router.
#[derive(Clone, Debug)]
pub struct ServicePolicy {
    /// Whether it is reached from outside at an address of its own; none where its subnet decides.
    pub public: Option<bool>,
    /// The blocks that may reach it.
    pub ingress: Vec<String>,
    /// What is waited for before there is a service.
    pub wait_for: WaitFor,
    /// Whether a router whose boot failed stays for inspection.
    pub keeps_failed: bool,
    /// The image that the router was made from, for one in its place.
    pub image: Option<String>,
}

/// What there is of a service that is being made.
#[derive(Clone, Debug)]
pub struct ServiceRecord {
    /// Its id.
    pub id: ServiceId,
    /// Its reserved address.
    pub address: Address,
    /// Its router, as soon as it is launched.
    pub router: Option<Instance>,
    /// Whether the router was seen ready; none while it was not asked.
    pub live: Option<bool>,
}

impl DesiredService {
    /// The same under this id.
    pub(crate) fn of(&self, id: &ServiceId) -> Self {
        let spec = RouterSpec { uid: id.uid.clone(), ..self.spec.clone() };
        Self { spec, policy: self.policy.clone() }
    }
}
