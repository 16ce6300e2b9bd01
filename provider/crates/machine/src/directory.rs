//! One machine on disk, as whoever launches it and the machine's own supervisor both see it.
//!
//! ```text
//! machine.json     its configuration; whoever launches writes it, the supervisor reads it
//! user-data        the very bytes of the launch
//! alive            flock'd by the supervisor as long as it lives: the truth about liveness
//! status.json      written by the supervisor once it has the lock
//! cut              there while the machine's network is cut
//! root/            the machine's root directory
//! console.log      its serial console
//! journal.log      everything its units print
//! supervisor.log   what the supervisor itself has to say, which should be nothing
//! ```

use crate::config::MachineConfig;
use crate::files::{self, FileError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// Marks every process of a machine's units, with the machine's id.
pub(crate) const MACHINE_VARIABLE: &str = "DISAGG_MACHINE";

/// What the supervisor says once it has the lock that means life.
pub const ALIVE: &str = "alive\n";

/// A machine's directory.
#[derive(Clone, Debug)]
pub struct MachineDirectory(PathBuf);

/// Who the supervisor is. A process id alone may come to mean another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`.
    pub start_time: u64,
    /// The kernel's boot, not the machine's.
    pub kernel_boot_id: String,
    /// Whether the user data has been dealt with.
    pub booted: bool,
    /// The digest of the user data that it was started with.
    #[serde(default)]
    pub user_data: Option<String>,
}

/// Whether the supervisor lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// It never took the lock.
    NotStarted,
    /// It has the lock and is about to say who it is.
    Starting,
    /// It has the lock.
    Alive(Status),
    /// It had the lock once.
    Dead,
}

impl MachineDirectory {
    /// The machine in this directory, whether there is one or not.
    pub fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The id, which is the directory's name.
    pub fn id(&self) -> &str {
        self.0.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Its [`MachineConfig`].
    pub fn config_path(&self) -> PathBuf {
        self.0.join("machine.json")
    }

    /// What it was launched with.
    pub fn user_data(&self) -> PathBuf {
        self.0.join("user-data")
    }

    /// Its [`Status`].
    pub fn status_path(&self) -> PathBuf {
        self.0.join("status.json")
    }

    /// There while its network is cut.
    pub fn cut(&self) -> PathBuf {
        self.0.join("cut")
    }

    /// Its root directory: what is `/` on a VM.
    pub fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// Its serial console.
    pub fn console(&self) -> PathBuf {
        self.0.join("console.log")
    }

    /// What its units print.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.log")
    }

    /// What the supervisor itself has to say, which should be nothing.
    pub fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.log")
    }

    /// What `/run` is on a VM: in memory, and empty at every boot.
    pub fn memory(&self) -> PathBuf {
        Path::new("/dev/shm").join(format!("disagg-{}", self.id()))
    }

    /// What it is told by whoever launched it; nothing when that is gone.
    pub(crate) fn config(&self) -> Result<Option<MachineConfig>, FileError> {
        files::read_json(&self.config_path())
    }

    /// Whether the supervisor lives.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn life(&self) -> Result<Life, FileError> {
        // In this order: the supervisor takes the lock before it writes its status, so a status
        // with a free lock is that of a dead one.
        let status = files::read_json::<Status>(&self.status_path())?;
        let path = self.alive_path();
        let locked = match File::open(&path) {
            Ok(file) => !is_free(&file).map_err(FileError::io("lock", &path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(FileError::io("open", &path)(error)),
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

/// What user data is compared by.
pub fn digest_of(user_data: &[u8]) -> String {
    hex::encode(Sha256::digest(user_data))
}

/// The last bytes of a log, from the beginning of a line on.
///
/// # Errors
/// When it cannot be read; one that is not there is empty.
pub fn log_tail(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
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
