//! The local cloud: its part of the provider's configuration, and what is in this computer.

use super::{BuiltIn, text, unknown};
use cloud::{CloudError, ErrorKind, Managed};
use cloud_local::{GpuSource, LocalCloud, LocalConfig, UnknownGpuSource};
use domain::local_gpus::{LocalGpus, ThisComputer};
use plugin::{Attr, Diagnostics};
use schemas::ProviderConfig;
use std::path::PathBuf;

pub(super) const BUILT_IN: BuiltIn = BuiltIn {
    connect: |config| Ok(Managed::new(LocalCloud::open(settings(config)?)?)),
    // There is one, which its profile tells.
    default_region: |_| Attr::Null,
    other_ways_to_a_region: "",
    validate_fleet: |_| Diagnostics::default(),
    local_gpus,
    missing_environment,
};

fn settings(config: &ProviderConfig) -> cloud::Result<LocalConfig> {
    let wrong = |error: UnknownGpuSource, what: &str| {
        CloudError::new(ErrorKind::InvalidRequest, "configure", format!("{what}: {error}"))
    };
    let local = match &config.local {
        Attr::Unknown(_) => return Err(unknown("local")),
        local => local.known().cloned().unwrap_or_default(),
    };
    let runtimes = match &local.engine_runtimes {
        Attr::Unknown(_) => return Err(unknown("local.engine_runtimes")),
        runtimes => runtimes.known().into_iter().flatten(),
    };
    let mut configured = LocalConfig::from_environment(
        text(&local.state_directory, "local.state_directory")?.map(PathBuf::from),
        text(&local.cache_directory, "local.cache_directory")?.map(PathBuf::from),
    )
    .map_err(|error| wrong(error, "`DISAGG_LOCAL_GPUS` in the environment"))?;
    if let Some(word) = text(&local.gpus, "local.gpus")? {
        configured.gpus = word.parse().map_err(|error| wrong(error, "`local.gpus`"))?;
    }
    for (engine, path) in runtimes {
        let path = text(path, "local.engine_runtimes")?;
        configured.engine_runtimes.extend(path.map(|path| (engine.clone(), PathBuf::from(path))));
    }
    Ok(configured)
}

fn local_gpus(config: &ProviderConfig) -> LocalGpus {
    let config = match settings(config) {
        Err(error) => return LocalGpus::Unknown(error.message),
        Ok(config) => config,
    };
    if config.gpus == GpuSource::Simulated {
        return LocalGpus::Simulated;
    }
    let found = match cloud_local::detect_gpus(&config.nvidia_smi) {
        Ok(found) => found,
        Err(error) => return LocalGpus::Unknown(error.to_string()),
    };
    let mut computer = ThisComputer {
        gpus: found.gpus.iter().map(ToString::to_string).collect(),
        driver: found.driver,
        cpu: std::thread::available_parallelism()
            .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
        memory_gb: cloud_local::memory_gb(),
        ..ThisComputer::default()
    };
    for model in found.gpus.iter().filter(|gpu| gpu.is_usable()).filter_map(|gpu| gpu.model) {
        *computer.usable.entry(model.to_owned()).or_default() += 1;
    }
    LocalGpus::Detected(computer)
}

fn missing_environment(config: &ProviderConfig, engine: &str) -> Option<String> {
    let config = settings(config).ok()?;
    let python = config.engine_runtimes.get(engine)?.join("bin/python");
    (!python.is_file()).then(|| {
        format!(
            "`local.engine_runtimes` of the provider says where `{engine}` is, and there is no {}.",
            python.display()
        )
    })
}
