//! Which machine has which GPU of this computer, among all local clouds on it: each has one machine at
//! most. By agreement and not by force: a process that was given another GPU's name would find it.
//!
//! The claims are one file for all users with a line per GPU. A claim is good as long as its machine's
//! record says the same and the machine is not gone, so that nothing has to be given back by somebody who
//! may be dead.

use crate::LocalCloud;
use crate::error::{During, StateError};
use crate::gpus::{DetectedGpu, DetectedGpus, GpuSource, detect_gpus};
use crate::machine_record::MachineRecord;
use crate::nvidia_smi::{self, DetectionError};
use crate::shared_file::SharedFile;
use cloud::{CloudError, ErrorKind, LaunchRequest};
use machine::MachineDirectory;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// The claims, locked until they are dropped: whoever claims writes the machine's record meanwhile.
#[derive(Debug)]
pub(crate) struct GpuClaims {
    nvidia_smi: PathBuf,
    file: SharedFile,
    claims: BTreeMap<String, Owner>,
}

/// Whose GPU it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    state_directory: PathBuf,
    machine: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    gpu: String,
    #[serde(flatten)]
    owner: Owner,
}

/// What a GPU is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Occupancy {
    Free,
    /// A machine of a local cloud has it.
    Machine(String),
    /// Somebody else's process computes on it: its id and its name.
    Process(String, String),
}

impl std::fmt::Display for Occupancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Machine(id) => write!(f, "machine {id} has it"),
            Self::Process(pid, name) => write!(f, "process {pid} ({name}) computes on it"),
        }
    }
}

/// The GPUs of a launch: chosen, and claimed as soon as each machine has an id.
#[derive(Debug)]
pub(crate) struct Chosen {
    claims: GpuClaims,
    free: Vec<String>,
    each: usize,
}

impl GpuClaims {
    pub(crate) async fn open(cloud: &LocalCloud) -> Result<Self, StateError> {
        let (file, lines) = SharedFile::open(&cloud.config.gpu_registry).await?;
        let claims = lines.into_iter().map(|Line { gpu, owner }| (gpu, owner)).collect();
        Ok(Self { nvidia_smi: cloud.config.nvidia_smi.clone(), file, claims })
    }

    /// Every GPU with what it is doing.
    pub(crate) async fn occupancy(&self) -> Result<(DetectedGpus, Vec<Occupancy>), DetectionError> {
        let program = self.nvidia_smi.clone();
        let asked =
            tokio::task::spawn_blocking(move || Ok((detect_gpus(&program)?, processes(&program)?)));
        let asked: Result<_, DetectionError> =
            asked.await.map_err(|error| DetectionError::Io(error.into()))?;
        let (found, processes) = asked?;
        let of = |gpu: &DetectedGpu| match (self.claims.get(&gpu.uuid), processes.get(&gpu.uuid)) {
            (Some(owner), _) if owner.holds(&gpu.uuid) => Occupancy::Machine(owner.machine.clone()),
            (_, Some((pid, name))) => Occupancy::Process(pid.clone(), name.clone()),
            _ => Occupancy::Free,
        };
        let occupancy = found.gpus.iter().map(of).collect();
        Ok((found, occupancy))
    }

    /// Gives back what a machine had. It is free without that too, but other users cannot see it.
    pub(crate) fn release(&mut self, machine: &MachineDirectory) -> Result<(), StateError> {
        self.claims.retain(|_, owner| owner.directory().path() != machine.path());
        self.write()
    }

    fn write(&mut self) -> Result<(), StateError> {
        let lines =
            self.claims.iter().map(|(gpu, owner)| Line { gpu: gpu.clone(), owner: owner.clone() });
        self.file.write(lines)
    }
}

impl Owner {
    fn directory(&self) -> MachineDirectory {
        MachineDirectory::new(self.state_directory.join("machines").join(&self.machine))
    }

    /// Whether the machine is there and has the GPU. One that cannot be looked at is another user's, and
    /// exists for all we know.
    fn holds(&self, gpu: &str) -> bool {
        let directory = self.directory();
        match MachineRecord::read(&directory) {
            Ok(None) => false,
            Ok(Some(record)) => {
                let is_gone =
                    record.life(&directory).is_ok_and(|life| record.state(&life, false).is_none());
                !is_gone && record.config.gpus.iter().any(|has| has == gpu)
            }
            Err(_) => true,
        }
    }
}

/// Chooses the GPUs of `machines` machines, all or none; nothing when the request is for none of this
/// computer's.
pub(crate) async fn choose(
    cloud: &LocalCloud,
    operation: &'static str,
    request: &LaunchRequest,
    machines: usize,
) -> cloud::Result<Option<Chosen>> {
    let Some(model) = &request.offer.gpu else { return Ok(None) };
    if cloud.config.gpus == GpuSource::Simulated || request.offer.simulated {
        return Ok(None);
    }
    let each = request.offer.gpu_count as usize;
    let mut claims = GpuClaims::open(cloud).await.during(operation)?;
    let (found, occupancy) = claims.occupancy().await.map_err(|error| {
        CloudError::new(ErrorKind::Unavailable, operation, error.to_string())
            .object(&request.offer.instance_type)
            .code("NoDriver")
    })?;
    let all = || found.gpus.iter().zip(&occupancy);
    let of_model = |gpu: &DetectedGpu| gpu.is_usable() && gpu.model == Some(model.as_str());
    let free = all().filter(|(gpu, is)| of_model(gpu) && **is == Occupancy::Free);
    let free = free.map(|(gpu, _)| gpu.uuid.clone()).collect::<Vec<_>>();
    let needed = machines * each;
    if free.len() < needed {
        let shown = all().map(|(gpu, is)| match gpu.is_usable() {
            true => format!("{gpu}, {is}"),
            false => gpu.to_string(),
        });
        let shown = shown.collect::<Vec<_>>().join("; ");
        let message = format!(
            "{needed} {model} are needed and {} are free on this computer: {}",
            free.len(),
            if shown.is_empty() { "it has no NVIDIA GPU" } else { &shown }
        );
        return Err(CloudError::new(ErrorKind::InsufficientCapacity, operation, message)
            .object(&request.offer.instance_type)
            .code("InsufficientCapacity"));
    }
    // What is claimed by nobody any more is in the way of nobody, and need not be kept.
    claims.claims.retain(|gpu, owner| owner.holds(gpu));
    Ok(Some(Chosen { claims, free, each }))
}

impl Chosen {
    /// The GPUs of the next machine, which has this id. Its record must be written while this lives.
    pub(crate) fn claim(
        &mut self,
        cloud: &LocalCloud,
        id: &str,
    ) -> Result<Vec<String>, StateError> {
        let gpus = self.free.drain(..self.each).collect::<Vec<_>>();
        let owner =
            Owner { state_directory: cloud.store.directory().to_owned(), machine: id.to_owned() };
        self.claims.claims.extend(gpus.iter().map(|gpu| (gpu.clone(), owner.clone())));
        self.claims.write()?;
        Ok(gpus)
    }
}

/// Gives back what a machine that is removed had.
pub(crate) async fn release(
    cloud: &LocalCloud,
    machine: &MachineDirectory,
    record: Option<&MachineRecord>,
) -> Result<(), StateError> {
    match record {
        Some(record) if !record.config.gpus.is_empty() => {
            GpuClaims::open(cloud).await?.release(machine)
        }
        _ => Ok(()),
    }
}

/// Who computes on which GPU: the id and the name of one process each.
fn processes(program: &Path) -> Result<BTreeMap<String, (String, String)>, DetectionError> {
    let rows = nvidia_smi::query(program, "compute-apps", &["gpu_uuid", "pid", "process_name"])?;
    let by_gpu = rows.into_iter().filter_map(|row| {
        let [gpu, pid, name]: [String; 3] = row.try_into().ok()?;
        Some((gpu, (pid, name)))
    });
    Ok(by_gpu.collect())
}
