//! What a provider's author writes: the [`Provider`] trait.

use crate::data_source::DynDataSource;
use crate::diagnostics::Diagnostics;
use crate::ephemeral::DynEphemeralResource;
use crate::erased::DynResource;
use crate::function::DynFunction;
use crate::schema::Schema;
use async_trait::async_trait;
use serde::de::DeserializeOwned;

/// A provider.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The provider block. Fields are [`Attr`](crate::Attr)s where a value can be null or unknown.
    type Config: DeserializeOwned + Send;

    /// What the provider block looks like.
    fn schema(&self) -> Schema;

    /// What is wrong with a provider block beyond its attributes' own rules.
    fn validate(&self, config: &Self::Config) -> Diagnostics {
        let _ = config;
        Diagnostics::default()
    }

    /// Takes the provider block: before the first operation, and again in debug mode, where one
    /// process serves many runs. Values may be unknown in a plan, so a client that needs them is
    /// better made when it is first used. Answers warnings.
    ///
    /// # Errors
    /// When no operation could succeed with it.
    async fn configure(
        &self,
        config: Self::Config,
        terraform_version: &str,
    ) -> Result<Diagnostics, Diagnostics>;

    /// The one list of resources.
    fn resources(&self) -> Vec<Box<dyn DynResource>>;

    /// The one list of data sources.
    fn data_sources(&self) -> Vec<Box<dyn DynDataSource>> {
        Vec::new()
    }

    /// The one list of ephemeral resources.
    fn ephemeral_resources(&self) -> Vec<Box<dyn DynEphemeralResource>> {
        Vec::new()
    }

    /// The one list of functions.
    fn functions(&self) -> Vec<Box<dyn DynFunction>> {
        Vec::new()
    }
}
