//! What cloud-init, bash, systemd and shellcheck say of user data, without a boot: `judge/judge`.

use crate::image::Image;
use crate::{SCRIPTS, require_root};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use domain::cloud::CloudName;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// How much user data a cloud takes, and what of it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes.
    pub bytes: usize,
    /// Whether it is counted as base64, in which binary data travels as text.
    pub base64: bool,
}

impl Limit {
    /// That of a cloud.
    pub fn of(cloud: CloudName) -> Self {
        match cloud {
            CloudName::Local => Self { bytes: 256 << 10, base64: false },
            // Before the API's own base64.
            CloudName::Aws => Self { bytes: 16_384, base64: false },
            // One metadata value, which is a string.
            CloudName::Gcp => Self { bytes: 262_144, base64: true },
            CloudName::Azure => Self { bytes: 65_535, base64: false },
        }
    }

    /// How much of it these user data take.
    pub fn used_by(self, user_data: &[u8]) -> usize {
        if self.base64 { BASE64_STANDARD.encode(user_data).len() } else { user_data.len() }
    }
}

/// What was found, by the name of the user data.
pub type Findings = BTreeMap<String, Vec<String>>;

/// The judgement of one image.
#[derive(Debug)]
pub struct Judgement {
    /// What its cloud-init, bash and systemd have to say; without findings a name's list is empty.
    pub findings: Findings,
    /// The version of that cloud-init.
    pub cloud_init: String,
    /// The directory that was judged, with what the judge left there.
    directory: TempDir,
}

impl Judgement {
    /// The directory that holds the scripts of all machines, each once.
    pub fn scripts(&self) -> PathBuf {
        self.directory.path().join("scripts")
    }
}

/// Has user data judged by an image's own tools.
///
/// # Panics
/// When a tool is missing or breaks, which is no finding.
pub fn judge<'a>(
    image: Image,
    user_data: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Judgement {
    require_root();
    remove_what_was_left();
    let prefix = format!("{PREFIX}{}-", std::process::id());
    let directory = tempfile::Builder::new().prefix(&prefix).tempdir().expect("temp dir");
    let mut names = Vec::new();
    for (name, bytes) in user_data {
        let path = directory.path().join(format!("{name}.user-data"));
        std::fs::write(path, bytes).expect("the directory is ours");
        names.push(name.to_owned());
    }
    let output = Command::new(format!("{SCRIPTS}/judge/judge"))
        .args([&image.path(), directory.path()])
        .stderr(Stdio::inherit())
        .output()
        .expect("the script is executable");
    assert!(output.status.success(), "the judge broke");
    let text = String::from_utf8(output.stdout).expect("it prints JSON");
    let mut lines = text.lines().map(|line| serde_json::from_str(line).expect("it prints JSON"));
    let versions: Value = lines.next().expect("it says which versions judge");
    let findings: Findings = lines.map(|line| finding(&line)).collect();
    names.sort();
    assert!(findings.keys().eq(names.iter()), "not everything was judged: {findings:?}");
    let cloud_init = versions["cloud-init"].as_str().expect("it has a version").to_owned();
    Judgement { findings, cloud_init, directory }
}

/// What the directories of judgements begin with; then comes the process they belong to.
const PREFIX: &str = "disagg-judge-";

/// Removes the directories of processes that were killed.
fn remove_what_was_left() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Another test may be removing it as well.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

fn finding(line: &Value) -> (String, Vec<String>) {
    let text = |value: &Value| value.as_str().expect("findings are text").to_owned();
    let findings = line["findings"].as_array().expect("there is a list of findings");
    (text(&line["name"]), findings.iter().map(text).collect())
}

/// What shellcheck says of the scripts in a directory; nothing when all is well.
///
/// # Panics
/// When there is no shellcheck.
pub fn shellcheck(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).expect("the directory can be read").flatten();
    // One is Python.
    let is_bash = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("a script is text");
        !text.lines().next().is_some_and(|line| line.contains("python"))
    };
    let scripts: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_bash).collect();
    let output = Command::new("shellcheck")
        .args(["--external-sources", "--source-path=SCRIPTDIR"])
        .args(&scripts)
        .output()
        .expect("shellcheck is on the PATH: apt-get install shellcheck");
    if output.status.success() {
        return String::new();
    }
    [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
}
