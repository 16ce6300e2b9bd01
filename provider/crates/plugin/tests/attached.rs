//! The real Terraform drives a provider inside this very process, attached by `TF_REATTACH_PROVIDERS`.

use async_trait::async_trait;
use plugin::testing::Attached;
use plugin::{Attr, Diagnostics, DynResource, Provider, Schema};
use serde::Deserialize;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// It counts how often its configuration is validated.
#[derive(Debug)]
struct Counting(Arc<AtomicU32>);

#[derive(Debug, Deserialize)]
struct Config {
    #[serde(default)]
    _nothing: Attr<String>,
}

#[async_trait]
impl Provider for Counting {
    type Config = Config;

    fn schema(&self) -> Schema {
        Schema { description: "It counts.".to_owned(), ..Schema::default() }
    }

    fn validate(&self, _: &Config) -> Diagnostics {
        self.0.fetch_add(1, Ordering::Relaxed);
        Diagnostics::default()
    }

    async fn configure(&self, _: Config, _: &str) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::default())
    }

    fn resources(&self) -> Vec<Box<dyn DynResource>> {
        Vec::new()
    }
}

#[test]
fn terraform_uses_the_provider_of_this_process() {
    let validated = Arc::new(AtomicU32::new(0));
    let address = "registry.terraform.io/example/counting";
    let attached = Attached::serve(Counting(Arc::clone(&validated)), address);
    let directory = tempfile::tempdir().unwrap();
    let configuration = "terraform {\n  required_providers {\n    counting = { source = \
                         \"example/counting\" }\n  }\n}\n\nprovider \"counting\" {}\n\nresource \
                         \"terraform_data\" \"it\" {}\n";
    std::fs::write(directory.path().join("main.tf"), configuration).unwrap();
    for arguments in [&["init", "-input=false"][..], &["apply", "-auto-approve", "-input=false"]] {
        let output = Command::new("terraform")
            .args(arguments)
            .current_dir(directory.path())
            .env("TF_REATTACH_PROVIDERS", attached.reattach())
            .env("CHECKPOINT_DISABLE", "1")
            .env_remove("TF_CLI_CONFIG_FILE")
            .output()
            .expect("terraform is on the path");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
    assert!(validated.load(Ordering::Relaxed) > 0);
}
