//! One unit's processes: started, watched, started again, stopped.
//!
//! systemd keeps a unit's processes together in a control group. Here they are told by the
//! `INVOCATION_ID` that systemd too gives each start of a unit, and by the session of its main process.

use crate::environment;
use crate::logs::Logs;
use crate::processes::{self, Handle};
use crate::root::below;
use crate::unit::{KillMode, Unit};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, getrlimit, kill_process,
    set_parent_process_death_signal, setrlimit, setsid,
};
use std::{
    collections::BTreeMap,
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{io::AsyncReadExt, net::unix::pipe, task::JoinSet, time::Instant};

const INVOCATION_VARIABLE: &str = "INVOCATION_ID";

/// A longer line of output is broken.
const LONGEST_LINE: usize = 16 << 10;

/// A unit on a machine that is up.
#[derive(Debug)]
pub(crate) struct Service {
    unit: Unit,
    activity: Activity,
}

#[derive(Debug)]
enum Activity {
    Running {
        pid: Pid,
        invocation: String,
    },
    /// Ended, and to be started again then.
    Waiting(Instant),
    Stopping {
        pid: Pid,
        invocation: String,
        kill_at: Instant,
    },
    Stopped,
}

/// What all units of a machine have in common for the time of one boot.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    pub(crate) root: &'a Path,
    pub(crate) logs: &'a Arc<Logs>,
    /// The machine's own variables: they win over the unit's.
    pub(crate) environment: BTreeMap<String, String>,
    /// There while the machine's network is cut: nothing is started then.
    pub(crate) cut: &'a Path,
}

impl Service {
    pub(crate) fn new(unit: Unit) -> Self {
        Self { unit, activity: Activity::Waiting(Instant::now()) }
    }

    /// When something is to be done: a start, or the end of patience.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.activity {
            Activity::Waiting(at) | Activity::Stopping { kill_at: at, .. } => Some(at),
            Activity::Running { .. } | Activity::Stopped => None,
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.activity, Activity::Stopped)
    }

    /// Starts the unit, if that is due.
    pub(crate) fn start_if_due(&mut self, around: &Surroundings<'_>, readers: &mut JoinSet<()>) {
        if !matches!(self.activity, Activity::Waiting(at) if at <= Instant::now()) {
            return;
        }
        let started =
            if around.cut.exists() { Ok(None) } else { self.start(around, readers).map(Some) };
        self.activity = match started {
            Ok(Some((pid, invocation))) => Activity::Running { pid, invocation },
            Ok(None) => self.later(),
            Err(error) => {
                let line = format!("cannot be started: {error}");
                around.logs.journal(&self.unit.name, line.as_bytes());
                self.later()
            }
        };
    }

    /// Takes note of a child of this process that has ended, if it was this unit's main process.
    pub(crate) async fn ended(
        &mut self,
        child: Pid,
        code: i32,
        around: &Surroundings<'_>,
    ) -> io::Result<()> {
        let (invocation, next) = match &self.activity {
            Activity::Running { pid, invocation } if *pid == child => {
                (invocation.clone(), self.later())
            }
            Activity::Stopping { pid, invocation, .. } if *pid == child => {
                (invocation.clone(), Activity::Stopped)
            }
            _ => return Ok(()),
        };
        let line = format!("ended with exit code {code}");
        around.logs.journal(&self.unit.name, line.as_bytes());
        self.activity = next;
        // What the main process left behind would be in the way of the next one.
        processes::kill_all(|| members(child, &invocation)).await
    }

    /// Asks the unit to stop.
    pub(crate) fn stop(&mut self) -> io::Result<()> {
        let (pid, invocation) = match std::mem::replace(&mut self.activity, Activity::Stopped) {
            Activity::Running { pid, invocation } => (pid, invocation),
            Activity::Waiting(_) | Activity::Stopped => return Ok(()),
            stopping @ Activity::Stopping { .. } => {
                self.activity = stopping;
                return Ok(());
            }
        };
        let members = members(pid, &invocation)?;
        let kill_at = Instant::now() + self.unit.stop_timeout;
        self.activity = Activity::Stopping { pid, invocation, kill_at };
        match self.unit.kill_mode {
            KillMode::Mixed => signal(pid, Signal::TERM)?,
            KillMode::ControlGroup => {
                // Also when it was started so lately that it has no environment of its own yet.
                signal(pid, Signal::TERM)?;
                let mut others = members.iter().filter(|member| member.pid() != pid);
                others.try_for_each(|member| member.signal(Signal::TERM))?;
            }
        }
        // Also those that a simulated cut has stopped.
        signal(pid, Signal::CONT)?;
        members.iter().try_for_each(|member| member.signal(Signal::CONT))
    }

    /// Kills the unit, if its time to stop is over. Its end is told like any other.
    pub(crate) fn kill_if_due(&mut self, around: &Surroundings<'_>) -> io::Result<()> {
        if let Activity::Stopping { pid, kill_at, .. } = &mut self.activity
            && *kill_at <= Instant::now()
        {
            around.logs.journal(&self.unit.name, b"did not stop in time and is killed");
            *kill_at += Duration::from_secs(60);
            return signal(*pid, Signal::KILL);
        }
        Ok(())
    }

    fn later(&self) -> Activity {
        Activity::Waiting(Instant::now() + self.unit.restart_delay)
    }

    fn start(
        &self,
        around: &Surroundings<'_>,
        readers: &mut JoinSet<()>,
    ) -> io::Result<(Pid, String)> {
        let invocation =
            fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().replace('-', "");
        let program = below(around.root, &self.unit.program);
        // A program of the image, which is this computer.
        let program = if program.exists() { program } else { self.unit.program.clone() };
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new(program);
        command
            .args(&self.unit.arguments)
            .envs(self.environment(around.root)?)
            .envs(&around.environment)
            .env(INVOCATION_VARIABLE, &invocation)
            .current_dir(match &self.unit.working_directory {
                Some(directory) => below(around.root, directory),
                None => around.root.to_owned(),
            })
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer);
        let supervisor = getpid();
        let open_files = self.open_files(around);
        #[expect(unsafe_code, reason = "what runs between fork and exec must be set up here")]
        // SAFETY: the closure makes system calls only, and takes no lock and no memory.
        unsafe {
            command.pre_exec(move || {
                setsid()?;
                if let Some(limit) = &open_files {
                    setrlimit(Resource::Nofile, *limit)?;
                }
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // The supervisor may have died before the signal was set.
                if getppid() == Some(supervisor) {
                    Ok(())
                } else {
                    Err(io::ErrorKind::BrokenPipe.into())
                }
            });
        }
        let child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("the kernel gave no process id"))?;
        let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let (logs, name, console) =
            (Arc::clone(around.logs), self.unit.name.clone(), self.unit.console);
        readers.spawn(async move {
            let source = format!("{name}[{}]", pid.as_raw_pid());
            let copied = copy_lines(reader, |line| {
                logs.journal(&source, line);
                if console {
                    logs.console(line);
                }
            });
            if let Err(error) = copied.await {
                logs.journal(&source, format!("its output cannot be read: {error}").as_bytes());
            }
        });
        Ok((pid, invocation))
    }

    /// The limit of open files that the unit asks for, as far as this computer allows it.
    fn open_files(&self, around: &Surroundings<'_>) -> Option<Rlimit> {
        let wanted = self.unit.open_files?;
        let (limit, most) = open_files(wanted, getrlimit(Resource::Nofile).maximum);
        if let Some(most) = most {
            let line = format!(
                "may have {most} files open, not {wanted}: the hard limit of whoever started this \
                 machine (`ulimit -Hn`)"
            );
            around.logs.journal(&self.unit.name, line.as_bytes());
        }
        Some(limit)
    }

    /// The unit's own variables.
    fn environment(&self, root: &Path) -> io::Result<Vec<(String, String)>> {
        let mut variables = self.unit.environment.clone();
        for file in &self.unit.environment_files {
            let path = below(root, &file.path);
            let text = match fs::read_to_string(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && file.optional => continue,
                read => read.map_err(|error| in_file(&path, error))?,
            };
            let parsed = environment::parse_file(&text);
            variables.extend(parsed.map_err(|error| in_file(&path, io::Error::other(error)))?);
        }
        Ok(variables)
    }
}

/// The limit to set, and the hard limit where it is below what is wanted.
fn open_files(wanted: u64, hard: Option<u64>) -> (Rlimit, Option<u64>) {
    let most = hard.filter(|hard| *hard < wanted);
    let limit = Some(most.unwrap_or(wanted));
    (Rlimit { current: limit, maximum: limit }, most)
}

/// The processes of one start of a unit. Engines write over their environment when they name themselves: those
/// are known by the session that the main process has begun, whose id is nobody else's while they are in it.
fn members(main: Pid, invocation: &str) -> io::Result<Vec<Handle>> {
    let mut found = processes::with_variable(&format!("{INVOCATION_VARIABLE}={invocation}"))?;
    let others = processes::in_session_below(getpid(), main)?;
    found.extend(others);
    Ok(found)
}

/// Signals a child that has not been reaped, so that its id is still its own.
fn signal(pid: Pid, signal: Signal) -> io::Result<()> {
    match kill_process(pid, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn in_file(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Calls `line` with each line up to the end of the pipe.
async fn copy_lines(mut pipe: pipe::Receiver, mut line: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(LONGEST_LINE);
    loop {
        let ended = pipe.read_buf(&mut buffer).await? == 0;
        while let Some(newline) = buffer.iter().position(|byte| *byte == b'\n') {
            line(&buffer[..newline]);
            buffer.drain(..=newline);
        }
        if buffer.len() >= LONGEST_LINE || (ended && !buffer.is_empty()) {
            line(&buffer);
            buffer.clear();
        }
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn open_files_are_what_the_unit_says_and_never_above_the_hard_limit() {
        for (hard, expected, told) in [
            (None, 524_288, None),
            (Some(1_048_576), 524_288, None),
            (Some(524_288), 524_288, None),
            (Some(4096), 4096, Some(4096)),
        ] {
            let limit = Some(expected);
            let expected = (Rlimit { current: limit, maximum: limit }, told);
            assert_eq!(open_files(524_288, hard), expected, "{hard:?}");
        }
    }

    #[tokio::test]
    async fn output_is_cut_into_lines() {
        let (reader, mut writer) = io::pipe().unwrap();
        let long = vec![b'x'; LONGEST_LINE + 10];
        writer.write_all(b"one\n\ntwo").unwrap();
        writer.write_all(b" more\n").unwrap();
        writer.write_all(&long).unwrap();
        writer.write_all(b"\nlast").unwrap();
        drop(writer);
        let mut lines = Vec::new();
        let reader = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).unwrap();
        copy_lines(reader, |line| lines.push(line.to_owned())).await.unwrap();
        assert_eq!(lines[..3], [&b"one"[..], b"", b"two more"]);
        assert_eq!(lines[lines.len() - 1], b"last");
        assert_eq!(lines[3..lines.len() - 1].concat(), long);
    }
}
