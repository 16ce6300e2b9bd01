//! The state directory: its layout, and who may change it when.
//!
//! ```text
//! format              the version of this layout
//! lock                flock'd for as long as a change takes
//! faults.json         fault switches, written by whoever tests
//! fleets/NAME.json
//! addresses/ID.json
//! machines/ID/        see [`MachineDirectory`]
//! programs/           what machines run
//! ```
//!
//! Reading takes no lock. What the records mean is not known here.

use crate::error::StateError;
use crate::lock_wait::wait_for_lock;
use machine::MachineDirectory;
use machine::files::{
    is_file_name, list, make_private_directory, read_json, try_lock, unlock, write_json_durably,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
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
            None => {
                write_json_durably(&format, &Format { format: FORMAT })?;
                Ok(store)
            }
        }
    }

    /// Waits for the right to change the directory. Changes are short, also those of other
    /// processes.
    pub(crate) async fn change(&self) -> Result<Change, StateError> {
        let (path, file) = self.lock_file()?;
        wait_for_lock(&file, &path).await?;
        Ok(Change { lock: file })
    }

    /// The right to change the directory, if nobody has it.
    pub(crate) fn try_change(&self) -> Result<Option<Change>, StateError> {
        let (path, file) = self.lock_file()?;
        Ok(try_lock(&file).map_err(StateError::io("lock", &path))?.then_some(Change { lock: file }))
    }

    fn lock_file(&self) -> Result<(PathBuf, File), StateError> {
        let path = self.directory.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(StateError::io("open", &path))?;
        Ok((path, file))
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fs;

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
}
