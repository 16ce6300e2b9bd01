//! Every call as it came and as it was answered, for judges: one JSON object in a line.

use super::Datacentre;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

impl Datacentre {
    /// Writes down every call from now on, after whatever is in the file already.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&mut self, path: &Path) -> io::Result<()> {
        self.journal = Some(Journal(OpenOptions::new().create(true).append(true).open(path)?));
        Ok(())
    }
}

/// Where calls are written down.
#[derive(Debug)]
pub(crate) struct Journal(File);

impl Journal {
    pub(crate) fn write(&mut self, request: &str, status: u16, answer: &str) -> io::Result<()> {
        let line = json!({ "request": request, "status": status, "answer": answer });
        // One write for one line: several datacentres may write into one file.
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}
