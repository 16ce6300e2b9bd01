//! The program that machines run, kept in the state directory: a provider that is rebuilt or
//! removed does not disturb the machines it launched.

use crate::error::StateError;
use crate::store::{Change, Store};
use machine::files;
use rustix::fs::{AtFlags, CWD, linkat};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// The copy of `binary` in the state directory, made if it is not there yet.
///
/// Which file it is a copy of is told by identity, size and time of change, as build tools tell
/// it: reading tens of megabytes for every launch would cost more than the launch. Where it can be
/// the copy is a hard link.
pub(crate) fn place(store: &Store, _: &Change, binary: &Path) -> Result<PathBuf, StateError> {
    let meta = fs::metadata(binary).map_err(StateError::io("find", binary))?;
    let name = format!(
        "machine-{:x}-{:x}-{:x}-{:x}",
        meta.ino(),
        meta.size(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    let directory = store.programs();
    let copy = directory.join(&name);
    if copy.exists() {
        return Ok(copy);
    }
    // What runs keeps its file, also when the name is gone.
    for other in files::list(&directory)? {
        files::remove(&directory.join(other))?;
    }
    let new = directory.join(format!(".{name}"));
    files::remove(&new)?;
    link_or_copy(binary, &new).map_err(StateError::io("copy this program to", &new))?;
    fs::rename(&new, &copy).map_err(StateError::io("rename", &new))?;
    Ok(copy)
}

fn link_or_copy(binary: &Path, new: &Path) -> io::Result<()> {
    match linkat(CWD, binary, CWD, new, AtFlags::SYMLINK_FOLLOW) {
        Ok(()) => Ok(()),
        // Another file system, another owner, or a file without a name: a copy always works.
        Err(_) => fs::copy(binary, new).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuilt_program_is_another_one_and_replaces_the_old() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("state")).unwrap();
        let change = store.try_change().unwrap().unwrap();
        let binary = directory.path().join("binary");
        fs::write(&binary, "one").unwrap();
        let first = place(&store, &change, &binary).unwrap();
        assert_eq!(place(&store, &change, &binary).unwrap(), first);

        fs::remove_file(&binary).unwrap();
        assert_eq!(fs::read(&first).unwrap(), b"one");
        fs::write(&binary, "second").unwrap();
        let second = place(&store, &change, &binary).unwrap();
        assert_eq!(fs::read(&second).unwrap(), b"second");
        assert_eq!(files::list(&store.programs()).unwrap().len(), 1);
    }

    #[test]
    fn the_running_program_can_be_placed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let change = store.try_change().unwrap().unwrap();
        let copy = place(&store, &change, Path::new("/proc/self/exe")).unwrap();
        let running = fs::metadata(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(fs::metadata(copy).unwrap().len(), running.len());
    }
}
