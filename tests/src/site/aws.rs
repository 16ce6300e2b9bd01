//! A simulated AWS of a test's own: the workspace's provider finds it by its endpoint.
//!
//! As a rule its machines boot nothing. What would run on them is told by `guests`, on their
//! consoles alone: clients cannot chat here. `tests/hosts` gives it machines that boot.

use super::{Cloud, Fault, Site};
use crate::machines::Machine;
use cloudsim::ec2::{Region, Settings};
use cloudsim::{Server, datacentre, patience};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
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

mod guests;

use guests::{Guests, Outages};

/// A test on the simulated AWS, or the reason why not.
#[doc(hidden)]
#[macro_export]
macro_rules! aws_test {
    ($test:ident) => {
        $crate::test_on!(Aws, $test);
    };
    ($test:ident chats $($more:ident)*) => {
        $crate::test_on!(
            Aws,
            $test,
            "not run on aws: needs chats, and its machines boot no Dynamo"
        );
    };
    ($test:ident journals $($more:ident)*) => {
        $crate::test_on!(
            Aws,
            $test,
            "not run on aws: needs journals, and its machines boot nothing"
        );
    };
    ($test:ident hangs $($more:ident)*) => {
        $crate::test_on!(
            Aws,
            $test,
            "not run on aws: needs hangs, of which EC2's list does not tell"
        );
    };
    ($test:ident records $($more:ident)*) => {
        $crate::test_on!(
            Aws,
            $test,
            "not run on aws: needs records in files; tests/aws has others"
        );
    };
    ($test:ident own_secrets $($more:ident)*) => {
        $crate::test_on!(
            Aws,
            $test,
            "not run on aws: needs own_secrets, which go to no machine of AWS"
        );
    };
}

/// Its region and the zone that tests use.
const REGION: &str = "us-east-2";
const ZONE: &str = "us-east-2a";
/// From a launch to a machine that runs, where no fault says otherwise.
const BOOT_SECONDS: f64 = 0.2;

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
    /// One without faults.
    pub fn cloud() -> Cloud {
        let (boot_seconds, end_seconds) = (BOOT_SECONDS, 0.2);
        let datacentre =
            datacentre::Settings { boot_seconds, end_seconds, ..datacentre::Settings::default() };
        Arc::new(Self::start_with(datacentre.into()))
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

    /// The region and its datacentre, to look into and to break.
    pub fn datacentre(&self) -> std::sync::MutexGuard<'_, Region> {
        self.server.datacentre()
    }
}

impl Site for Aws {
    fn region(&self) -> String {
        format!("aws/{REGION}")
    }

    fn fleet_attributes(&self) -> String {
        format!("cloud = \"aws\"\n  zone  = \"{ZONE}\"")
    }

    fn environment(&self) -> Vec<(String, String)> {
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

    fn client(&self, program: &OsStr) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace.display())).arg("--").arg(program);
        command
    }

    /// Its machines boot nothing.
    fn serves(&self) -> bool {
        false
    }

    fn most_user_data(&self) -> usize {
        16 * 1024
    }

    fn machines(&self) -> Vec<Machine> {
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

    fn console(&self, id: &str) -> String {
        self.datacentre().console(id).unwrap_or_default()
    }

    fn tag(&self, id: &str, key: &str) -> String {
        let living = self.datacentre().living();
        let machine = living.into_iter().find(|machine| machine["id"] == id);
        let tag = machine.and_then(|machine| machine.get(&format!("disagg:{key}")).cloned());
        tag.unwrap_or_default()
    }

    fn left(&self) -> Vec<String> {
        self.datacentre().left()
    }

    fn lose(&self, id: &str) {
        assert!(self.datacentre().lose(id), "there is no {id}");
    }

    fn stop(&self, id: &str) {
        assert!(self.datacentre().power_off(id), "there is no {id}");
    }

    fn retag(&self, id: &str, key: &str, value: Option<&str>) {
        self.datacentre().retag(id, key, value);
    }

    fn age(&self, id: &str) {
        self.datacentre().age(id, Duration::from_secs(24 * 60 * 60));
    }

    fn faults(&self, faults: &[Fault]) {
        let mut boot_seconds = BOOT_SECONDS;
        let mut limits = BTreeMap::from([("prefill", None), ("decode", None)]);
        let mut outages = Outages::default();
        for fault in faults {
            match *fault {
                Fault::SlowBoot(time) => boot_seconds = time.as_secs_f64(),
                Fault::NoCapacity { group, after } => {
                    limits.insert(group, Some(after));
                }
                Fault::BootFailure { group, first } => outages.failing = Some((group, first)),
                Fault::Busy => outages.are_busy = true,
            }
        }
        let mut datacentre = self.datacentre();
        datacentre.settings_mut().boot_seconds = boot_seconds;
        for (group, after) in limits {
            datacentre.limit_tagged("disagg:group", group, after);
        }
        *self.outages.lock().unwrap_or_else(PoisonError::into_inner) = outages;
    }

    fn hold(&self) {
        self.datacentre().hold();
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
