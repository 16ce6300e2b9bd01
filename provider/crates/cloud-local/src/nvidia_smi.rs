//! Asking the driver's own program. One that hangs, as it does beside a driver in trouble, holds nobody up
//! for long.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    io,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// A driver that has been idle takes a few seconds for each GPU.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the GPUs of this computer are not known.
#[derive(Debug, thiserror::Error)]
pub enum DetectionError {
    /// There is no such program.
    #[error(
        "`nvidia-smi` is not on the PATH where the provider runs, so this computer has no NVIDIA driver, or \
         none that can be seen from there"
    )]
    Missing,
    /// It cannot be run.
    #[error("`nvidia-smi` cannot be run: {0}")]
    Io(#[from] io::Error),
    /// It failed.
    #[error("`nvidia-smi` failed: {0}")]
    Failed(String),
    /// It hangs.
    #[error("`nvidia-smi` did not answer within {} s", PATIENCE.as_secs())]
    Hung,
    /// It says what nobody understands.
    #[error("`nvidia-smi` said what is not understood: {0}")]
    Unreadable(String),
}

/// The rows of `nvidia-smi --query-WHAT`, of as many cells as there are fields.
pub(crate) fn query(
    program: &Path,
    what: &str,
    fields: &[&str],
) -> Result<Vec<Vec<String>>, DetectionError> {
    let mut command = Command::new(program);
    command
        .arg(format!("--query-{what}={}", fields.join(",")))
        .arg("--format=csv,noheader")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DetectionError::Missing,
        _ => DetectionError::Io(error),
    })?;
    let pid = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    // Whoever has given up waiting receives nothing, and the program is reaped all the same.
    thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(PATIENCE) else {
        kill_process(pid, Signal::KILL).map_err(io::Error::from)?;
        return Err(DetectionError::Hung);
    };
    let output = output?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        // It explains itself on either of them.
        let errors = String::from_utf8_lossy(&output.stderr);
        let said = text.split_whitespace().chain(errors.split_whitespace());
        let said = said.collect::<Vec<_>>().join(" ");
        return Err(DetectionError::Failed(if said.is_empty() {
            output.status.to_string()
        } else {
            said
        }));
    }
    parse(&text, fields.len())
}

fn parse(text: &str, fields: usize) -> Result<Vec<Vec<String>>, DetectionError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // A computer without GPUs, or without processes on them, is told in words.
    let lines = lines.filter(|line| !line.starts_with("No "));
    lines
        .map(|line| {
            let cells = line.splitn(fields, ',').map(|cell| cell.trim().to_owned());
            let cells = cells.collect::<Vec<_>>();
            match cells.len() == fields {
                true => Ok(cells),
                false => Err(DetectionError::Unreadable(line.to_owned())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_as_many_cells_as_were_asked_for() {
        assert_eq!(parse("0, GPU-1, NVIDIA L4\n\n", 3).unwrap(), [["0", "GPU-1", "NVIDIA L4"]]);
        assert_eq!(parse("No devices were found\n", 3).unwrap(), Vec::<Vec<String>>::new());
        // The name of a process may hold anything.
        assert_eq!(parse("GPU-1, 7, a, b\n", 3).unwrap(), [["GPU-1", "7", "a, b"]]);
        assert!(parse("GPU-1\n", 3).is_err());
    }
}
