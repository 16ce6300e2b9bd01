//! The machines of a workspace's cloud, seen from outside.

use crate::site::Fault;
use crate::workspace::Workspace;
use cloudsim::patient;
use std::time::{Duration, SystemTime};

/// A machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: String,
    /// Its address.
    pub address: String,
    /// Its replica group; none on the router.
    pub group: Option<String>,
}

impl Workspace {
    /// Every machine, routers and workers.
    pub fn machines(&self) -> Vec<Machine> {
        self.cloud().machines()
    }

    /// The machines of a group.
    pub fn group(&self, name: &str) -> Vec<Machine> {
        let machines = self.machines().into_iter();
        machines.filter(|machine| machine.group.as_deref() == Some(name)).collect()
    }

    /// The one router.
    pub fn router(&self) -> Machine {
        let mut routers = self.machines().into_iter().filter(|machine| machine.group.is_none());
        let router = routers.next().expect("there is a router");
        assert_eq!(routers.next(), None, "there are two routers");
        router
    }

    /// What a machine has printed on its console.
    pub fn console(&self, id: &str) -> String {
        self.cloud().console(id)
    }

    /// The value of one of the provider's tags on a machine; empty when it has none.
    pub fn tag(&self, id: &str, key: &str) -> String {
        self.cloud().tag(id, key)
    }
}

/// What happens to machines behind the provider's back.
impl Workspace {
    /// A machine disappears.
    pub fn lose(&self, id: &str) {
        self.cloud().lose(id);
    }

    /// Somebody switches a machine off.
    pub fn stop(&self, id: &str) {
        self.cloud().stop(id);
    }

    /// Changes a tag of a machine behind the provider's back.
    pub fn retag(&self, id: &str, key: &str, value: &str) {
        self.cloud().retag(id, key, Some(value));
    }

    /// Takes a tag of a machine away behind the provider's back.
    pub fn untag(&self, id: &str, key: &str) {
        self.cloud().retag(id, key, None);
    }

    /// Makes a machine a day old.
    pub fn age(&self, id: &str) {
        self.cloud().age(id);
    }

    /// From now on there are these faults and no others.
    pub fn faults(&self, faults: &[Fault]) {
        self.cloud().faults(faults);
    }
}

/// Waits until a condition holds, for at most a minute on a computer that is not slow.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let (start, limit) = (SystemTime::now(), patient(Duration::from_secs(60)));
    while !holds() {
        let waited = start.elapsed().unwrap_or_default();
        assert!(waited < limit, "waited {waited:?} without effect until {what}");
        // Real processes have no clock but the real one; nobody unparks this thread.
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
