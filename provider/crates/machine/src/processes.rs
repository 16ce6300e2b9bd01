//! The processes of this computer, found by a variable in their environment, and signals that
//! reach the process that was found and never one that has got its id since.

use crate::directory::{MACHINE_VARIABLE, MachineDirectory};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, pidfd_open, pidfd_send_signal, wait};
use std::{fs, io, os::fd::OwnedFd, path::Path, time::Duration};
use tokio::time::Instant;

/// A process that cannot become another one.
#[derive(Debug)]
pub struct Handle {
    pid: Pid,
    pidfd: OwnedFd,
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `T`, `Z` …
    pub state: u8,
    /// Its parent's id.
    pub parent: i32,
    /// Its session, by the id of the process that began it.
    pub session: i32,
    /// When it started, in ticks since the kernel's boot.
    pub start_time: u64,
}

impl Handle {
    /// The process with this id now; `None` when there is none.
    pub(crate) fn open(pid: Pid) -> io::Result<Option<Self>> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Some(Self { pid, pidfd })),
            // An id that only a session or a group still goes by is answered with one of the others.
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The process with this id, if it also started then.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn open_started_at(pid: i32, start_time: u64) -> io::Result<Option<Self>> {
        let Some(handle) = Pid::from_raw(pid).map(Self::open).transpose()?.flatten() else {
            return Ok(None);
        };
        Ok(stat(handle.pid).is_some_and(|stat| stat.start_time == start_time).then_some(handle))
    }

    /// Its id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal; a process that has ended meanwhile does not mind.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The processes of a machine's units; not its supervisor, nor what it is just starting: a child that is
/// stopped before it has become another program holds its parent up for ever. Engines write over their
/// environment when they name themselves: those are in the session of a process that has not.
///
/// # Errors
/// When the kernel does not tell.
pub fn members(machine: &MachineDirectory) -> io::Result<Vec<Handle>> {
    let variable = format!("{}={}", MACHINE_VARIABLE, machine.id());
    let mut found = with_variable(&variable)?;
    let leaders = found.iter().map(Handle::pid).collect::<Vec<_>>();
    found.extend(in_sessions_of(&leaders)?);
    Ok(found)
}

/// Lets every process of a machine's units go on.
///
/// # Errors
/// When the kernel does not tell.
pub fn continue_members(machine: &MachineDirectory) -> io::Result<()> {
    members(machine)?.iter().try_for_each(|member| member.signal(Signal::CONT))
}

/// Every process with this variable (`NAME=value`) in the environment it was started with, except
/// this one. Zombies have none.
pub(crate) fn with_variable(variable: &str) -> io::Result<Vec<Handle>> {
    matching(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    })
}

/// Every process below this one, and every one of this session.
pub(crate) fn descendants_or_session(ancestor: Pid) -> io::Result<Vec<Handle>> {
    let stats: Vec<(i32, Stat)> =
        ids()?.into_iter().filter_map(|pid| Some((pid.as_raw_pid(), stat(pid)?))).collect();
    let mut found = vec![ancestor.as_raw_pid()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        for (pid, stat) in &stats {
            let belongs = stat.parent == parent || stat.session == ancestor.as_raw_pid();
            if belongs && stat.state != b'Z' && !found.contains(pid) {
                found.push(*pid);
            }
        }
    }
    matching(|pid| pid != ancestor && found.contains(&pid.as_raw_pid()))
}

/// Every process that works below this directory and whose session has lost its leader: what the units of
/// a machine leave behind, and never the shell of somebody who has a look.
///
/// # Errors
/// When the kernel does not tell.
pub fn leaderless_in(directory: &Path) -> io::Result<Vec<Handle>> {
    matching(|pid| {
        let works_there = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_pid()))
            .is_ok_and(|path| path.starts_with(directory));
        works_there
            && stat(pid).is_some_and(|this| {
                this.state != b'Z'
                    && Pid::from_raw(this.session)
                        .and_then(stat)
                        .is_none_or(|leader| leader.state == b'Z')
            })
    })
}

/// Every process in a session that one of these has begun.
pub(crate) fn in_sessions_of(leaders: &[Pid]) -> io::Result<Vec<Handle>> {
    matching(|pid| {
        stat(pid).is_some_and(|this| {
            this.state != b'Z'
                && leaders
                    .iter()
                    .any(|leader| leader.as_raw_pid() == this.session && *leader != pid)
        })
    })
}

/// Every process below this one that is of this session.
pub(crate) fn in_session_below(ancestor: Pid, session: Pid) -> io::Result<Vec<Handle>> {
    let mut found = descendants_or_session(ancestor)?;
    found
        .retain(|handle| stat(handle.pid).is_some_and(|stat| stat.session == session.as_raw_pid()));
    Ok(found)
}

/// Kills every process that `find` finds, again and again until it finds none.
///
/// # Errors
/// `TimedOut` when some do not go although they were killed.
pub async fn kill_all(find: impl Fn() -> io::Result<Vec<Handle>>) -> io::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = find()?;
        if found.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            let ids = found.iter().map(|handle| handle.pid.as_raw_pid()).collect::<Vec<_>>();
            let message = format!("processes {ids:?} do not end although they were killed");
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        for handle in found {
            handle.signal(Signal::KILL)?;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The next child of this process that has ended, adopted ones included, with its exit code; a
/// child killed by a signal has 128 and the signal's number, as in a shell.
pub(crate) fn reap() -> io::Result<Option<(Pid, i32)>> {
    match wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => {
            let code =
                status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
            Ok(Some((pid, code.unwrap_or_default())))
        }
        Ok(None) | Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the kernel says of a process; `None` when it is gone.
pub fn stat(pid: Pid) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat", pid = pid.as_raw_pid())).ok()?)
}

/// The kernel's boot: process ids and start times mean nothing beyond it.
///
/// # Errors
/// When the kernel does not tell.
pub fn kernel_boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The second field is the command's name in parentheses, and may hold blanks and more of them.
    let mut fields = text[text.rfind(')')? + 1..].split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let start_time = fields.nth(15)?.parse().ok()?;
    Some(Stat { state, parent, session, start_time })
}

fn matching(belongs: impl Fn(Pid) -> bool) -> io::Result<Vec<Handle>> {
    let this = rustix::process::getpid();
    let mut found = Vec::new();
    for pid in ids()?.into_iter().filter(|pid| *pid != this) {
        // Opened before it is looked at, so that what is signalled is what was looked at.
        if let Some(handle) = belongs(pid).then(|| Handle::open(pid)).transpose()?.flatten()
            && belongs(pid)
        {
            found.push(handle);
        }
    }
    Ok(found)
}

fn ids() -> io::Result<Vec<Pid>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        ids.extend(name.to_str().and_then(|name| Pid::from_raw(name.parse().ok()?)));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn the_name_of_a_command_may_hold_anything() {
        let text = "42 (a) b (c)) S 7 42 43 0 -1 4194304 1 0 0 0 5 6 0 0 20 0 1 0 987654 1 2 3";
        let expected = Stat { state: b'S', parent: 7, session: 43, start_time: 987_654 };
        assert_eq!(parse_stat(text), Some(expected));
        assert_eq!(parse_stat("42 (sh"), None);
    }

    #[tokio::test]
    async fn processes_are_found_by_their_environment_and_killed() {
        let variable = format!("DISAGG_TEST_MARK={}", std::process::id());
        let (name, value) = variable.split_once('=').unwrap();
        let mut child =
            Command::new("sleep").arg("60").env(name, value).stdin(Stdio::null()).spawn().unwrap();
        // A process is born before the kernel has laid out its environment.
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                let found = with_variable(&variable).unwrap();
                if !found.is_empty() {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let found = found.await.expect("the process is found");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid().as_raw_pid(), child.id().cast_signed());

        let start_time = stat(found[0].pid()).unwrap().start_time;
        let pid = child.id().cast_signed();
        assert!(Handle::open_started_at(pid, start_time).unwrap().is_some());
        assert!(Handle::open_started_at(pid, start_time + 1).unwrap().is_none());

        kill_all(|| with_variable(&variable)).await.unwrap();
        assert_eq!(child.wait().unwrap().code(), None);
    }
}
