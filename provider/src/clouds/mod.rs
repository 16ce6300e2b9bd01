//! The clouds of this build, in one list: what the provider does for each of them beyond the contract. What
//! a cloud is like, built in or not, its [`Profile`](cloud::Profile) tells.

#[cfg(feature = "aws")]
mod aws;
#[cfg(all(feature = "local", target_os = "linux"))]
mod local;

use async_trait::async_trait;
use cloud::{CloudError, CloudName, ErrorKind, Managed, Offer};
use domain::catalogue::{NoOffer, Resources};
use domain::local_gpus::LocalGpus;
use plugin::{Attr, Diagnostics};
use schemas::{Fleet, ProviderConfig};
use std::{collections::BTreeMap, sync::OnceLock};
use tokio::sync::Mutex;

/// A cloud that is built in.
struct BuiltIn {
    /// Opens it, without a call.
    connect: fn(&ProviderConfig) -> cloud::Result<Managed>,
    /// The region of fleets that name none themselves, without a call; unknown while the provider's own
    /// configuration is.
    default_region: fn(&ProviderConfig) -> Attr<String>,
    /// How else than in a fleet a region is given, as the end of a sentence.
    other_ways_to_a_region: &'static str,
    /// What the cloud would refuse of a fleet at sight.
    validate_fleet: fn(&Fleet) -> Diagnostics,
    /// Where the GPUs of its machines come from, if they are those of this computer.
    local_gpus: fn(&ProviderConfig) -> LocalGpus,
    /// Why the virtual environment that the configuration names for this engine is none, if so.
    missing_environment: fn(&ProviderConfig, &str) -> Option<String>,
}

/// The list.
fn built_in(name: CloudName) -> Option<&'static BuiltIn> {
    match name {
        #[cfg(all(feature = "local", target_os = "linux"))]
        CloudName::Local => Some(&local::BUILT_IN),
        #[cfg(feature = "aws")]
        CloudName::Aws => Some(&aws::BUILT_IN),
        _ => None,
    }
}

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
        let found = built_in(name).ok_or_else(|| {
            let message = format!("this build of the provider has no cloud `{name}`");
            CloudError::new(ErrorKind::Unsupported, "connect", message)
        })?;
        let cloud = (found.connect)(&self.config)?;
        open.insert(name, cloud.clone());
        Ok(cloud)
    }

    /// The region of fleets that name none themselves, without a call; unknown while the provider's own
    /// configuration is.
    pub(crate) fn default_region(&self, name: CloudName) -> Attr<String> {
        built_in(name).map_or(Attr::Null, |cloud| (cloud.default_region)(&self.config))
    }

    /// Where the GPUs of this cloud's machines come from, if it is this computer, which is looked at once.
    pub(crate) fn local_gpus(&self, name: CloudName) -> LocalGpus {
        match built_in(name) {
            Some(cloud) if name.profile().is_this_computer => {
                self.local_gpus.get_or_init(|| (cloud.local_gpus)(&self.config)).clone()
            }
            _ => LocalGpus::default(),
        }
    }

    /// Why the virtual environment that the configuration names for this engine is none, if so.
    pub(crate) fn missing_environment(&self, name: CloudName, engine: &str) -> Option<String> {
        (built_in(name)?.missing_environment)(&self.config, engine)
    }
}

#[async_trait]
impl orchestration::Clouds for Clouds {
    async fn open(&self, name: CloudName) -> cloud::Result<Option<Managed>> {
        match built_in(name) {
            None => Ok(None),
            Some(_) => self.get(name).await.map(Some),
        }
    }

    fn offers(&self, name: CloudName, wanted: &Resources) -> Result<Vec<Offer>, NoOffer> {
        self.local_gpus(name).offers(name, wanted)
    }
}

/// Why a cloud cannot be used with this build, if it cannot.
pub(crate) fn not_built_in(name: CloudName) -> Option<String> {
    if built_in(name).is_some() {
        return None;
    }
    Some(if name.profile().is_this_computer {
        format!(
            "The {name} cloud is a Linux build's: its machines are processes of this computer, and Dynamo \
             runs on Linux only."
        )
    } else {
        format!(
            "This build of the provider has no cloud `{name}`. Use a build that has it, or \
             `cloud = \"{}\"`.",
            CloudName::Local
        )
    })
}

/// What a cloud would refuse of a fleet at sight.
pub(crate) fn validate_fleet(name: CloudName, fleet: &Fleet) -> Diagnostics {
    built_in(name).map(|cloud| (cloud.validate_fleet)(fleet)).unwrap_or_default()
}

/// How else than in a fleet a region of this cloud is given, as the end of a sentence.
pub(crate) fn other_ways_to_a_region(name: CloudName) -> &'static str {
    built_in(name).map_or("", |cloud| cloud.other_ways_to_a_region)
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
