//! The one list of clouds, and the only file that knows which of them are built in.

use cloud::{Cloud, CloudError, CloudName, ErrorKind, Retrying, Traced};
use schemas::ProviderConfig;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::Mutex;

/// The clouds of one provider configuration, each opened when it is first needed: a plan that
/// needs no call needs no credentials.
#[derive(Debug, Default)]
pub(crate) struct Clouds {
    config: ProviderConfig,
    open: Mutex<BTreeMap<CloudName, Arc<dyn Cloud>>>,
}

impl Clouds {
    pub(crate) fn new(config: ProviderConfig) -> Self {
        Self { config, open: Mutex::default() }
    }

    /// The cloud of this name.
    ///
    /// # Errors
    /// `Unsupported` when this build has no such cloud, and whatever opening it finds.
    pub(crate) async fn get(&self, name: CloudName) -> cloud::Result<Arc<dyn Cloud>> {
        let mut open = self.open.lock().await;
        if let Some(cloud) = open.get(&name) {
            return Ok(Arc::clone(cloud));
        }
        let cloud = connect(name, &self.config)?;
        open.insert(name, Arc::clone(&cloud));
        Ok(cloud)
    }
}

fn connect(name: CloudName, config: &ProviderConfig) -> cloud::Result<Arc<dyn Cloud>> {
    match name {
        #[cfg(all(feature = "local", target_os = "linux"))]
        CloudName::Local => {
            let config = local_config(config);
            Ok(Arc::new(Traced::new(Retrying::new(cloud_local::LocalCloud::open(config)?))))
        }
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
fn local_config(config: &ProviderConfig) -> cloud_local::LocalConfig {
    let local = config.local.known();
    let directory = |attribute: Option<&plugin::Attr<String>>| {
        attribute.and_then(|path| path.known()).map(std::path::PathBuf::from)
    };
    cloud_local::LocalConfig::from_environment(
        directory(local.map(|local| &local.state_directory)),
        directory(local.map(|local| &local.cache_directory)),
    )
}

/// Why a cloud cannot be used with this build, if it cannot.
pub(crate) fn not_built_in(name: &str) -> Option<String> {
    let name: CloudName = name.parse().ok()?;
    let built_in = match name {
        CloudName::Local => cfg!(all(feature = "local", target_os = "linux")),
        CloudName::Aws | CloudName::Gcp | CloudName::Azure => false,
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
