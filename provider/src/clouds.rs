//! The one list of clouds, and the only file that knows which of them are built in.

use async_trait::async_trait;
use cloud::{CloudError, CloudName, ErrorKind, Managed, Offer};
use domain::catalogue::{NoOffer, Resources};
use domain::local_gpus::LocalGpus;
use plugin::Attr;
use schemas::ProviderConfig;
use std::{collections::BTreeMap, sync::OnceLock};
use tokio::sync::Mutex;
#[cfg(all(feature = "local", target_os = "linux"))]
use {domain::local_gpus::ThisComputer, std::path::PathBuf};

/// The clouds of one provider configuration, each opened when it is first needed: a plan that
/// needs no call needs no credentials.
#[derive(Debug, Default)]
pub(crate) struct Clouds {
    config: ProviderConfig,
    local_gpus: OnceLock<LocalGpus>,
    open: Mutex<BTreeMap<CloudName, Managed>>,
}

impl Clouds {
    pub(crate) fn new(config: ProviderConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// With this one under the name that it gives itself.
    #[cfg(test)]
    pub(crate) fn of(cloud: &Managed) -> Self {
        let name = cloud::Cloud::name(cloud);
        Self { open: Mutex::new(BTreeMap::from([(name, cloud.clone())])), ..Self::default() }
    }

    /// The cloud of this name.
    ///
    /// # Errors
    /// `Unsupported` when this build has no such cloud, and whatever opening it finds.
    pub(crate) async fn get(&self, name: CloudName) -> cloud::Result<Managed> {
        let mut open = self.open.lock().await;
        if let Some(cloud) = open.get(&name) {
            return Ok(cloud.clone());
        }
        let cloud = connect(name, &self.config)?;
        open.insert(name, cloud.clone());
        Ok(cloud)
    }

    /// The region of fleets that name none themselves, without a call; unknown while the provider's own
    /// configuration is.
    pub(crate) fn default_region(&self, name: CloudName) -> Attr<String> {
        match name {
            #[cfg(feature = "aws")]
            CloudName::Aws => match &self.config.aws {
                Attr::Unknown(_) => Attr::unknown(),
                Attr::Known(aws) if !aws.region.is_null() => aws.region.clone(),
                Attr::Known(_) | Attr::Null => Attr::from(cloud_aws::region_from_environment()),
            },
            _ => Attr::Null,
        }
    }
}

#[async_trait]
impl orchestration::Clouds for Clouds {
    async fn open(&self, name: CloudName) -> cloud::Result<Option<Managed>> {
        match not_built_in(name.as_str()) {
            Some(_) => Ok(None),
            None => self.get(name).await.map(Some),
        }
    }

    fn offers(&self, name: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
        self.gpus_of(name).offers(name, wanted)
    }
}

impl Clouds {
    /// Where the GPUs of machines of this cloud come from, if it is the local one.
    pub(crate) fn gpus_of(&self, cloud: CloudName) -> LocalGpus {
        match cloud {
            CloudName::Local => self.local_gpus(),
            _ => LocalGpus::default(),
        }
    }
}

#[cfg(all(feature = "local", target_os = "linux"))]
impl Clouds {
    /// Where the GPUs of the local cloud's machines come from. This computer is looked at once.
    pub(crate) fn local_gpus(&self) -> LocalGpus {
        self.local_gpus.get_or_init(|| find_local_gpus(&self.config)).clone()
    }

    /// Why the virtual environment that the local cloud is told of for this engine is none, if so.
    pub(crate) fn missing_runtime(&self, engine: &str) -> Option<String> {
        let config = local_config(&self.config).ok()?;
        let python = config.engine_runtimes.get(engine)?.join("bin/python");
        (!python.is_file()).then(|| {
            format!(
                "`local.engine_runtimes` of the provider says where `{engine}` is, and there is no {}.",
                python.display()
            )
        })
    }
}

#[cfg(not(all(feature = "local", target_os = "linux")))]
impl Clouds {
    /// There is no local cloud in this build.
    pub(crate) fn local_gpus(&self) -> LocalGpus {
        self.local_gpus.get_or_init(LocalGpus::default).clone()
    }

    /// There is no local cloud in this build.
    pub(crate) fn missing_runtime(&self, _engine: &str) -> Option<String> {
        None
    }
}

#[cfg(all(feature = "local", target_os = "linux"))]
fn find_local_gpus(config: &ProviderConfig) -> LocalGpus {
    let config = match local_config(config) {
        Err(error) => return LocalGpus::Unknown(error.message),
        Ok(config) => config,
    };
    if config.gpus == cloud_local::GpuSource::Simulated {
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

fn connect(name: CloudName, config: &ProviderConfig) -> cloud::Result<Managed> {
    match name {
        #[cfg(all(feature = "local", target_os = "linux"))]
        CloudName::Local => Ok(Managed::new(cloud_local::LocalCloud::open(local_config(config)?)?)),
        #[cfg(feature = "aws")]
        CloudName::Aws => Ok(Managed::new(cloud_aws::AwsCloud::new(aws_config(config)?))),
        other => {
            let _ = config;
            Err(CloudError::new(
                ErrorKind::Unsupported,
                "connect",
                format!("this build of the provider has no cloud `{other}`"),
            ))
        }
    }
}

#[cfg(all(feature = "local", target_os = "linux"))]
fn local_config(config: &ProviderConfig) -> cloud::Result<cloud_local::LocalConfig> {
    let wrong = |error: cloud_local::UnknownGpuSource, what: &str| {
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
    let mut configured = cloud_local::LocalConfig::from_environment(
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

/// What is not known yet is no setting: another account or directory than is meant would be taken.
#[cfg(any(feature = "aws", all(feature = "local", target_os = "linux")))]
fn text(attribute: &Attr<String>, name: &str) -> cloud::Result<Option<String>> {
    match attribute {
        Attr::Unknown(_) => Err(unknown(name)),
        attribute => Ok(attribute.known().cloned()),
    }
}

#[cfg(any(feature = "aws", all(feature = "local", target_os = "linux")))]
fn unknown(name: &str) -> CloudError {
    CloudError::new(
        ErrorKind::InvalidRequest,
        "configure",
        format!("`{name}` of the provider's configuration is known only after the apply"),
    )
}

#[cfg(feature = "aws")]
fn aws_config(config: &ProviderConfig) -> cloud::Result<cloud_aws::AwsConfig> {
    let aws = match &config.aws {
        Attr::Unknown(_) => return Err(unknown("aws")),
        aws => aws.known().cloned().unwrap_or_default(),
    };
    let assume_role = match &aws.assume_role {
        Attr::Unknown(_) => return Err(unknown("aws.assume_role")),
        Attr::Null => None,
        Attr::Known(role) => Some(cloud_aws::AssumeRole {
            arn: text(&role.role_arn, "aws.assume_role.role_arn")?.unwrap_or_default(),
            external_id: text(&role.external_id, "aws.assume_role.external_id")?,
            session_name: text(&role.session_name, "aws.assume_role.session_name")?,
        }),
    };
    Ok(cloud_aws::AwsConfig {
        profile: text(&aws.profile, "aws.profile")?,
        assume_role,
        endpoint_url: text(&aws.endpoint_url, "aws.endpoint_url")?,
    })
}

/// Why a cloud cannot be used with this build, if it cannot.
pub(crate) fn not_built_in(name: &str) -> Option<String> {
    let name: CloudName = name.parse().ok()?;
    let built_in = match name {
        CloudName::Local => cfg!(all(feature = "local", target_os = "linux")),
        CloudName::Aws => cfg!(feature = "aws"),
        CloudName::Gcp | CloudName::Azure => false,
    };
    (!built_in).then(|| match name {
        CloudName::Local => {
            "The local cloud is a Linux build's: its machines are processes of this \
                             computer, and Dynamo runs on Linux only."
                .to_owned()
        }
        name => format!(
            "This build of the provider has no cloud `{name}`. Use a build that has it, or \
             `cloud = \"local\"`."
        ),
    })
}
