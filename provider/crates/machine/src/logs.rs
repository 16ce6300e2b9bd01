//! What a machine prints: its journal and its serial console, as files that do not grow without
//! bound.

use crate::directory::set_aside;
use jiff::Timestamp;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const JOURNAL_BYTES: u64 = 8 << 20;
const CONSOLE_BYTES: u64 = 256 << 10;

/// A machine's journal and console.
#[derive(Debug)]
pub(crate) struct Logs {
    journal: Mutex<LogFile>,
    console: Mutex<LogFile>,
}

/// A file that is set aside when it is full, in place of the one set aside before.
#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    limit: u64,
}

impl Logs {
    pub(crate) fn open(journal: &Path, console: &Path) -> io::Result<Self> {
        Ok(Self {
            journal: Mutex::new(LogFile::open(journal, JOURNAL_BYTES)?),
            console: Mutex::new(LogFile::open(console, CONSOLE_BYTES)?),
        })
    }

    /// A line of a unit's output.
    pub(crate) fn journal(&self, unit: &str, line: &[u8]) {
        let now = Timestamp::now();
        let mut text = format!("{now:.3} {unit}: ").into_bytes();
        text.extend_from_slice(line);
        text.push(b'\n');
        append(&self.journal, &text);
    }

    /// Lines for the console, as they are.
    pub(crate) fn console(&self, line: &[u8]) {
        append(&self.console, &[line, b"\n"].concat());
    }
}

impl LogFile {
    fn open(path: &Path, limit: u64) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, size, limit })
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        if self.size + text.len() as u64 > self.limit {
            fs::rename(&self.path, set_aside(&self.path))?;
            *self = Self::open(&self.path, self.limit)?;
        }
        self.file.write_all(text)?;
        self.size += text.len() as u64;
        Ok(())
    }
}

fn append(log: &Mutex<LogFile>, text: &[u8]) {
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = log.append(text) {
        // The one place left to say so; a machine does not stop because its log is full.
        let _ = writeln!(io::stderr(), "cannot write {}: {error}", log.path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::log_tail;

    #[test]
    fn the_tail_begins_with_a_line_and_spans_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("console.log");
        assert_eq!(log_tail(&path, 10).unwrap(), b"");
        let mut log = LogFile::open(&path, 20).unwrap();
        for number in 0..9 {
            log.append(format!("line {number}\n").as_bytes()).unwrap();
        }
        assert_eq!(log_tail(&path, 1000).unwrap(), b"line 6\nline 7\nline 8\n");
        assert_eq!(log_tail(&path, 14).unwrap(), b"line 7\nline 8\n");
        assert_eq!(log_tail(&path, 13).unwrap(), b"line 8\n");
        assert_eq!(log_tail(&path, 3).unwrap(), b"");
    }
}
