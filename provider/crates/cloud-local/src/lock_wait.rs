//! Waiting for a lock that another process has: for a while, and then with its name.

use crate::error::StateError;
use machine::files::try_lock;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Changes are short, also those of other processes: who has it for longer hangs, or was stopped.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Waits until the lock of this file is ours.
pub(crate) async fn wait_for_lock(file: &File, path: &Path) -> Result<(), StateError> {
    let begun = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !try_lock(file).map_err(StateError::io("lock", path))? {
        if begun.elapsed() >= LONGEST_WAIT {
            let (path, waited) = (path.to_owned(), LONGEST_WAIT);
            return Err(StateError::Locked { path, holder: holder(file), waited });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}

/// Who has the lock, as far as the kernel tells: as in `process 4711 (terraform-provi)`.
fn holder(file: &File) -> Option<String> {
    let inode = file.metadata().ok()?.ino();
    let process = process_of(&fs::read_to_string("/proc/locks").ok()?, inode)?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    Some(match name.trim() {
        "" => format!("process {process}"),
        name => format!("process {process} ({name})"),
    })
}

/// The process that has a lock on this inode, by the kernel's list. Which device it is on is not compared:
/// the list and the file system do not name every device alike.
fn process_of(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 4711 00:2f:1234 0 EOF`; who only waits has an arrow before the kind.
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == "FLOCK").then_some(())?;
        let process = words.nth(2)?.parse().ok()?;
        let found: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
        (found == inode && process != 0).then_some(process)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_who_has_a_lock() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 00:2f:42 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 00:2f:42 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 00:2f:42 0 EOF\n\
                     3: FLOCK  ADVISORY  READ  14 fd:00:421 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fd:00:77 0 EOF\n";
        for (inode, process) in [(42, Some(12)), (421, Some(14)), (77, None), (4, None)] {
            assert_eq!(process_of(locks, inode), process, "{inode}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_is_not_given_up_is_waited_for_no_longer_and_its_holder_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let theirs = File::create(&path).unwrap();
        assert!(try_lock(&theirs).unwrap());
        let ours = File::open(&path).unwrap();
        let begun = Instant::now();
        let error = wait_for_lock(&ours, &path).await.unwrap_err();
        assert!(begun.elapsed() < LONGEST_WAIT + Duration::from_secs(1));
        let StateError::Locked { holder, .. } = &error else { panic!("{error}") };
        // Where the kernel hides other namespaces' processes, it hides this one as well.
        if let Some(holder) = holder {
            assert!(holder.contains(&std::process::id().to_string()), "{error}");
        }
        drop(theirs);
        wait_for_lock(&ours, &path).await.unwrap();
    }
}
