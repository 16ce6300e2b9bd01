//! What a data source's author writes: the [`DataSource`] trait.

use crate::author_checks;
use crate::convert::{from_value, to_value_as_exact};
use crate::ctx::Ctx;
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::schema::{Schema, fill_defaults};
use crate::timeouts;
use crate::value::Value;
use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Debug, time::Duration};
use tokio_util::sync::CancellationToken;

/// A data source type: something that exists already, looked up.
#[async_trait]
pub trait DataSource: Debug + Send + Sync + 'static {
    /// Configuration and result. Fields are [`Attr`](crate::Attr)s where a value can be null or
    /// unknown; in `read` nothing is unknown.
    type Model: Serialize + DeserializeOwned + Clone + Debug + Send + Sync;

    /// The name in configurations, which begins with the provider's: `disagg_offers`.
    fn type_name(&self) -> &'static str;

    /// What it looks like.
    fn schema(&self) -> Schema;

    /// How long a look may take by default.
    fn timeout(&self) -> Duration {
        Duration::from_secs(5 * 60)
    }

    /// What is wrong with a configuration beyond its attributes' own rules. Values may be unknown.
    fn validate(&self, config: &Self::Model) -> Diagnostics {
        let _ = config;
        Diagnostics::default()
    }

    /// Looks it up: answers the configuration with everything computed filled in, and warnings.
    ///
    /// # Errors
    /// What was not found, and why.
    async fn read(
        &self,
        ctx: &Ctx,
        config: Self::Model,
    ) -> Result<(Self::Model, Diagnostics), Diagnostics>;
}

/// A data source of any model; made by [`data_source`].
#[async_trait]
pub trait DynDataSource: Debug + Send + Sync {
    /// Its name.
    fn type_name(&self) -> &'static str;

    /// What it looks like.
    fn schema(&self) -> &Schema;

    /// What is wrong with a configuration.
    fn validate(&self, config: &Value) -> Diagnostics;

    /// Looks it up.
    async fn read(&self, config: Value, cancel: CancellationToken) -> (Value, Diagnostics);
}

/// Wraps a data source for the list of a provider.
pub fn data_source<D: DataSource>(source: D) -> Box<dyn DynDataSource> {
    Box::new(Erased { schema: source.schema(), source })
}

#[derive(Debug)]
struct Erased<D> {
    source: D,
    schema: Schema,
}

#[async_trait]
impl<D: DataSource> DynDataSource for Erased<D> {
    fn type_name(&self) -> &'static str {
        self.source.type_name()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value) -> Diagnostics {
        let mut diagnostics = self.schema.validate(config);
        diagnostics.extend(timeouts::validate(config));
        match from_value::<D::Model>(config.clone()) {
            Ok(model) => diagnostics.extend(self.source.validate(&model)),
            // What no model can hold has been refused by a rule already, as a rule.
            Err(error) if !diagnostics.has_error() => diagnostics.push(error.into()),
            Err(_) => {}
        }
        diagnostics
    }

    async fn read(&self, config: Value, cancel: CancellationToken) -> (Value, Diagnostics) {
        let found = self.validate(&config);
        if found.has_error() {
            // What was unknown when the configuration was validated is known by now.
            return (Value::Null, found);
        }
        let mut given = config.clone();
        fill_defaults(&self.schema.attributes, &config, &mut given);
        let model = match from_value::<D::Model>(given.clone()) {
            Ok(model) => model,
            Err(error) => return (Value::Null, Diagnostic::from(error).into()),
        };
        let ctx = Ctx::new(self.source.timeout(), cancel).with_config(config);
        let (model, mut diagnostics) = match ctx.bounded(self.source.read(&ctx, model)).await {
            Ok(Ok(read)) => read,
            Ok(Err(diagnostics)) => return (Value::Null, diagnostics),
            Err(why) => {
                let doing = format!("read {}", self.source.type_name());
                return (Value::Null, ctx.dropped(why, &doing).into());
            }
        };
        let result = match to_value_as_exact(&model, &given) {
            Ok(mut value) => {
                self.schema.complete(&mut value);
                value
            }
            Err(error) => return (Value::Null, Diagnostic::bug(error).into()),
        };
        let problems = author_checks::read(&self.schema, &result);
        diagnostics.extend(problems.into_iter().map(Diagnostic::bug));
        (result, diagnostics)
    }
}
