//! A computer with a local cloud on it, and machines that run small shell scripts.

use cloud::conformance::wait::{self, Schedule};
use cloud::{
    BootDocument, BootFile, Cloud, Fleet, FleetKey, FleetRequest, Instance, InstanceId,
    InstanceState, Interconnect, LabelFilter, LaunchRequest, Offer, PlacementStrategy, Purchase,
    Tags, tag,
};
use cloud_local::{GpuSource, LocalCloud, LocalConfig};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A directory that is all the local cloud has to do with.
#[derive(Debug)]
pub(crate) struct Computer {
    path: PathBuf,
    /// Whether all of it goes with this value.
    owned: bool,
}

impl Computer {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("disagg-local-").tempdir().unwrap();
        Self { path: directory.keep(), owned: true }
    }

    /// The computer of another process.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, owned: false }
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.path.join(below)
    }

    pub(crate) fn config(&self) -> LocalConfig {
        LocalConfig {
            state_directory: self.path("state"),
            cache_directory: self.path("cache"),
            machine_binary: PathBuf::from(env!("CARGO_BIN_EXE_disagg-machine")),
            address_registry: self.path("addresses"),
            gpus: GpuSource::Simulated,
            nvidia_smi: self.path("nvidia-smi"),
            gpu_registry: self.path("gpu-claims"),
            engine_runtimes: BTreeMap::new(),
            namespaces: false,
            secrets: Arc::new(|_| None),
        }
    }

    pub(crate) fn cloud(&self) -> LocalCloud {
        self.cloud_with(|_| {})
    }

    pub(crate) fn cloud_with(&self, change: impl FnOnce(&mut LocalConfig)) -> LocalCloud {
        let mut config = self.config();
        change(&mut config);
        LocalCloud::open(config).unwrap()
    }

    /// A cloud whose machines have the GPUs of this computer.
    pub(crate) fn cloud_with_gpus(&self, state_directory: &str) -> LocalCloud {
        self.cloud_with(|config| {
            config.state_directory = self.path(state_directory);
            config.gpus = GpuSource::Detected;
        })
    }

    /// Puts GPUs into the computer: their models' names as the driver has them, and MIG modes.
    pub(crate) fn gpus(&self, gpus: &[(&str, &str)]) {
        let fake = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/gpu/fake/nvidia-smi");
        fs::copy(fake, self.path("nvidia-smi")).unwrap();
        let line = |(index, (name, mig)): (usize, &(&str, &str))| {
            format!("{index}, GPU-{index}, NVIDIA {name}, 143771 MiB, {mig}, 580.159.04\n")
        };
        let lines = gpus.iter().enumerate().map(line).collect::<String>();
        fs::write(self.path("gpus"), lines).unwrap();
    }

    /// Replaces the fault switches.
    pub(crate) fn faults(&self, json: &str) {
        fs::write(self.path("state/faults.json"), json).unwrap();
    }

    pub(crate) fn machine(&self, id: &InstanceId) -> PathBuf {
        self.path("state/machines").join(&id.0)
    }

    /// Every process that has to do with this computer's machines.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let needle = self.path.as_os_str().as_encoded_bytes();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            for file in ["environ", "cmdline"] {
                let text = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
                if text.windows(needle.len()).any(|window| window == needle) {
                    found.push(pid);
                    break;
                }
            }
        }
        found
    }

    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.processes(), Vec::<u32>::new(), "processes are left");
        for kind in ["machines", "fleets", "addresses"] {
            let left = fs::read_dir(self.path("state").join(kind)).unwrap().flatten();
            let left = left.map(|entry| entry.file_name()).collect::<Vec<_>>();
            assert!(left.is_empty(), "{kind} are left: {left:?}");
        }
    }
}

impl Drop for Computer {
    fn drop(&mut self) {
        if !self.owned {
            return;
        }
        // A test that failed half-way must not leave processes behind.
        for pid in self.processes() {
            if let Some(pid) = rustix::process::Pid::from_raw(pid.cast_signed()) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        for machine in fs::read_dir(self.path("state/machines")).into_iter().flatten().flatten() {
            let name = machine.file_name().to_string_lossy().into_owned();
            let _ = fs::remove_dir_all(Path::new("/dev/shm").join(format!("disagg-{name}")));
        }
        if std::thread::panicking() {
            eprintln!("the computer is kept at {}", self.path.display());
        } else {
            fs::remove_dir_all(&self.path).unwrap();
        }
    }
}

pub(crate) fn key(name: &str) -> FleetKey {
    FleetKey { region: "local".to_owned(), name: name.to_owned() }
}

pub(crate) fn offer(gpu: Option<&str>) -> Offer {
    Offer {
        instance_type: gpu.map_or("cpu".to_owned(), |gpu| format!("{gpu}-1")),
        gpu: gpu.map(str::to_owned),
        gpu_count: gpu.map_or(0, |_| 1),
        cpu: 1,
        memory_gb: 1,
        simulated: false,
        interconnect: Interconnect::Tcp,
        fabric: None,
        hourly_cost: 0.0,
        priced_on: "2026-11-01".to_owned(),
    }
}

pub(crate) async fn create_fleet(cloud: &dyn Cloud, name: &str) -> Fleet {
    let request = FleetRequest {
        key: key(name),
        zone: Some("local-a".to_owned()),
        subnet: None,
        fabrics: BTreeSet::new(),
        placement: PlacementStrategy::Cluster,
        tags: Tags::new(),
    };
    cloud.create_fleet(&request).await.unwrap()
}

/// A launch of machines that run one script as a unit that tells the console.
pub(crate) fn launch_request(fleet: &str, token: &str, count: u32, script: &str) -> LaunchRequest {
    let files =
        [("/opt/script", script), ("/etc/systemd/system/script.service", &unit("/opt/script"))];
    LaunchRequest {
        fleet: key(fleet),
        offer: offer(None),
        count,
        disk_gb: 20,
        image: None,
        purchase: Purchase::OnDemand,
        placed: true,
        egress: cloud::Egress::default(),
        address: None,
        document: document(&files, &["script"]),
        identity: None,
        token: token.to_owned(),
        tags: Tags::from([(tag::LAUNCH, token.to_owned())]),
    }
}

/// A unit like ours, for one program.
pub(crate) fn unit(program: &str) -> String {
    format!(
        "[Unit]\nDescription=Test\nStartLimitIntervalSec=0\n\n[Service]\nType=exec\n\
         ExecStart={program}\nRestart=always\nRestartSec=50ms\nTimeoutStopSec=2\n\
         KillMode=mixed\nStandardOutput=journal+console\nStandardError=inherit\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// A document with these files, all executable, and these services.
pub(crate) fn document(files: &[(&str, &str)], services: &[&str]) -> BootDocument {
    let file = |(path, content): &(&str, &str)| BootFile {
        path: (*path).to_owned(),
        mode: 0o755,
        content: (*content).to_owned(),
    };
    BootDocument {
        files: files.iter().map(file).collect(),
        units: services.iter().map(|service| format!("{service}.service")).collect(),
        spec: "{}".to_owned(),
    }
}

/// Waits until `look` has an answer, for a minute at most on a computer that is not slow.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut look = look;
    let deadline = Instant::now() + wait::patient(Duration::from_secs(60));
    wait::until(&CancellationToken::new(), deadline, Schedule::LOCAL, async || {
        Ok::<_, ()>(look().await)
    })
    .await
    .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// Waits until the instance is in this state; `None` is gone.
pub(crate) async fn reach(
    cloud: &dyn Cloud,
    fleet: &str,
    id: &InstanceId,
    state: Option<InstanceState>,
) -> Option<Instance> {
    eventually(&format!("machine {id} is {state:?}"), async || {
        let found = cloud.list_instances(&key(fleet), &LabelFilter::all()).await.unwrap();
        let found = found.into_iter().find(|instance| instance.id == *id);
        (found.as_ref().map(|instance| instance.state) == state).then_some(found)
    })
    .await
}

/// Waits until the console has this line; answers the console.
pub(crate) async fn console_with(
    cloud: &dyn Cloud,
    fleet: &str,
    id: &InstanceId,
    line: &str,
) -> String {
    eventually(&format!("machine {id} prints {line}"), async || {
        let text = cloud.console(&key(fleet), id).await.unwrap().text;
        text.lines().any(|found| found.contains(line)).then_some(text)
    })
    .await
}

/// Terminates everything in the fleet, deletes it, and waits until that is done.
pub(crate) async fn delete_all(cloud: &dyn Cloud, fleet: &str) {
    let all = cloud.list_instances(&key(fleet), &LabelFilter::all()).await.unwrap();
    let ids = all.into_iter().map(|instance| instance.id).collect::<Vec<_>>();
    cloud.terminate_instances(&key(fleet), &ids).await.unwrap();
    for id in &ids {
        reach(cloud, fleet, id, None).await;
    }
    cloud.delete_fleet(&key(fleet)).await.unwrap();
}
