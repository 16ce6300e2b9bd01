//! A simulated AWS of a test's own: the workspace's provider finds it by its endpoint.
//!
//! As a rule its machines boot nothing. What would run on them is told by [`crate::guests`], on their
//! consoles alone: clients cannot chat here. `tests/hosts` gives it machines that boot.

use crate::guests::{Guests, Outages};
use crate::machines::Machine;
use cloudsim::ec2::{Region, Settings};
use cloudsim::{Server, datacentre, patience};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Its region and the zone that tests use.
pub(crate) const REGION: &str = "us-east-2";
pub(crate) const ZONE: &str = "us-east-2a";

/// A datacentre that is served from a thread of this process; it ends with the last workspace in it.
#[derive(Debug)]
pub struct Aws {
    server: Arc<Server<Region>>,
    /// Where its clients are, when that is not where the tests are.
    namespace: Option<PathBuf>,
    outages: Arc<Mutex<Outages>>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Aws {
    pub(crate) fn start() -> Self {
        let (boot_seconds, end_seconds) = (0.2, 0.2);
        let datacentre =
            datacentre::Settings { boot_seconds, end_seconds, ..datacentre::Settings::default() };
        Self::start_with(datacentre.into())
    }

    /// One that is like this, whose machines tell that they have booted.
    pub fn start_with(settings: Settings) -> Self {
        let outages = Arc::new(Mutex::new(Outages::default()));
        let Settings { datacentre, account } = settings;
        let datacentre = datacentre::Settings {
            // Nobody listens there, and who calls is told so at once.
            public_block: Ipv4Addr::new(127, 93, 0, 0),
            private_block: Ipv4Addr::new(127, 92, 0, 0),
            ..datacentre
        };
        let mut region = Region::new(Settings { datacentre, account });
        region.set_guest(Guests(Arc::clone(&outages)));
        let mut aws = Self::serve(region, None);
        aws.outages = outages;
        aws
    }

    /// A region whose machines are the caller's business, for clients in a network namespace.
    ///
    /// # Panics
    /// When it cannot be served, as without root in the namespace of somebody else.
    pub fn serve(mut region: Region, namespace: Option<PathBuf>) -> Self {
        if let Some(journal) = std::env::var_os("DISAGG_TEST_JOURNAL") {
            region.record(Path::new(&journal)).expect("the journal can be written");
        }
        region.slow_down(patience());
        let (end, ended) = oneshot::channel();
        let (sender, receiver) = mpsc::channel();
        let inside = namespace.clone();
        let thread = std::thread::spawn(move || {
            if let Some(namespace) = inside {
                // For this thread and its sockets alone.
                let network = File::open(namespace).expect("the namespace is there");
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(network.as_fd(), kind).expect("root may enter it");
            }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let server = Arc::new(Server::start(region, 0).await.expect("a port"));
                sender.send(server).expect("the test waits");
                // An end without a word is the end as well.
                let _ = ended.await;
            });
        });
        let server = receiver.recv().expect("the datacentre is served");
        let outages = Arc::default();
        Self { server, namespace, outages, end: Some(end), thread: Some(thread) }
    }

    /// What Terraform and the provider need to find it.
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", self.server.endpoint()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "simulated".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "simulated".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// A program as a client of it.
    pub(crate) fn client(&self, program: &OsStr) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
        command
    }

    /// The region and its datacentre, to look into and to break.
    pub fn datacentre(&self) -> std::sync::MutexGuard<'_, Region> {
        self.server.datacentre()
    }

    pub(crate) fn machines(&self) -> Vec<Machine> {
        let living = self.datacentre().living().into_iter();
        living
            .filter(|machine| machine["state"] != "ending")
            .map(|machine| Machine {
                id: machine["id"].clone(),
                state: machine["state"].clone(),
                address: machine.get("ip").cloned().unwrap_or_default(),
                group: machine.get("disagg:group").cloned(),
            })
            .collect()
    }

    /// The faults of the local cloud, as far as they mean something here.
    pub(crate) fn faults(&self, faults: &str) {
        let faults: Value = serde_json::from_str(faults).expect("faults are JSON");
        let boot = faults["slow_boot"].as_str().and_then(|time| time.strip_suffix('s'));
        let boot = boot.map_or(0.2, |seconds| seconds.parse().expect("seconds"));
        let mut datacentre = self.datacentre();
        datacentre.settings_mut().boot_seconds = boot;
        let lacking = &faults["no_capacity"];
        for group in ["prefill", "decode"] {
            let after = (lacking["group"] == group).then(|| lacking["after"].as_u64().unwrap_or(0));
            let after = after.map(|after| u32::try_from(after).expect("few"));
            datacentre.limit_tagged("disagg:group", group, after);
        }
        let failing = &faults["boot_failure"];
        *self.outages.lock().unwrap_or_else(PoisonError::into_inner) = Outages {
            fails: failing.is_object(),
            group: failing["group"].as_str().map(str::to_owned),
            program: failing["program"].as_str().unwrap_or("/opt/disagg/engine").to_owned(),
            first: failing["first"].as_u64(),
            are_busy: faults["busy"] == true,
        };
    }

    pub(crate) fn console(&self, id: &str) -> String {
        self.datacentre().console(id).unwrap_or_default()
    }

    pub(crate) fn age(&self, id: &str) {
        self.datacentre().age(id, Duration::from_secs(24 * 60 * 60));
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        // It has ended by itself if nobody listens.
        let _ = self.end.take().map(|end| end.send(()));
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed; a second one here would hide it.
            let _ = thread.join();
        }
    }
}
