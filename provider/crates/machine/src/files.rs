//! Files that are either old or new, never torn; and their locks.

use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// A file could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The computer said so.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// As in `write`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the computer said.
        source: io::Error,
    },
    /// It is there, and says nothing that could be understood.
    #[error("{} is not what this version of the provider writes", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl FileError {
    /// For `map_err`: what was being done, to which file.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// Whether a name can be a file's: nothing that leads elsewhere, nothing hidden.
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The names in a directory, sorted, without hidden ones: those are being written.
pub fn list(directory: &Path) -> Result<Vec<String>, FileError> {
    let failed = || FileError::io("list", directory);
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
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let Some(bytes) = read(path)?.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|source| FileError::Malformed { path: path.to_owned(), source })
}

/// A file's bytes, or nothing where there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(FileError::io("read", path)(error)),
    }
}

/// Replaces a JSON file.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    write(path, &json_bytes(value))
}

/// Replaces a JSON file, and is done when it would survive a loss of power: for what outlives the
/// computer's boot. Machines do not, and to sync a thousand of them is most of what they cost.
pub fn write_json_durably<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    replace(path, &json_bytes(value), true)
}

/// Replaces a file: after the death of any process at any instant it holds the old bytes or the new
/// ones. After a loss of power it may be empty.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes, false)
}

fn json_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("records have string keys only");
    bytes.push(b'\n');
    bytes
}

fn replace(path: &Path, bytes: &[u8], durably: bool) -> Result<(), FileError> {
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
        FileError::io("write", path)(error)
    })
}

/// Removes a file that may not be there.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if !is_absence(&error) => Err(FileError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a directory with all in it that may not be there.
pub fn remove_directory(path: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if !is_absence(&error) => Err(FileError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a directory for this user alone.
pub fn make_private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes a file's lock if it is free.
pub fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(fs::TryLockError::WouldBlock) => Ok(false),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Gives a file's lock up at once. Closing the file alone would not: a process that another thread
/// is just starting may have it open for a moment longer.
pub fn unlock(file: &File) {
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
