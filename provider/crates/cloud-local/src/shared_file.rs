//! A file of lines that the local clouds of all users of this computer change together.
//!
//! It is changed in place under its lock: in a sticky directory nobody can replace another user's file.
//! A torn line is as good as none.

use crate::error::StateError;
use crate::lock_wait::wait_for_lock;
use machine::files;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Read, Seek, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The file, locked until it is dropped.
#[derive(Debug)]
pub(crate) struct SharedFile {
    path: PathBuf,
    file: File,
}

impl SharedFile {
    /// Opens the file, waits for its lock, and reads its lines: JSON each.
    pub(crate) async fn open<T: DeserializeOwned>(
        path: &Path,
    ) -> Result<(Self, Vec<T>), StateError> {
        let mut file = open_shared(path).map_err(StateError::io("open", path))?;
        wait_for_lock(&file, path).await?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(StateError::io("read", path))?;
        let lines =
            text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
        let lines = lines.collect();
        Ok((Self { path: path.to_owned(), file }, lines))
    }

    /// Replaces all lines.
    pub(crate) fn write<T: Serialize>(
        &mut self,
        lines: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, &line).expect("a line is plain data");
            text.push(b'\n');
        }
        // The new text first, then the end of the old one: a crash in between leaves a line or two
        // too many, never one too few.
        let written = (|| {
            self.file.rewind()?;
            self.file.write_all(&text)?;
            self.file.set_len(text.len() as u64)
        })();
        written.map_err(StateError::io("write", &self.path))
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        files::unlock(&self.file);
    }
}

/// Opens a file that all users may read and write.
fn open_shared(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    // A kernel may refuse `O_CREAT` for another user's file in a sticky directory, also when the
    // file is there.
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // The umask has no say in this.
            file.set_permissions(Permissions::from_mode(0o666))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => options.open(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[tokio::test]
    async fn everyone_may_write_it_and_a_torn_line_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shared");
        let (mut file, lines) = SharedFile::open::<String>(&path).await.unwrap();
        assert!(lines.is_empty());
        file.write(["one", "two", "three"]).unwrap();
        drop(file);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"two\"", "\"t\0")).unwrap();
        let (mut file, lines) = SharedFile::open::<String>(&path).await.unwrap();
        assert_eq!(lines, ["one", "three"]);
        file.write(["four"]).unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "\"four\"\n");
    }
}
