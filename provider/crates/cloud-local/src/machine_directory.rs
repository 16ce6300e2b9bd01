//! One machine on disk, as the cloud and the machine's own supervisor both see it.
//!
//! ```text
//! machine.json     the record; the cloud writes it, the supervisor reads it
//! user-data        the very bytes of the launch
//! alive            flock'd by the supervisor as long as it lives: the truth about liveness
//! status.json      written by the supervisor once it has the lock
//! cut              there while the machine's network is cut
//! root/            the machine's root directory
//! console.log      its serial console
//! journal.log      everything its units print
//! supervisor.log   what the supervisor itself has to say, which should be nothing
//! ```

use crate::error::StateError;
use crate::files;
use cloud::{AddressId, InstanceState, Tags};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Marks every process of a machine's units, with the machine's id.
pub(crate) const MACHINE_VARIABLE: &str = "DISAGG_MACHINE";

/// What the supervisor says once it has the lock that means life.
pub(crate) const ALIVE: &str = "alive\n";

/// A machine's directory.
#[derive(Clone, Debug)]
pub(crate) struct MachineDirectory(PathBuf);

/// What was asked for. Written by the cloud alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineRecord {
    pub(crate) id: String,
    pub(crate) fleet: String,
    pub(crate) ip: Ipv4Addr,
    /// The reserved address that `ip` is, if it is one.
    pub(crate) address: Option<AddressId>,
    pub(crate) instance_type: String,
    pub(crate) gpu: Option<String>,
    /// The GPUs of this computer that it alone has, by their UUIDs; none where they are pretended.
    #[serde(default)]
    pub(crate) gpus: Vec<String>,
    /// Virtual environments that engines are found in, by the engines' names.
    #[serde(default)]
    pub(crate) engine_runtimes: BTreeMap<String, PathBuf>,
    /// The launch it belongs to, its place in it, and the digest of its request.
    pub(crate) token: String,
    pub(crate) index: u32,
    pub(crate) request: String,
    /// Seconds since 1970.
    pub(crate) launched_at: u64,
    pub(crate) tags: Tags,
    /// The digest of the user data that it was launched with; records of before have none.
    #[serde(default)]
    pub(crate) user_data: Option<String>,
    pub(crate) desired: Desired,
    /// Whether it was started again once: a launch that dies leaves nothing, a start a disk.
    #[serde(default)]
    pub(crate) has_run: bool,
    pub(crate) cache_directory: PathBuf,
    pub(crate) namespaces: bool,
    /// Faults, fixed at launch.
    pub(crate) boot_delay_ms: u64,
    pub(crate) broken_program: Option<PathBuf>,
    /// It is this record and nothing else: no supervisor was or will be started for it.
    #[serde(default)]
    pub(crate) record_only: bool,
}

/// What the machine should be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Desired {
    Up,
    Stopped,
    Terminated,
}

/// Who the supervisor is. A process id alone may come to mean another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    pub(crate) start_time: u64,
    /// The kernel's boot, not the machine's.
    pub(crate) kernel_boot_id: String,
    /// Whether the user data has been dealt with.
    pub(crate) booted: bool,
    /// The digest of the user data that it was started with.
    #[serde(default)]
    pub(crate) user_data: Option<String>,
}

/// Whether the supervisor lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It never took the lock.
    NotStarted,
    /// It has the lock and is about to say who it is.
    Starting,
    Alive(Status),
    /// It had the lock once.
    Dead,
    /// There is none by intention: the machine is a record only, and does what is asked at once.
    RecordOnly,
}

impl MachineDirectory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The id, which is the directory's name.
    pub(crate) fn id(&self) -> &str {
        self.0.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    pub(crate) fn record_path(&self) -> PathBuf {
        self.0.join("machine.json")
    }

    pub(crate) fn user_data(&self) -> PathBuf {
        self.0.join("user-data")
    }

    pub(crate) fn status_path(&self) -> PathBuf {
        self.0.join("status.json")
    }

    pub(crate) fn cut(&self) -> PathBuf {
        self.0.join("cut")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    pub(crate) fn console(&self) -> PathBuf {
        self.0.join("console.log")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal.log")
    }

    pub(crate) fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    /// What `/run` is on a VM: in memory, and empty at every boot.
    pub(crate) fn memory(&self) -> PathBuf {
        Path::new("/dev/shm").join(format!("disagg-{}", self.id()))
    }

    pub(crate) fn record(&self) -> Result<Option<MachineRecord>, StateError> {
        files::read_json(&self.record_path())
    }

    /// Whether the supervisor lives.
    pub(crate) fn life(&self) -> Result<Life, StateError> {
        // In this order: the supervisor takes the lock before it writes its status, so a status
        // with a free lock is that of a dead one.
        let status = files::read_json::<Status>(&self.status_path())?;
        let path = self.alive_path();
        let locked = match File::open(&path) {
            Ok(file) => !is_free(&file).map_err(StateError::io("lock", &path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(StateError::io("open", &path)(error)),
        };
        Ok(match (status, locked) {
            (None, false) => Life::NotStarted,
            (None, true) => Life::Starting,
            (Some(status), true) => Life::Alive(status),
            (Some(_), false) => Life::Dead,
        })
    }

    /// Takes the lock that means life; `None` when another supervisor has it.
    pub(crate) fn try_live(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(self.alive_path())?;
        Ok(files::try_lock(&file)?.then_some(file))
    }

    fn alive_path(&self) -> PathBuf {
        self.0.join("alive")
    }
}

impl MachineRecord {
    /// What the contract calls the machine's state; `None` for one that is gone for good.
    pub(crate) fn state(&self, life: &Life, cut: bool) -> Option<InstanceState> {
        match (self.desired, life) {
            (Desired::Up, Life::NotStarted | Life::Starting) => Some(InstanceState::Pending),
            (Desired::Up, Life::Alive(_) | Life::RecordOnly) if cut => {
                Some(InstanceState::Impaired)
            }
            (Desired::Up, Life::RecordOnly) => Some(InstanceState::Running),
            (Desired::Up, Life::Alive(status)) if status.booted => Some(InstanceState::Running),
            (Desired::Up, Life::Alive(_)) => Some(InstanceState::Pending),
            (Desired::Up, Life::Dead) => None,
            (Desired::Stopped, Life::Starting | Life::Alive(_)) => Some(InstanceState::Stopping),
            (Desired::Stopped, Life::NotStarted | Life::Dead | Life::RecordOnly) => {
                Some(InstanceState::Stopped)
            }
            (Desired::Terminated, Life::Starting | Life::Alive(_)) => {
                Some(InstanceState::Terminating)
            }
            (Desired::Terminated, Life::NotStarted | Life::Dead | Life::RecordOnly) => None,
        }
    }

    /// Whether the machine's supervisor lives, if it is to have one.
    pub(crate) fn life(&self, machine: &MachineDirectory) -> Result<Life, StateError> {
        if self.record_only { Ok(Life::RecordOnly) } else { machine.life() }
    }
}

/// What user data is compared by.
pub(crate) fn digest_of(user_data: &[u8]) -> String {
    hex::encode(Sha256::digest(user_data))
}

/// The last bytes of a log, from the beginning of a line on.
pub(crate) fn log_tail(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    for path in [set_aside(path), path.to_owned()] {
        match File::open(path) {
            Ok(mut file) => {
                let length = file.metadata()?.len();
                // One byte more: it tells whether the first line is whole.
                file.seek(SeekFrom::Start(length.saturating_sub(bytes as u64 + 1)))?;
                file.read_to_end(&mut tail)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if let Some(excess) = tail.len().checked_sub(bytes).filter(|excess| *excess > 0) {
        let begin = tail[excess - 1..].iter().position(|byte| *byte == b'\n');
        tail.drain(..begin.map_or(excess, |newline| excess + newline));
    }
    Ok(tail)
}

/// Where a log that is full is kept, until the next one is.
pub(crate) fn set_aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    PathBuf::from(name)
}

/// Whether nobody has the lock for good.
fn is_free(file: &File) -> io::Result<bool> {
    match file.try_lock_shared() {
        Ok(()) => {
            files::unlock(file);
            Ok(true)
        }
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        Status {
            pid: 1,
            start_time: 2,
            kernel_boot_id: "b".to_owned(),
            booted: true,
            user_data: None,
        }
    }

    #[test]
    fn life_is_the_lock_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let machine = MachineDirectory::new(directory.path().to_owned());
        assert_eq!(machine.life().unwrap(), Life::NotStarted);
        let lock = machine.try_live().unwrap().unwrap();
        assert_eq!(machine.life().unwrap(), Life::Starting);
        files::write_json(&machine.status_path(), &status()).unwrap();
        assert_eq!(machine.life().unwrap(), Life::Alive(status()));
        assert!(machine.try_live().unwrap().is_none());
        files::unlock(&lock);
        assert_eq!(machine.life().unwrap(), Life::Dead);
    }
}
