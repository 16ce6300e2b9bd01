//! A machine's own view of `/etc/hosts`, by a mount namespace that only its processes are in.
//!
//! Root needs nothing more; anyone else takes a user namespace in which they are still themselves.
//! Kernels and containers refuse that for many reasons, and a machine does without.

use rustix::{
    mount::{MountPropagationFlags, mount_bind, mount_change},
    process::{getegid, geteuid},
    thread::{UnshareFlags, unshare_unsafe},
};
use std::{fs, io, path::Path};

/// Moves this process, which must have one thread, into a mount namespace of its own, in which
/// `hosts` is `/etc/hosts`.
pub(crate) fn enter(hosts: &Path) -> io::Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    if user == 0 && unshare(UnshareFlags::NEWNS).is_ok() {
        return show(hosts);
    }
    unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    show(hosts)
}

fn show(hosts: &Path) -> io::Result<()> {
    // Else the mount would appear on the whole computer.
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount_bind(hosts, "/etc/hosts")?;
    Ok(())
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the call is unsafe for the sake of a flag that is not used")]
    // SAFETY: `UnshareFlags::FILES` is not among the flags, so file descriptors stay shared.
    unsafe {
        unshare_unsafe(flags)?;
    }
    Ok(())
}
