//! The program that a machine is: how it is started as a process without a parent.

use crate::directory::MachineDirectory;
use crate::supervisor;
use std::{
    ffi::OsString,
    fs, io,
    io::Write,
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const SUPERVISE: &str = "--supervise";

/// Runs `machine DIRECTORY`, with the arguments after that word: starts the machine's supervisor as a
/// process without a parent and ends. Secrets come on the standard input, and what it has to say of itself goes
/// to the standard error.
pub fn machine_main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = arguments.into_iter().collect::<Vec<_>>();
    let result = match &arguments[..] {
        [directory] => detach(Path::new(directory)).map_err(Into::into),
        [flag, directory] if flag == SUPERVISE => supervise(PathBuf::from(directory)),
        _ => {
            Err("this command is for whoever launches machines; it takes a machine's directory"
                .into())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The standard error is the machine's own log; there is nowhere else to go.
            let _ = writeln!(io::stderr(), "{}", cloud::with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The second of the two processes between the launching one and the machine: when this one ends,
/// its child belongs to nobody.
fn detach(directory: &Path) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("disagg").arg("machine").arg(SUPERVISE).arg(directory);
    command.spawn().map(drop)
}

fn supervise(directory: PathBuf) -> Result<(), Box<dyn std::error::Error>> {
    close_inherited_descriptors()?;
    rustix::process::setsid()?;
    rustix::thread::set_name(c"disagg-machine")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // One thread: a user namespace can be entered by no other process, and a child whose parent's
    // thread ends dies with it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervisor::run(MachineDirectory::new(directory)))
}

/// Whatever the launching process had open is not this one's business, and some of it (a lock, a
/// pipe to Terraform) must not be kept open by it.
fn close_inherited_descriptors() -> io::Result<()> {
    let mut descriptors = Vec::<RawFd>::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        descriptors.extend(name.to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for descriptor in descriptors.into_iter().filter(|descriptor| *descriptor > 2) {
        // The one that the list was read from is closed already.
        if fs::symlink_metadata(format!("/proc/self/fd/{descriptor}")).is_err() {
            continue;
        }
        #[expect(unsafe_code, reason = "only the kernel knows who opened these")]
        // SAFETY: nothing has been opened by this process yet, so nothing in it owns them.
        drop(unsafe { OwnedFd::from_raw_fd(descriptor) });
    }
    Ok(())
}
