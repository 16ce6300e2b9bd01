//! What the resources of one process share: who orchestrates, and what the plans of a run say to each other.

use crate::addresses::Addresses;
use crate::clouds::Clouds;
use crate::siblings::Siblings;
use cloud::CloudName;
use domain::local_gpus::LocalGpus;
use orchestration::Orchestrator;
use plugin::Attr;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Set by ConfigureProvider, which may come again (reattach mode).
#[derive(Debug, Default)]
pub(crate) struct Session {
    clouds: Mutex<Arc<Clouds>>,
    orchestrator: Orchestrator,
    /// What the groups of services are to be.
    siblings: Siblings,
    addresses: Addresses,
    /// Services whose endpoint a plan of this process changes, by their ids.
    endpoint_changes: Mutex<BTreeSet<String>>,
}

impl Session {
    pub(crate) fn configure(&self, clouds: Clouds) {
        let clouds = Arc::new(clouds);
        *lock(&self.clouds) = Arc::clone(&clouds);
        self.orchestrator.configure(clouds);
        self.siblings.forget();
        self.addresses.forget();
    }

    /// Who works on fleets, services and groups.
    pub(crate) fn orchestrator(&self) -> &Orchestrator {
        &self.orchestrator
    }

    /// What plans of this process say of services and their groups.
    pub(crate) fn siblings(&self) -> &Siblings {
        &self.siblings
    }

    /// What the plans of this run mean for which objects.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The region of fleets that name none themselves.
    pub(crate) fn default_region(&self, name: CloudName) -> Attr<String> {
        lock(&self.clouds).default_region(name)
    }

    /// Where the GPUs of machines of this cloud come from, if it is this computer, which is looked at once.
    pub(crate) fn local_gpus(&self, cloud: CloudName) -> LocalGpus {
        Arc::clone(&lock(&self.clouds)).local_gpus(cloud)
    }

    /// Why the virtual environment that the configuration names for this engine is none, if so.
    pub(crate) fn missing_environment(&self, cloud: CloudName, engine: &str) -> Option<String> {
        lock(&self.clouds).missing_environment(cloud, engine)
    }

    /// Says whether a plan gives a service another endpoint. Terraform plans what refers to the service
    /// after it, by the same process, and tells it nothing of that: the id stays.
    pub(crate) fn set_endpoint_change(&self, service: &str, changes: bool) {
        let mut all = lock(&self.endpoint_changes);
        match changes {
            true => all.insert(service.to_owned()),
            false => all.remove(service),
        };
    }

    /// Whether a plan of this process gives the service another endpoint.
    pub(crate) fn endpoint_changes(&self, service: &str) -> bool {
        lock(&self.endpoint_changes).contains(service)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these; if it did, the data would still be whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
