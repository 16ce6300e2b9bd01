//! What the local cloud must be told: directories, the program its machines run, and where
//! `env://` secrets come from.

use crate::gpus::{GpuSource, UnknownGpuSource};
use machine::SecretLookup;
use std::{collections::BTreeMap, env, fmt, path::PathBuf, sync::Arc};

/// The configuration of one local cloud.
#[derive(Clone)]
pub struct LocalConfig {
    /// Where fleets, addresses and machines live; two clouds with two directories know nothing of
    /// each other.
    pub state_directory: PathBuf,
    /// Where Dynamo, etcd, NATS and models are kept, shared by every machine of the user.
    pub cache_directory: PathBuf,
    /// The program a machine runs: it must hand its arguments to [`machine_main`](crate::machine_main)
    /// when the first is `machine`.
    pub machine_binary: PathBuf,
    /// The file by which the clouds of this computer share out loopback addresses.
    pub address_registry: PathBuf,
    /// Where the GPUs of machines come from.
    pub gpus: GpuSource,
    /// The driver's program that tells them: a name on the PATH, or a path.
    pub nvidia_smi: PathBuf,
    /// The file by which the clouds of this computer share out its GPUs.
    pub gpu_registry: PathBuf,
    /// Virtual environments that engines are found in, by the engines' names.
    pub engine_runtimes: BTreeMap<String, PathBuf>,
    /// Whether machines take a user and mount namespace, where the kernel lets them, for a hosts
    /// file of their own.
    pub namespaces: bool,
    /// The value of an environment variable that an `env://` secret names.
    pub secrets: SecretLookup,
}

impl LocalConfig {
    /// The usual configuration: the given directories, else those of `DISAGG_STATE_DIRECTORY` and
    /// `DISAGG_CACHE_DIRECTORY`, else those of the XDG base directories.
    /// `DISAGG_LOCAL_NAMESPACES=off` turns namespaces off, and `DISAGG_LOCAL_GPUS=detected` gives machines
    /// the GPUs of this computer.
    ///
    /// # Errors
    /// When `DISAGG_LOCAL_GPUS` is none of its two words.
    pub fn from_environment(
        state_directory: Option<PathBuf>,
        cache_directory: Option<PathBuf>,
    ) -> Result<Self, UnknownGpuSource> {
        let gpus = env::var("DISAGG_LOCAL_GPUS").ok().filter(|word| !word.is_empty());
        Ok(Self {
            state_directory: state_directory
                .or_else(|| directory("DISAGG_STATE_DIRECTORY"))
                .unwrap_or_else(|| of_user("XDG_STATE_HOME", ".local/state").join("disagg/local")),
            cache_directory: cache_directory
                .or_else(|| directory("DISAGG_CACHE_DIRECTORY"))
                .unwrap_or_else(|| of_user("XDG_CACHE_HOME", ".cache").join("disagg")),
            // Also right when the file was replaced or removed since this process started.
            machine_binary: PathBuf::from("/proc/self/exe"),
            address_registry: PathBuf::from("/var/tmp/disagg-local-addresses"),
            gpus: gpus.map(|word| word.parse()).transpose()?.unwrap_or_default(),
            nvidia_smi: PathBuf::from("nvidia-smi"),
            gpu_registry: PathBuf::from("/var/tmp/disagg-local-gpus"),
            engine_runtimes: BTreeMap::new(),
            namespaces: env::var_os("DISAGG_LOCAL_NAMESPACES").is_none_or(|value| value != "off"),
            secrets: Arc::new(|name| env::var(name).ok()),
        })
    }
}

impl fmt::Debug for LocalConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalConfig")
            .field("state_directory", &self.state_directory)
            .field("cache_directory", &self.cache_directory)
            .field("machine_binary", &self.machine_binary)
            .field("gpus", &self.gpus)
            .field("engine_runtimes", &self.engine_runtimes)
            .field("namespaces", &self.namespaces)
            .finish_non_exhaustive()
    }
}

fn directory(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A base directory of the user; a user without a home gets one that outlives a reboot.
fn of_user(variable: &str, below_home: &str) -> PathBuf {
    directory(variable).filter(|path| path.is_absolute()).unwrap_or_else(|| {
        let user = rustix::process::getuid().as_raw();
        directory("HOME")
            .unwrap_or_else(|| PathBuf::from(format!("/var/tmp/disagg-{user}")))
            .join(below_home)
    })
}
