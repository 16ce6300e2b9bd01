//! The subset of cloud-config that our generator emits, and nothing else: a gzip'd JSON document
//! with files to write and units to enable.
//!
//! Whatever a VM's cloud-init would do and this would not must be refused, never skipped: else
//! something would work here and fail on a VM, or the other way round.

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::{
    io::Read,
    path::{Component, Path, PathBuf},
};

/// More than any cloud takes: a bound against a small file that unpacks to a large one.
const LARGEST: u64 = 16 << 20;

/// What a machine is to do on its first boot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CloudConfig {
    pub(crate) files: Vec<FileToWrite>,
    /// Units to enable and start, in this order.
    pub(crate) units: Vec<String>,
}

/// A file, by its path on a VM.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileToWrite {
    pub(crate) path: PathBuf,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

/// Why user data is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CloudConfigError {
    #[error("the user data cannot be decompressed")]
    Gzip(#[source] std::io::Error),
    #[error("the user data is larger than {LARGEST} bytes")]
    TooLarge,
    #[error("the user data does not begin with `#cloud-config`")]
    NoHeader,
    #[error("the user data is not what the local cloud understands")]
    Json(#[from] serde_json::Error),
    #[error("file {path}: {why}")]
    File { path: String, why: String },
    #[error(
        "the command {0:?} is not one that the local cloud understands (`systemctl daemon-reload`, \
         `systemctl enable --now UNIT…`)"
    )]
    Command(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    write_files: Vec<WriteFile>,
    #[serde(default)]
    runcmd: Vec<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFile {
    path: String,
    #[serde(default)]
    content: String,
    encoding: Option<String>,
    permissions: Option<String>,
}

impl CloudConfig {
    /// Reads user data.
    pub(crate) fn parse(user_data: &[u8]) -> Result<Self, CloudConfigError> {
        let text = unpack(user_data)?;
        let json = text.strip_prefix(b"#cloud-config\n").ok_or(CloudConfigError::NoHeader)?;
        let document: Document = serde_json::from_slice(json)?;
        let files = document.write_files.into_iter().map(WriteFile::decode);
        let mut units = Vec::new();
        for command in document.runcmd {
            match command.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["systemctl", "daemon-reload"] => {}
                ["systemctl", "enable", "--now", ref names @ ..]
                    if !names.is_empty() && names.iter().all(|name| is_unit_name(name)) =>
                {
                    units.extend(names.iter().map(|name| with_suffix(name)));
                }
                _ => return Err(CloudConfigError::Command(command)),
            }
        }
        Ok(Self { files: files.collect::<Result<_, _>>()?, units })
    }

    /// The content of a file.
    pub(crate) fn file(&self, path: &str) -> Option<&[u8]> {
        let file = self.files.iter().rfind(|file| file.path == Path::new(path));
        file.map(|file| file.content.as_slice())
    }
}

impl WriteFile {
    fn decode(self) -> Result<FileToWrite, CloudConfigError> {
        let fail =
            |why: &str| CloudConfigError::File { path: self.path.clone(), why: why.to_owned() };
        let path = PathBuf::from(&self.path);
        let mut components = path.components();
        if components.next() != Some(Component::RootDir)
            || components.clone().next().is_none()
            || !components.all(|component| matches!(component, Component::Normal(_)))
        {
            return Err(fail("its path is not absolute and plain"));
        }
        let content = match self.encoding.as_deref() {
            None => self.content.clone().into_bytes(),
            Some("b64") => BASE64_STANDARD
                .decode(&self.content)
                .map_err(|_| fail("its content is not base64"))?,
            Some(_) => return Err(fail("its encoding is not `b64`")),
        };
        let mode = match &self.permissions {
            None => 0o644,
            Some(text) => u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o777)
                .ok_or_else(|| fail("its permissions are not octal digits"))?,
        };
        Ok(FileToWrite { path, content, mode })
    }
}

fn unpack(user_data: &[u8]) -> Result<Vec<u8>, CloudConfigError> {
    if !user_data.starts_with(&[0x1f, 0x8b]) {
        return Ok(user_data.to_owned());
    }
    let mut text = Vec::new();
    let mut decoder = GzDecoder::new(user_data).take(LARGEST + 1);
    decoder.read_to_end(&mut text).map_err(CloudConfigError::Gzip)?;
    if text.len() as u64 > LARGEST {
        return Err(CloudConfigError::TooLarge);
    }
    Ok(text)
}

fn is_unit_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '.'])
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.@:".contains(&byte))
}

fn with_suffix(name: &str) -> String {
    if name.ends_with(".service") { name.to_owned() } else { format!("{name}.service") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;
    use std::io::Write;

    /// User data of files (all executable) and units to enable.
    pub(crate) fn user_data(files: &[(&str, &str)], units: &[&str]) -> Vec<u8> {
        let write_files = files.iter().map(|(path, content)| {
            let content = BASE64_STANDARD.encode(content);
            json!({"path": path, "content": content, "encoding": "b64", "permissions": "0755"})
        });
        let mut enable = vec!["systemctl", "enable", "--now"];
        enable.extend(units);
        let mut runcmd = vec![vec!["systemctl", "daemon-reload"]];
        runcmd.extend((!units.is_empty()).then_some(enable));
        let document = json!({"write_files": write_files.collect::<Vec<_>>(), "runcmd": runcmd});
        gzip(&format!("#cloud-config\n{document}"))
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn refused(text: &str, expect: Expect) {
        let error = CloudConfig::parse(&gzip(text)).unwrap_err();
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            text += &format!(": {cause}");
        }
        expect.assert_eq(&text);
    }

    #[test]
    fn files_and_units_are_read() {
        let data =
            user_data(&[("/etc/disagg/env", "A=1\n"), ("/opt/x", "")], &["a@0", "b.service"]);
        let config = CloudConfig::parse(&data).unwrap();
        assert_eq!(config.file("/etc/disagg/env"), Some("A=1\n".as_bytes()));
        assert_eq!(config.file("/etc/other"), None);
        assert_eq!(config.files[0].mode, 0o755);
        assert_eq!(config.units, ["a@0.service", "b.service"]);
    }

    #[test]
    fn plain_text_is_read_as_well() {
        let text = b"#cloud-config\n{\"write_files\": [{\"path\": \"/a\", \"content\": \"x\"}]}";
        let file = FileToWrite { path: "/a".into(), content: b"x".to_vec(), mode: 0o644 };
        assert_eq!(CloudConfig::parse(text).unwrap().files, [file]);
    }

    #[test]
    fn whatever_a_vm_would_do_otherwise_is_refused() {
        refused("#!/bin/sh\n", expect!["the user data does not begin with `#cloud-config`"]);
        refused(
            "#cloud-config\n{\"packages\": [\"jq\"]}",
            expect![
                "the user data is not what the local cloud understands: unknown field `packages`, expected `write_files` or `runcmd` at line 1 column 11"
            ],
        );
        refused(
            "#cloud-config\n{\"write_files\": [{\"path\": \"/a\", \"owner\": \"x\"}]}",
            expect![
                "the user data is not what the local cloud understands: unknown field `owner`, expected one of `path`, `content`, `encoding`, `permissions` at line 1 column 39"
            ],
        );
        refused(
            "#cloud-config\n{\"write_files\": [{\"path\": \"/a/../b\"}]}",
            expect!["file /a/../b: its path is not absolute and plain"],
        );
        refused(
            "#cloud-config\n{\"write_files\": [{\"path\": \"/a\", \"encoding\": \"gz\"}]}",
            expect!["file /a: its encoding is not `b64`"],
        );
        refused(
            "#cloud-config\n{\"write_files\": [{\"path\": \"/a\", \"permissions\": \"0999\"}]}",
            expect!["file /a: its permissions are not octal digits"],
        );
        refused(
            "#cloud-config\n{\"runcmd\": [[\"systemctl\", \"enable\", \"--now\"]]}",
            expect![[
                r#"the command ["systemctl", "enable", "--now"] is not one that the local cloud understands (`systemctl daemon-reload`, `systemctl enable --now UNIT…`)"#
            ]],
        );
        refused(
            "#cloud-config\n{\"runcmd\": [[\"reboot\"]]}",
            expect![[
                r#"the command ["reboot"] is not one that the local cloud understands (`systemctl daemon-reload`, `systemctl enable --now UNIT…`)"#
            ]],
        );
        assert!(CloudConfig::parse(&[0x1f, 0x8b, 0, 0]).is_err());
    }
}
