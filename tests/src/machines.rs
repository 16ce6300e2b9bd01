//! The machines of a workspace, seen from outside: on the local cloud by the provider's `local` command
//! and the process table, in a simulated one by its own books.

use crate::place::Place;
use crate::workspace::Workspace;
use cloudsim::patient;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A machine of the local cloud.
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
        if let Place::Aws(aws) = self.place() {
            return aws.machines();
        }
        if !self.state_directory().exists() {
            return Vec::new();
        }
        let run = self.disagg(&["local", "list", "--json"]).success();
        let listed: Value = serde_json::from_str(&run.stdout).expect("the list is JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let machines = listed.as_array().expect("the list is an array").iter();
        machines
            .map(|machine| Machine {
                id: text(&machine["id"]),
                state: text(&machine["state"]),
                address: text(&machine["address"]),
                group: machine["tags"]["disagg:group"].as_str().map(str::to_owned),
            })
            .collect()
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
}

/// What happens to machines behind the provider's back.
impl Workspace {
    /// A machine disappears.
    pub fn lose(&self, id: &str) {
        match self.place() {
            Place::Aws(aws) => assert!(aws.datacentre().lose(id), "there is no {id}"),
            Place::Local => drop(self.disagg(&["local", "lose", id]).success()),
        }
    }

    /// Somebody switches a machine off.
    pub fn stop(&self, id: &str) {
        match self.place() {
            Place::Aws(aws) => assert!(aws.datacentre().power_off(id), "there is no {id}"),
            Place::Local => drop(self.disagg(&["local", "stop", id]).success()),
        }
    }

    /// What a machine has printed on its console.
    pub fn console(&self, id: &str) -> String {
        match self.place() {
            Place::Aws(aws) => aws.console(id),
            Place::Local => self.disagg(&["local", "console", id]).success().stdout,
        }
    }

    /// Changes a tag of a machine behind the provider's back.
    pub fn retag(&self, id: &str, key: &str, value: &str) {
        if let Place::Aws(aws) = self.place() {
            return aws.datacentre().retag(id, key, Some(value));
        }
        self.edit(id, |record| record["tags"][key] = value.into());
    }

    /// The value of one of the provider's tags on a machine; empty when it has none.
    pub fn tag(&self, id: &str, key: &str) -> String {
        if let Place::Aws(aws) = self.place() {
            let living = aws.datacentre().living();
            let machine = living.into_iter().find(|machine| machine["id"] == id);
            let tag = machine.and_then(|machine| machine.get(&format!("disagg:{key}")).cloned());
            return tag.unwrap_or_default();
        }
        let path = self.state_directory().join("machines").join(id).join("machine.json");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        record["tags"][format!("disagg:{key}")].as_str().unwrap_or_default().to_owned()
    }

    /// Takes a tag of a machine away behind the provider's back.
    pub fn untag(&self, id: &str, key: &str) {
        if let Place::Aws(aws) = self.place() {
            return aws.datacentre().retag(id, key, None);
        }
        self.edit(id, |record| {
            record["tags"].as_object_mut().expect("tags").remove(key);
        });
    }

    /// Makes a machine a day old.
    pub fn age(&self, id: &str) {
        if let Place::Aws(aws) = self.place() {
            return aws.age(id);
        }
        self.edit(id, |record| {
            let launched_at = record["launched_at"].as_u64().expect("a time");
            record["launched_at"] = (launched_at - 24 * 60 * 60).into();
        });
    }

    fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let path = self.state_directory().join("machines").join(id).join("machine.json");
        let text = std::fs::read_to_string(&path).expect("the machine has a record");
        let mut record: Value = serde_json::from_str(&text).expect("a record is JSON");
        change(&mut record);
        std::fs::write(&path, record.to_string()).expect("a record can be written");
    }

    /// Switches faults on and off, in the words of the local cloud's `faults.json`.
    pub fn faults(&self, faults: &str) {
        if let Place::Aws(aws) = self.place() {
            return aws.faults(faults);
        }
        std::fs::write(self.state_directory().join("faults.json"), faults).expect("faults");
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

/// The processes that belong to machines of a state directory.
pub(crate) fn processes(state_directory: &Path) -> Vec<u32> {
    let needle = state_directory.as_os_str().as_encoded_bytes();
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let in_root = environment
                .split(|byte| *byte == 0)
                .filter_map(|variable| variable.strip_prefix(b"DISAGG_ROOT="))
                .any(|root| root.starts_with(needle));
            in_root || command.windows(needle.len()).any(|window| window == needle)
        })
        .filter(|pid| *pid != std::process::id())
        .collect()
}
