//! What an ephemeral resource's author writes: the [`EphemeralResource`] trait. It is opened in each run
//! that needs it, and nothing of it is ever in a plan or a state.

use crate::author_checks;
use crate::convert::{from_value, to_value_as_exact};
use crate::ctx::Ctx;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::private::Private;
use crate::schema::{Schema, fill_defaults};
use crate::value::Value;
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// An ephemeral resource type: a value that lives as long as a run, such as a token.
#[async_trait]
pub trait EphemeralResource: Debug + Send + Sync + 'static {
    /// Configuration and result. Fields are [`Attr`](crate::Attr)s where a value can be null or
    /// unknown; in `open` nothing is unknown.
    type Model: Serialize + DeserializeOwned + Clone + Debug + Send + Sync;

    /// The name in configurations, which begins with the provider's.
    fn type_name(&self) -> &'static str;

    /// What it looks like.
    fn schema(&self) -> Schema;

    /// How long each of its operations may take.
    fn timeout(&self) -> Duration {
        Duration::from_secs(5 * 60)
    }

    /// What is wrong with a configuration beyond its attributes' own rules. Values may be unknown.
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::default()
    }

    /// Makes the value: answers the configuration with everything computed filled in.
    ///
    /// # Errors
    /// Why there is none; it is not closed then.
    async fn open(
        &self,
        ctx: &Ctx,
        config: Self::Model,
    ) -> Result<Opened<Self::Model>, Diagnostics>;

    /// Makes it last longer: answers when that is to be done again.
    ///
    /// # Errors
    /// Why it cannot go on.
    async fn renew(
        &self,
        ctx: &Ctx,
        private: &mut Private,
    ) -> Result<Option<SystemTime>, Diagnostics> {
        let _ = (ctx, private);
        Ok(None)
    }

    /// Ends it, once for each that was opened.
    ///
    /// # Errors
    /// What is left of it.
    async fn close(&self, ctx: &Ctx, private: Private) -> Result<(), Diagnostics> {
        let _ = (ctx, private);
        Ok(())
    }
}

/// An ephemeral resource that is open.
#[derive(Clone, Debug)]
pub struct Opened<M> {
    /// The configuration with everything computed.
    pub result: M,
    /// When it has to be renewed, if it has to.
    pub renew_at: Option<SystemTime>,
    /// What `renew` and `close` have to know.
    pub private: Private,
    /// Warnings.
    pub warnings: Diagnostics,
}

impl<M> Opened<M> {
    /// One that lasts, with nothing to remember.
    pub fn new(result: M) -> Self {
        let (private, warnings) = (Private::default(), Diagnostics::default());
        Self { result, renew_at: None, private, warnings }
    }
}

/// An ephemeral resource of any model; made by [`ephemeral_resource`].
#[async_trait]
pub trait DynEphemeralResource: Debug + Send + Sync {
    /// Its name.
    fn type_name(&self) -> &'static str;

    /// What it looks like.
    fn schema(&self) -> &Schema;

    /// What is wrong with a configuration.
    fn validate(&self, config: &Value) -> Diagnostics;

    /// Opens it; the result is null when it failed.
    async fn open(&self, config: Value, cancel: CancellationToken) -> Opened<Value>;

    /// Renews it.
    async fn renew(
        &self,
        private: &mut Private,
        cancel: CancellationToken,
    ) -> Result<Option<SystemTime>, Diagnostics>;

    /// Closes it.
    async fn close(&self, private: Private, cancel: CancellationToken) -> Result<(), Diagnostics>;
}

/// Wraps an ephemeral resource for the list of a provider.
pub fn ephemeral_resource<E: EphemeralResource>(resource: E) -> Box<dyn DynEphemeralResource> {
    Box::new(Erased { schema: resource.schema(), resource })
}

#[derive(Debug)]
struct Erased<E> {
    resource: E,
    schema: Schema,
}

#[async_trait]
impl<E: EphemeralResource> DynEphemeralResource for Erased<E> {
    fn type_name(&self) -> &'static str {
        self.resource.type_name()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut diagnostics = self.schema.validate(config);
        match from_value::<E::Model>(config.clone()) {
            Ok(model) => diagnostics.extend(self.resource.validate(&model)),
            // What no model can hold has been refused by a rule already, as a rule.
            Err(error) if !diagnostics.has_error() => diagnostics.push(error.into()),
            Err(_) => {}
        }
        diagnostics
    }

    async fn open(&self, config: Value, cancel: CancellationToken) -> Opened<Value> {
        let failed = |warnings| Opened { warnings, ..Opened::new(Value::Null) };
        let found = self.validate(&config);
        if found.has_error() {
            // What was unknown when the configuration was validated is known by now.
            return failed(found);
        }
        let mut given = config.clone();
        fill_defaults(&self.schema.attributes, &config, &mut given);
        let model = match from_value::<E::Model>(given.clone()) {
            Ok(model) => model,
            Err(error) => return failed(Diagnostic::from(error).into()),
        };
        let ctx = Ctx::new(self.resource.timeout(), cancel.clone()).with_config(config);
        let Opened { result, renew_at, private, mut warnings } =
            match self.resource.open(&ctx, model).await {
                Ok(opened) => opened,
                Err(diagnostics) => return failed(diagnostics),
            };
        let problems = match to_value_as_exact(&result, &given) {
            Ok(mut result) => {
                self.schema.complete(&mut result);
                let problems = author_checks::read(&self.schema, &result);
                if problems.is_empty() {
                    return Opened { result, renew_at, private, warnings };
                }
                problems
            }
            Err(error) => vec![error.to_string()],
        };
        // Terraform closes only what it knows to be open.
        if let Err(diagnostics) = self.close(private, cancel).await {
            warnings.extend(diagnostics);
        }
        warnings.extend(problems.into_iter().map(Diagnostic::bug));
        failed(warnings)
    }

    async fn renew(
        &self,
        private: &mut Private,
        cancel: CancellationToken,
    ) -> Result<Option<SystemTime>, Diagnostics> {
        self.resource.renew(&Ctx::new(self.resource.timeout(), cancel), private).await
    }

    async fn close(&self, private: Private, cancel: CancellationToken) -> Result<(), Diagnostics> {
        self.resource.close(&Ctx::new(self.resource.timeout(), cancel), private).await
    }
}
