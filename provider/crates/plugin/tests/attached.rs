//! The real Terraform drives a provider inside this very process, attached by `TF_REATTACH_PROVIDERS`.

use async_trait::async_trait;
use plugin::testing::Attached;
use plugin::{
    Attr, Attribute, AttributeKind, Ctx, DataSource, Diagnostics, DynDataSource, DynResource, Mode,
    Provider, Schema, Type, data_source,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

#[derive(Debug)]
struct Counting(Arc<AtomicI64>);

#[derive(Debug, Deserialize)]
struct Config {}

#[async_trait]
impl Provider for Counting {
    type Config = Config;

    fn schema(&self) -> Schema {
        Schema { description: "It counts.".to_owned(), ..Schema::default() }
    }

    async fn configure(&self, _: Config, _: &str) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::default())
    }

    fn resources(&self) -> Vec<Box<dyn DynResource>> {
        Vec::new()
    }

    fn data_sources(&self) -> Vec<Box<dyn DynDataSource>> {
        vec![data_source(LookDataSource(Arc::clone(&self.0)))]
    }
}

/// How often it was looked at.
#[derive(Debug)]
struct LookDataSource(Arc<AtomicI64>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Look {
    seen: Attr<i64>,
}

#[async_trait]
impl DataSource for LookDataSource {
    type Model = Look;

    fn type_name(&self) -> &'static str {
        "counting_look"
    }

    fn schema(&self) -> Schema {
        let seen = Attribute {
            kind: AttributeKind::Type(Type::Number),
            mode: Mode::Computed,
            description: "How often.".to_owned(),
            ..Attribute::default()
        };
        Schema {
            description: "A look.".to_owned(),
            attributes: BTreeMap::from([("seen".to_owned(), seen)]),
            ..Schema::default()
        }
    }

    async fn read(&self, _: &Ctx, _: Look) -> Result<(Look, Diagnostics), Diagnostics> {
        let seen = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        Ok((Look { seen: Attr::Known(seen) }, Diagnostics::default()))
    }
}

#[test]
fn terraform_uses_the_provider_of_this_process() {
    let looks = Arc::new(AtomicI64::new(0));
    let address = "registry.terraform.io/example/counting";
    let attached = Attached::serve(Counting(Arc::clone(&looks)), address);
    let directory = tempfile::tempdir().expect("a directory");
    let configuration = "terraform {\n  required_providers {\n    counting = { source = \
                         \"example/counting\" }\n  }\n}\n\ndata \"counting_look\" \"it\" {}\n";
    std::fs::write(directory.path().join("main.tf"), configuration).expect("a configuration");
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
    assert_eq!(looks.load(Ordering::Relaxed), 1);
}
