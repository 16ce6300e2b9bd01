//! A local cloud of a test's own: real processes on this computer, with the real Dynamo, etcd and NATS,
//! in a state directory that nobody else has.

use super::{Cloud, Fault, Site};
use crate::machines::Machine;
use crate::workspace::{Run, binary};
use cloudsim::patient;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A test on the local cloud, which has all that any test needs.
#[doc(hidden)]
#[macro_export]
macro_rules! local_test {
    ($test:ident) => {
        $crate::test_on!(Local, $test);
    };
    ($test:ident chats $($more:ident)*) => { $crate::local_test!($test $($more)*); };
    ($test:ident journals $($more:ident)*) => { $crate::local_test!($test $($more)*); };
    ($test:ident hangs $($more:ident)*) => { $crate::local_test!($test $($more)*); };
    ($test:ident records $($more:ident)*) => { $crate::local_test!($test $($more)*); };
    ($test:ident own_secrets $($more:ident)*) => { $crate::local_test!($test $($more)*); };
}

/// A state directory. Dynamo, etcd and NATS are shared by all, in the user's cache.
#[derive(Debug)]
pub struct Local {
    directory: tempfile::TempDir,
    /// Where its programs are, when they are not where they always are.
    path: Option<String>,
}

impl Local {
    /// An empty one.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn cloud() -> Cloud {
        Arc::new(Self::new(None))
    }

    /// One on a computer that has the programs in this directory before all others.
    ///
    /// # Panics
    /// When there is no room for it.
    pub fn with_programs(directory: &Path) -> Cloud {
        let others = std::env::var("PATH").expect("a PATH");
        Arc::new(Self::new(Some(format!("{}:{others}", directory.display()))))
    }

    fn new(path: Option<String>) -> Self {
        let directory = tempfile::Builder::new().prefix("disagg-").tempdir().expect("temp dir");
        Self { directory, path }
    }

    /// Where everything is kept.
    pub fn state_directory(&self) -> PathBuf {
        self.directory.path().join("cloud")
    }

    /// A command about this cloud.
    fn disagg(&self, arguments: &[&str]) -> Run {
        Run::of(Command::new(binary()).args(arguments).envs(self.environment()))
    }

    /// What happens to a machine, or what is in it.
    fn run(&self, what: &str, id: &str) -> Run {
        self.disagg(&["local", what, id])
    }

    fn record(&self, id: &str) -> PathBuf {
        self.state_directory().join("machines").join(id).join("machine.json")
    }

    fn edit(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(self.record(id)).expect("the machine has a record");
        let mut record: Value = serde_json::from_str(&text).expect("a record is JSON");
        change(&mut record);
        std::fs::write(self.record(id), record.to_string()).expect("a record can be written");
    }
}

impl Site for Local {
    fn region(&self) -> String {
        "local/local".to_owned()
    }

    fn fleet_attributes(&self) -> String {
        "cloud = \"local\"".to_owned()
    }

    fn environment(&self) -> Vec<(String, String)> {
        let directory = self.state_directory().to_str().expect("a path").to_owned();
        let path = self.path.clone().map(|path| ("PATH".to_owned(), path));
        path.into_iter().chain([("DISAGG_STATE_DIRECTORY".to_owned(), directory)]).collect()
    }

    fn serves(&self) -> bool {
        true
    }

    fn most_user_data(&self) -> usize {
        256 * 1024
    }

    fn machines(&self) -> Vec<Machine> {
        if !self.state_directory().exists() {
            return Vec::new();
        }
        let run = self.disagg(&["status", "--json"]).success();
        let listed: Value = serde_json::from_str(&run.stdout).expect("the list is JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let array = |value: &Value| value.as_array().expect("an array").clone();
        let fleets = array(&listed["fleets"]).into_iter();
        fleets
            .flat_map(|fleet| array(&fleet["machines"]))
            .map(|machine| Machine {
                id: text(&machine["id"]),
                state: text(&machine["state"]),
                address: text(&machine["address"]),
                group: machine["tags"]["disagg:group"].as_str().map(str::to_owned),
            })
            .collect()
    }

    /// One that is killed before it runs leaves a record, which goes.
    fn started(&self) -> usize {
        let machines = std::fs::read_dir(self.state_directory().join("machines"));
        let machines = machines.into_iter().flatten().flatten();
        machines.filter(|machine| machine.path().join("status.json").exists()).count()
    }

    fn console(&self, id: &str) -> String {
        self.disagg(&["logs", "local", id]).success().stdout
    }

    fn tag(&self, id: &str, key: &str) -> String {
        let text = std::fs::read_to_string(self.record(id)).unwrap_or_default();
        let record: Value = serde_json::from_str(&text).unwrap_or_default();
        record["tags"][format!("disagg:{key}")].as_str().unwrap_or_default().to_owned()
    }

    fn left(&self) -> Vec<String> {
        let processes = processes(&self.state_directory()).into_iter();
        let mut left: Vec<String> = processes.map(|pid| format!("process {pid}")).collect();
        for kind in ["machines", "fleets", "addresses"] {
            let entries = std::fs::read_dir(self.state_directory().join(kind));
            let entries = entries.into_iter().flatten().flatten();
            left.extend(entries.map(|entry| format!("{kind}/{}", entry.file_name().display())));
        }
        left
    }

    fn lose(&self, id: &str) {
        self.run("lose", id).success();
    }

    fn stop(&self, id: &str) {
        self.run("stop", id).success();
    }

    fn hang(&self, id: &str) {
        self.run("cut", id).success();
    }

    fn journal(&self, id: &str) -> String {
        self.run("journal", id).success().stdout
    }

    fn retag(&self, id: &str, key: &str, value: Option<&str>) {
        self.edit(id, |record| {
            let tags = record["tags"].as_object_mut().expect("tags");
            match value {
                Some(value) => tags.insert(key.to_owned(), value.into()),
                None => tags.remove(key),
            };
        });
    }

    fn age(&self, id: &str) {
        self.edit(id, |record| {
            let launched_at = record["launched_at"].as_u64().expect("a time");
            record["launched_at"] = (launched_at - 24 * 60 * 60).into();
        });
    }

    fn faults(&self, faults: &[Fault]) {
        let mut file = Map::new();
        for fault in faults {
            let (name, value) = match fault {
                Fault::SlowBoot(time) => {
                    ("slow_boot", json!(format!("{}ms", patient(*time).as_millis())))
                }
                Fault::NoCapacity { group, after } => {
                    ("no_capacity", json!({ "group": group, "after": after }))
                }
                Fault::BootFailure { group, first } => {
                    ("boot_failure", json!({ "group": group, "first": first }))
                }
                Fault::Busy => panic!("machines here are as busy as what runs on them"),
            };
            file.insert(name.to_owned(), value);
        }
        let path = self.state_directory().join("faults.json");
        std::fs::write(path, Value::Object(file).to_string()).expect("faults");
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // A test that ends half-way must not leave machines behind for the next one.
        let listed = std::fs::read_dir(self.state_directory().join("machines"));
        for machine in listed.into_iter().flatten().flatten() {
            self.run("lose", &machine.file_name().to_string_lossy());
        }
        if std::thread::panicking() {
            self.directory.disable_cleanup(true);
            eprintln!("the local cloud is kept at {}", self.directory.path().display());
        }
    }
}

/// The processes that belong to machines of a state directory.
fn processes(state_directory: &Path) -> Vec<u32> {
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
