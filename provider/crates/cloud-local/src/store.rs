//! The state directory: who may change it when, and files that are either old or new, never torn.
//!
//! ```text
//! format              the version of this layout
//! lock                flock'd for as long as a change takes
//! faults.json         fault switches, written by whoever tests
//! fleets/NAME.json
//! addresses/ID.json
//! machines/ID/        see `machine_directory`
//! programs/           what machines run
//! ```
//!
//! Reading takes no lock. What the records mean is not known here.

use crate::error::StateError;
use crate::machine_directory::MachineDirectory;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const FORMAT: u32 = 1;

/// A state directory.
#[derive(Debug)]
pub(crate) struct Store {
    directory: PathBuf,
}

/// The right to change a state directory, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Change {
    lock: File,
}

impl Drop for Change {
    fn drop(&mut self) {
        unlock(&self.lock);
    }
}

#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
}

impl Store {
    /// Opens the directory, and makes it where there is none.
    pub(crate) fn open(directory: &Path) -> Result<Self, StateError> {
        let directory = std::path::absolute(directory)
            .map_err(StateError::io("find the state directory", directory))?;
        let store = Self { directory };
        for path in [
            store.directory.clone(),
            store.fleets(),
            store.addresses(),
            store.machines(),
            store.programs(),
        ] {
            make_private_directory(&path)
                .map_err(StateError::io("make the state directory", &path))?;
        }
        let format = store.directory.join("format");
        match read_json::<Format>(&format)? {
            Some(Format { format: found }) if found > FORMAT => {
                Err(StateError::Newer { path: store.directory, found, known: FORMAT })
            }
            Some(_) => Ok(store),
            None => write_json_durably(&format, &Format { format: FORMAT }).map(|()| store),
        }
    }

    /// Waits for the right to change the directory. Changes are short, also those of other
    /// processes.
    pub(crate) async fn change(&self) -> Result<Change, StateError> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(change) = self.try_change()? {
                return Ok(change);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// The right to change the directory, if nobody has it.
    pub(crate) fn try_change(&self) -> Result<Option<Change>, StateError> {
        let path = self.directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(StateError::io("open", &path))?;
        Ok(try_lock(&file).map_err(StateError::io("lock", &path))?.then_some(Change { lock: file }))
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn fleets(&self) -> PathBuf {
        self.directory.join("fleets")
    }

    pub(crate) fn addresses(&self) -> PathBuf {
        self.directory.join("addresses")
    }

    pub(crate) fn machines(&self) -> PathBuf {
        self.directory.join("machines")
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.directory.join("programs")
    }

    /// The machine's directory, whether it exists or not; `None` for what cannot be an id.
    pub(crate) fn machine(&self, id: &str) -> Option<MachineDirectory> {
        is_file_name(id).then(|| MachineDirectory::new(self.machines().join(id)))
    }

    /// Every machine's directory.
    pub(crate) fn list_machines(&self) -> Result<Vec<MachineDirectory>, StateError> {
        let names = list(&self.machines())?;
        Ok(names.iter().map(|name| MachineDirectory::new(self.machines().join(name))).collect())
    }
}

/// Whether a name can be a file's: nothing that leads elsewhere, nothing hidden.
pub(crate) fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The names in a directory, sorted, without hidden ones: those are being written.
pub(crate) fn list(directory: &Path) -> Result<Vec<String>, StateError> {
    let failed = || StateError::io("list", directory);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name();
        if let Some(name) = name.to_str().filter(|name| is_file_name(name)) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A JSON file, or nothing where there is none, or an empty one, which a loss of power leaves of what
/// was not written durably.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(bytes) = read(path)?.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| StateError::Malformed { path: path.to_owned(), source })
}

/// A file's bytes, or nothing where there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(StateError::io("read", path)(error)),
    }
}

/// Replaces a JSON file.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    write(path, &json_bytes(value))
}

/// Replaces a JSON file, and is done when it would survive a loss of power: for what outlives the
/// computer's boot. Machines do not, and to sync a thousand of them is most of what they cost.
pub(crate) fn write_json_durably<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    replace(path, &json_bytes(value), true)
}

/// Replaces a file: after the death of any process at any instant it holds the old bytes or the new
/// ones. After a loss of power it may be empty.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    replace(path, bytes, false)
}

fn json_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("records have string keys only");
    bytes.push(b'\n');
    bytes
}

fn replace(path: &Path, bytes: &[u8], durably: bool) -> Result<(), StateError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.{}-{count}", std::process::id()));
    let replaced = (|| {
        let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        if durably {
            file.sync_all()?;
        }
        fs::rename(&new, path)?;
        if durably {
            File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        }
        Ok(())
    })();
    replaced.map_err(|error| {
        // Best effort: what is left of it is hidden and harmless.
        let _ = fs::remove_file(&new);
        StateError::io("write", path)(error)
    })
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<(), StateError> {
    match fs::remove_file(path) {
        Err(error) if !is_absence(&error) => Err(StateError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a directory with all in it that may not be there.
pub(crate) fn remove_directory(path: &Path) -> Result<(), StateError> {
    match fs::remove_dir_all(path) {
        Err(error) if !is_absence(&error) => Err(StateError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a directory for this user alone.
pub(crate) fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes a file's lock if it is free.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Gives a file's lock up at once. Closing the file alone would not: a process that another thread
/// is just starting may have it open for a moment longer.
pub(crate) fn unlock(file: &File) {
    if let Err(error) = file.unlock() {
        tracing::debug!(%error, "a lock is given up only with its file");
    }
}

/// A parent that is gone, or is a file, means absence too.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_newer_directory_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("format"), r#"{"format": 7, "new": true}"#).unwrap();
        let error = Store::open(directory.path()).unwrap_err().to_string();
        let error = error.replace(directory.path().to_str().unwrap(), "DIRECTORY");
        expect!["the state directory DIRECTORY was written by a newer version of the provider (format 7; this one knows 1)"]
            .assert_eq(&error);
    }

    #[test]
    fn what_cannot_be_made_is_an_error_with_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let error = Store::open(&file.join("state")).unwrap_err().to_string();
        let error = error.replace(directory.path().to_str().unwrap(), "DIRECTORY");
        expect!["cannot make the state directory DIRECTORY/file/state"].assert_eq(&error);
    }

    #[test]
    fn a_change_excludes_others_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) =
            (Store::open(directory.path()).unwrap(), Store::open(directory.path()).unwrap());
        let change = one.try_change().unwrap();
        assert!(change.is_some());
        assert!(two.try_change().unwrap().is_none());
        drop(change);
        assert!(two.try_change().unwrap().is_some());
    }

    #[test]
    fn files_are_replaced_whole_and_leave_nothing_beside_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("value.json");
        assert_eq!(read_json::<Vec<u32>>(&path).unwrap(), None);
        for value in [vec![1, 2, 3], vec![4]] {
            write_json(&path, &value).unwrap();
            assert_eq!(read_json(&path).unwrap(), Some(value.clone()));
            write_json_durably(&path, &value).unwrap();
            assert_eq!(read_json(&path).unwrap(), Some(value));
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
    }

    #[test]
    fn names_that_lead_elsewhere_are_no_ids() {
        for (name, good) in [
            ("m-0a", true),
            ("a.b_c", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            (".new", false),
        ] {
            assert_eq!(is_file_name(name), good, "{name}");
        }
    }
}
