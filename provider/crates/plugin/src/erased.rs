//! A resource whose model is erased, so that a provider can have a list of them.

use crate::author_checks;
use crate::convert::{from_value, to_value};
use crate::ctx::{Ctx, Interrupted};
use crate::diagnostics::{Diagnostic, Diagnostics, Severity};
use crate::identity::IdentityPart;
use crate::path::AttributePath;
use crate::plan::{self, PlanRequest, PlanResponse};
use crate::private::Private;
use crate::resource::{Resource, State};
use crate::schema::{Schema, clear_write_only, refuse_write_only};
use crate::timeouts;
use crate::value::Value;
use async_trait::async_trait;
use std::fmt::Debug;
use tokio_util::sync::CancellationToken;

/// A [`Resource`] without its model. Made by [`resource`].
#[async_trait]
pub trait DynResource: Debug + Send + Sync {
    /// The name in configurations.
    fn type_name(&self) -> &'static str;
    /// What it looks like.
    fn schema(&self) -> &Schema;
    /// What is wrong with a configuration.
    fn validate(&self, config: &Value, write_only_allowed: bool) -> Diagnostics;
    /// Plans a change.
    fn plan(&self, request: PlanRequest) -> PlanResponse;
    /// Waits for what may have to be heard before the plan of a removal.
    async fn before_removal(&self, leaving: Value);
    /// Makes, changes or removes, whatever the nulls in the request say.
    async fn apply(&self, request: ApplyRequest, cancel: CancellationToken) -> Outcome;
    /// Looks.
    async fn read(&self, state: Value, private: Private, cancel: CancellationToken) -> Outcome;
    /// Finds by an id.
    async fn import(&self, id: &str, cancel: CancellationToken) -> Outcome;
    /// The parts of its identity.
    fn identity_parts(&self) -> &'static [IdentityPart];
    /// Their values in a state, as far as they are known.
    fn identity_of(&self, state: &Value) -> Option<Vec<String>>;
    /// The state of an older or of this schema version as a value.
    ///
    /// # Errors
    /// When it cannot be read.
    fn upgrade(&self, version: i64, state: serde_json::Value) -> Result<Value, Diagnostics>;
}

/// What Terraform asks to be done.
#[derive(Clone, Debug, Default)]
pub struct ApplyRequest {
    /// What is; null for a creation.
    pub prior: Value,
    /// What was planned; null for a removal.
    pub planned: Value,
    /// What the user wrote, with its write-only values; null for a removal.
    pub config: Value,
    /// What the resource remembers.
    pub private: Private,
}

/// What has become of an object.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Its state; null when there is none.
    pub state: Value,
    /// What the resource remembers.
    pub private: Private,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

/// A resource for the provider's list.
pub fn resource<R: Resource>(resource: R) -> Box<dyn DynResource> {
    let schema = resource.schema();
    Box::new(Erased { resource, schema })
}

#[derive(Debug)]
struct Erased<R> {
    resource: R,
    schema: Schema,
}

#[async_trait]
impl<R: Resource> DynResource for Erased<R> {
    fn type_name(&self) -> &'static str {
        self.resource.type_name()
    }

    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn validate(&self, config: &Value, write_only_allowed: bool) -> Diagnostics {
        let mut diagnostics = self.schema.validate(config);
        diagnostics.extend(timeouts::validate(config));
        if !write_only_allowed {
            refuse_write_only(
                &self.schema.attributes,
                config,
                &AttributePath::default(),
                &mut diagnostics,
            );
        }
        match from_value::<R::Model>(config.clone()) {
            Ok(model) => diagnostics.extend(self.resource.validate(&model)),
            // What no model can hold has been refused by a rule already, as a rule.
            Err(error) if !diagnostics.has_error() => diagnostics.push(error.into()),
            Err(_) => {}
        }
        diagnostics.concealing(&self.resource.concealed(config))
    }

    fn plan(&self, request: PlanRequest) -> PlanResponse {
        // What was unknown when Terraform had the configuration validated may be known by now, at
        // the latest in the plan that it asks for again before it applies. Warnings were given then.
        let mut errors = Diagnostics::default();
        if !request.config.is_null() {
            let found = self.validate(&request.config, true).into_iter();
            errors.extend(found.filter(|found| found.severity == Severity::Error));
        }
        if errors.has_error() {
            return PlanResponse {
                planned: request.proposed,
                requires_replace: Vec::new(),
                planned_private: request.prior_private,
                diagnostics: errors,
            };
        }
        let concealed = self.resource.concealed(&request.config);
        let planned = plan::plan(&self.resource, &self.schema, request);
        let diagnostics = planned.diagnostics.concealing(&concealed);
        PlanResponse { diagnostics, ..planned }
    }

    async fn before_removal(&self, leaving: Value) {
        // What cannot be read is the plan's finding.
        if let Ok(leaving) = from_value(leaving) {
            self.resource.before_removal(leaving).await;
        }
    }

    async fn apply(&self, request: ApplyRequest, cancel: CancellationToken) -> Outcome {
        let (prior, planned) = (model::<R>(&request.prior), model::<R>(&request.planned));
        let (prior, planned) = match (prior, planned) {
            (Ok(prior), Ok(planned)) => (prior, planned),
            (Err(diagnostic), _) | (_, Err(diagnostic)) => {
                return Outcome {
                    state: request.prior,
                    private: request.private,
                    diagnostics: diagnostic.into(),
                };
            }
        };
        let limits = if request.planned.is_null() { &request.prior } else { &request.planned };
        let timeouts = timeouts::of(limits, self.resource.timeouts());
        let mut private = request.private;
        private.forget_import();
        let mut state = State::new(prior.clone(), private);
        let concealed = self.resource.concealed(&request.config);
        let result = match (prior, planned) {
            (None, None) => Ok(()),
            (None, Some(planned)) => {
                let ctx = Ctx::new(timeouts.create, cancel).limited_by("timeouts.create");
                let ctx = ctx.with_config(request.config);
                self.resource.create(&ctx, planned, &mut state).await
            }
            (Some(prior), Some(planned)) => {
                let ctx = Ctx::new(timeouts.update, cancel).limited_by("timeouts.update");
                let ctx = ctx.with_config(request.config);
                self.resource.update(&ctx, prior, planned, &mut state).await
            }
            (Some(_), None) => {
                let ctx = Ctx::new(timeouts.delete, cancel).limited_by("timeouts.delete");
                let deleted = self.resource.delete(&ctx, &mut state).await;
                if deleted.is_ok() {
                    state.remove();
                }
                deleted
            }
        };
        let exact = [&request.prior, &request.planned];
        let outcome = self.outcome(state, &exact, result, |result| {
            author_checks::applied(&self.schema, &request.planned, result)
        });
        let diagnostics = outcome.diagnostics.concealing(&concealed);
        Outcome { diagnostics, ..outcome }
    }

    async fn read(&self, state: Value, mut private: Private, cancel: CancellationToken) -> Outcome {
        let model = match model::<R>(&state) {
            Ok(model) => model,
            Err(diagnostic) => return Outcome { state, private, diagnostics: diagnostic.into() },
        };
        let timeouts = timeouts::of(&state, self.resource.timeouts());
        private.count_read();
        let (exact, mut kept) = (state, State::new(model, private));
        let ctx = Ctx::new(timeouts.read, cancel).limited_by("timeouts.read");
        let result = ctx.bounded(self.resource.read(&ctx, &mut kept)).await;
        let result = result.unwrap_or_else(|why| Err(self.dropped(&ctx, why, "read")));
        let mut outcome =
            self.outcome(kept, &[&exact], result, |state| author_checks::read(&self.schema, state));
        if outcome.state.is_null() {
            // Otherwise the creation that follows would look like the second half of a replacement.
            outcome.private = Private::default();
        }
        outcome
    }

    async fn import(&self, id: &str, cancel: CancellationToken) -> Outcome {
        let mut private = Private::default();
        private.mark_imported();
        let mut state = State::new(None, private);
        // There is no configuration to say it yet.
        let ctx = Ctx::new(self.resource.timeouts().read, cancel);
        let result = ctx.bounded(self.resource.import(&ctx, id, &mut state)).await;
        let result = result.unwrap_or_else(|why| Err(self.dropped(&ctx, why, "import")));
        self.outcome(state, &[], result, |state| match state {
            Value::Null => vec!["an import succeeded and saved no state".to_owned()],
            state => author_checks::read(&self.schema, state),
        })
    }

    fn identity_parts(&self) -> &'static [IdentityPart] {
        self.resource.identity_parts()
    }

    fn identity_of(&self, state: &Value) -> Option<Vec<String>> {
        self.resource.identity(&from_value(state.clone()).ok()?)
    }

    fn upgrade(&self, version: i64, state: serde_json::Value) -> Result<Value, Diagnostics> {
        let state = if version == self.schema.version {
            state
        } else {
            self.resource.upgrade(version, state)?
        };
        let mut value = Value::from_json(&state);
        self.schema.conform(&mut value);
        // Terraform has taken out what this schema does not have; what is new in it is null.
        self.schema.complete(&mut value);
        Ok(value)
    }
}

impl<R: Resource> Erased<R> {
    fn dropped(&self, ctx: &Ctx, why: Interrupted, doing: &str) -> Diagnostics {
        ctx.dropped(why, &format!("{doing} {}", self.resource.type_name())).into()
    }

    fn outcome(
        &self,
        state: State<R::Model>,
        exact: &[&Value],
        result: Result<(), Diagnostics>,
        check: impl Fn(&Value) -> Vec<String>,
    ) -> Outcome {
        let (model, private, mut diagnostics) = state.into_parts();
        let mut value = match model.as_ref().map(to_value).transpose() {
            Ok(value) => value.unwrap_or_default(),
            Err(error) => {
                diagnostics.push(Diagnostic::bug(error));
                Value::Null
            }
        };
        exact.iter().for_each(|exact| value.restore_digits(exact));
        clear_write_only(&self.schema.attributes, &mut value);
        match result {
            Ok(()) => {
                let problems = check(&value);
                if !problems.is_empty() && !value.is_null() {
                    // Terraform would not even read it, and so forget the object.
                    author_checks::repair(&self.schema, &mut value);
                }
                diagnostics.extend(problems.into_iter().map(Diagnostic::bug));
            }
            Err(errors) => {
                diagnostics.extend(errors);
                if !diagnostics.has_error() {
                    diagnostics.push(Diagnostic::bug("an operation failed without an error"));
                }
                // What is not known after a failure will not become known: it is null.
                null_unknowns(&mut value);
            }
        }
        Outcome { state: value, private, diagnostics }
    }
}

fn model<R: Resource>(value: &Value) -> Result<Option<R::Model>, Diagnostic> {
    if value.is_null() { Ok(None) } else { Ok(Some(from_value(value.clone())?)) }
}

/// What will not become known any more is null.
fn null_unknowns(value: &mut Value) {
    match value {
        Value::Unknown(_) => *value = Value::Null,
        Value::List(elements) => elements.iter_mut().for_each(null_unknowns),
        Value::Map(members) => members.values_mut().for_each(null_unknowns),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
