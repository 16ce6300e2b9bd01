//! What machines of one computer share: installed runtimes and models, in one directory.
//!
//! Installing Dynamo, etcd and NATS there is the boot scripts' business; they lock.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

/// Where runtimes are, in a cache.
pub fn runtime(cache_directory: &Path) -> PathBuf {
    cache_directory.join("runtime")
}

/// Where models are, in a cache.
pub fn models(cache_directory: &Path) -> PathBuf {
    cache_directory.join("models")
}

/// Links the cache into a machine's root.
pub(crate) fn link(cache_directory: &Path, root: &Path) -> io::Result<()> {
    let below = root.join("opt/disagg");
    fs::create_dir_all(&below)?;
    for (name, target) in
        [("runtime", runtime(cache_directory)), ("models", models(cache_directory))]
    {
        match symlink(target, below.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_see_the_cache() {
        let cache = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(runtime(cache.path())).unwrap();
        fs::create_dir_all(models(cache.path()).join("some/model")).unwrap();
        for _ in 0..2 {
            link(cache.path(), root.path()).unwrap();
        }
        assert!(root.path().join("opt/disagg/models/some/model").is_dir());
        assert!(root.path().join("opt/disagg/runtime").is_dir());
    }
}
