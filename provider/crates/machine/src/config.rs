//! What a machine is told by whoever launches it. Its user data say what it does; this says where.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf};

/// A machine's configuration, written by whoever launches it and read by its supervisor. The file may say
/// more: that is the launcher's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineConfig {
    /// The machine's id, which marks its processes.
    pub id: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// The GPUs of this computer that it alone has, by their UUIDs; none where they are pretended.
    #[serde(default)]
    pub gpus: Vec<String>,
    /// Virtual environments that engines are found in, by the engines' names.
    #[serde(default)]
    pub engine_runtimes: BTreeMap<String, PathBuf>,
    /// What it should be doing; this alone is written again while it lives.
    pub desired: Desired,
    /// Where runtimes and models are, shared with other machines.
    pub cache_directory: PathBuf,
    /// Whether it takes a user and mount namespace, where the kernel lets it.
    pub namespaces: bool,
    /// A fault: how long it takes before it looks at its user data.
    pub boot_delay_ms: u64,
    /// A fault: a program, by its path on the machine, that does not work.
    pub broken_program: Option<PathBuf>,
}

/// What a machine should be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// To run.
    Up,
    /// To be off, with its disk kept.
    Stopped,
    /// To be gone.
    Terminated,
}
