//! A boot document as a cloud-config, and back: one gzip'd `#cloud-config`, as clouds call it, user data.
//!
//! It is a pure function of the document, byte for byte. Its body is JSON and not YAML, so that no question of
//! quoting arises. A file that is printable is plain text there, which compresses to two thirds of what
//! base64 takes, and any other is in base64.
//!
//! Read back is what is written here and nothing else. Whatever a VM's cloud-init would do besides is refused,
//! never skipped: it would happen on a VM, and to nobody who reads the document.

use crate::boot_document::{BootDocument, BootFile, SPEC_PATH};
use crate::error::{CloudError, ErrorKind, Result};
use crate::gzip;
use crate::types::InstanceId;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};
use std::io::Read;
use std::path::{Component, Path};
use thiserror::Error;

const HEADER: &str = "#cloud-config\n";
const BASE64: &str = "b64";

/// More than any cloud takes, even after decompression: a bound against a small file that unpacks to a large
/// one.
const LARGEST: u64 = 8 << 20;

impl BootDocument {
    /// As a cloud-config, compressed, as it is sent.
    pub fn to_cloud_config(&self) -> Vec<u8> {
        gzip::compress(self.cloud_config_text().as_bytes())
    }

    /// As a cloud-config, for people: the header and one JSON object.
    pub fn cloud_config_text(&self) -> String {
        let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut runcmd: Vec<Vec<String>> = vec![command(&["systemctl", "daemon-reload"])];
        if !self.units.is_empty() {
            let mut enable: Vec<String> = command(&["systemctl", "enable", "--now"]);
            enable.extend(self.units.iter().cloned());
            runcmd.push(enable);
        }
        let write_files = self.all_files().into_iter().map(WriteFile::of).collect();
        let json = serde_json::to_string(&CloudConfig { write_files, runcmd });
        let json = json.expect("a document is plain data");
        // A YAML reader stumbles over DEL, C1 and non-characters, or changes them without a word.
        assert!(json.chars().all(is_printable), "only base64 carries any character");
        format!("{HEADER}{json}\n")
    }

    /// Reads a cloud-config back, compressed or not.
    ///
    /// # Errors
    /// When it is none that [`BootDocument::to_cloud_config`] writes.
    pub fn from_cloud_config(bytes: &[u8]) -> Result<Self, ForeignDocument> {
        let text = unpack(bytes)?;
        let json = text.strip_prefix(HEADER.as_bytes()).ok_or(ForeignDocument::NoCloudConfig)?;
        let CloudConfig { write_files, runcmd } = serde_json::from_slice(json)?;
        let mut document = Self::default();
        let mut specs = Vec::new();
        for file in write_files {
            let file = file.decode()?;
            match file.path == SPEC_PATH {
                true => specs.push(file.content),
                false => document.files.push(file),
            }
        }
        let [spec] = <[String; 1]>::try_from(specs).map_err(|_| ForeignDocument::NoSpec)?;
        document.spec = spec;
        for command in runcmd {
            match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["systemctl", "daemon-reload"] => {}
                ["systemctl", "enable", "--now", ref names @ ..]
                    if !names.is_empty() && names.iter().all(|name| is_unit_name(name)) =>
                {
                    document.units.extend(names.iter().map(|name| (*name).to_owned()));
                }
                _ => return Err(ForeignDocument::Command(command)),
            }
        }
        Ok(document)
    }

    /// Reads what an instance was launched with; for a cloud's [`boot_document`](crate::Cloud::boot_document).
    ///
    /// # Errors
    /// `Unreadable`, with the instance's id.
    pub fn of_instance(
        operation: &'static str,
        id: &InstanceId,
        user_data: Option<&[u8]>,
    ) -> Result<Self> {
        let read = user_data.ok_or(ForeignDocument::Absent).and_then(Self::from_cloud_config);
        read.map_err(|error| {
            let message = format!("its user data is not ours: {error}");
            CloudError::new(ErrorKind::Unreadable, operation, message).object(&id.0).source(error)
        })
    }

    /// Checks the size of the cloud-config, as it is sent, against a cloud's limit in bytes. The quick
    /// compression is tried first, where that is enough.
    ///
    /// # Errors
    /// Names the file that a user can make smaller.
    pub fn check_size(&self, limit: usize) -> Result<(), TooLarge> {
        if self.most_bytes() <= limit {
            return Ok(());
        }
        let text = self.cloud_config_text();
        // Compression never makes text longer than this.
        if text.len() + 64 <= limit || gzip::quick(text.as_bytes()).len() <= limit {
            return Ok(());
        }
        let size = gzip::compress(text.as_bytes()).len();
        if size <= limit {
            return Ok(());
        }
        let (largest, largest_size) = self.largest_setting();
        Err(TooLarge { size, limit, largest, largest_size })
    }

    /// No fewer bytes than the cloud-config has, also where nothing of it compresses: told without rendering it.
    fn most_bytes(&self) -> usize {
        // JSON escapes no printable character by more than one, and base64 adds a third.
        let of_file = |path: &str, content: &str| 2 * (path.len() + content.len()) + 100;
        let files = self.files.iter().map(|file| of_file(&file.path, &file.content));
        let units = self.units.iter().map(|unit| 2 * unit.len() + 4);
        files.sum::<usize>() + of_file(SPEC_PATH, &self.spec) + units.sum::<usize>() + 500
    }
}

/// A document above a cloud's limit.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the user data has {size} bytes, and the cloud takes {limit}; the largest of its files is \
     `{largest}` with {largest_size} bytes before compression"
)]
pub struct TooLarge {
    /// Its size in bytes.
    pub size: usize,
    /// The cloud's limit in bytes.
    pub limit: usize,
    /// The largest file that comes from the user's own input.
    pub largest: String,
    /// That file's size in bytes, before compression.
    pub largest_size: usize,
}

/// Why user data are no boot document of ours. Each begins with what `it` is.
#[derive(Debug, Error)]
pub enum ForeignDocument {
    /// There are none.
    #[error("it is not there")]
    Absent,
    /// Broken, or longer than any cloud takes.
    #[error("it cannot be decompressed")]
    Gzip(#[source] std::io::Error),
    /// It unpacks to more than any cloud takes.
    #[error("it is larger than {LARGEST} bytes")]
    Huge,
    /// Something else than a cloud-config.
    #[error("it does not begin with `#cloud-config`")]
    NoCloudConfig,
    /// A cloud-config of somebody else, or of a newer release.
    #[error("it is not JSON of the shape that this release writes")]
    Json(#[from] serde_json::Error),
    /// A file that we would not write.
    #[error("its file `{path}` {why}")]
    File {
        /// Its path.
        path: String,
        /// What about it.
        why: &'static str,
    },
    /// A command that we would not give.
    #[error(
        "its command {0:?} is not one of `systemctl daemon-reload` and `systemctl enable --now \
         UNIT.service…`"
    )]
    Command(Vec<String>),
    /// A machine that does not say what it was made from.
    #[error("it has no `{SPEC_PATH}`")]
    NoSpec,
}

/// Whether a character survives systemd, a shell and a YAML reader: no control character but the
/// tab, and none that Unicode keeps out of text.
pub fn is_printable(character: char) -> bool {
    let code = u32::from(character);
    let non_character = code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code);
    character == '\t' || !(character.is_control() || non_character)
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CloudConfig {
    write_files: Vec<WriteFile>,
    runcmd: Vec<Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    path: String,
    permissions: String,
    /// [`BASE64`]; without it the content is the text itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    encoding: Option<String>,
    content: String,
}

impl WriteFile {
    /// As plain text, which compresses to two thirds of what base64 takes, when every YAML reader lets it
    /// through unchanged.
    fn of(file: BootFile) -> Self {
        let is_plain = |c: char| c == '\n' || is_printable(c);
        let permissions = format!("{:04o}", file.mode);
        let (encoding, content) = match file.content.chars().all(is_plain) {
            true => (None, file.content),
            false => (Some(BASE64.to_owned()), BASE64_STANDARD.encode(&file.content)),
        };
        Self { path: file.path, permissions, encoding, content }
    }

    fn decode(self) -> Result<BootFile, ForeignDocument> {
        let Self { path, permissions, encoding, content } = self;
        let fail = |why| ForeignDocument::File { path: path.clone(), why };
        if !is_plain_path(&path) {
            return Err(fail("has a path that is not absolute and plain"));
        }
        let content = match encoding.as_deref() {
            None => content,
            Some(BASE64) => BASE64_STANDARD
                .decode(&content)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| fail("is not text in base64"))?,
            Some(_) => return Err(fail("has an encoding that is not `b64`")),
        };
        let mode = u32::from_str_radix(&permissions, 8).ok().filter(|mode| *mode <= 0o777);
        let mode = mode.ok_or_else(|| fail("has permissions that are not octal digits"))?;
        Ok(BootFile { path, mode, content })
    }
}

fn is_plain_path(path: &str) -> bool {
    let mut components = Path::new(path).components();
    components.next() == Some(Component::RootDir)
        && components.clone().next().is_some()
        && components.all(|component| matches!(component, Component::Normal(_)))
}

fn is_unit_name(name: &str) -> bool {
    name.strip_suffix(".service").is_some_and(|bare| !bare.is_empty())
        && !name.starts_with(['-', '.'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte))
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, ForeignDocument> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes.to_owned());
    }
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(bytes).take(LARGEST + 1);
    decoder.read_to_end(&mut text).map_err(ForeignDocument::Gzip)?;
    if text.len() as u64 > LARGEST { Err(ForeignDocument::Huge) } else { Ok(text) }
}

#[cfg(test)]
#[path = "cloud_config_tests.rs"]
mod tests;
