//! A stand-in for Terraform, in the test's own process: it asks in Terraform's order and keeps the
//! state, so that a resource can be tested without the binary, with tokio's paused time.

mod attached;

pub use attached::Attached;

use crate::diagnostics::Diagnostics;
use crate::erased::{ApplyRequest, DynResource};
use crate::plan::{PlanRequest, PlanResponse};
use crate::private::Private;
use crate::schema::{Attribute, AttributeKind, Nesting};
use crate::value::Value;
use std::collections::BTreeMap;
use tokio_util::sync::CancellationToken;

/// One object of a resource, with its state.
#[derive(Debug)]
pub struct Harness {
    resource: Box<dyn DynResource>,
    /// Its state; null when there is none.
    pub state: Value,
    private: Private,
    /// Fire it to stop what runs, as Ctrl-C does.
    pub cancel: CancellationToken,
}

impl Harness {
    /// An object that does not exist yet.
    pub fn new(resource: Box<dyn DynResource>) -> Self {
        Self {
            resource,
            state: Value::Null,
            private: Private::default(),
            cancel: CancellationToken::new(),
        }
    }

    /// An object with this state and these private data.
    pub fn holding(resource: Box<dyn DynResource>, state: Value, private: Private) -> Self {
        Self { state, private, ..Self::new(resource) }
    }

    /// What is wrong with a configuration. What is left out of the JSON is null.
    pub fn validate(&self, config: &serde_json::Value) -> Diagnostics {
        self.resource.validate(&self.config(config), true)
    }

    /// The plan for a configuration; `null` plans the removal.
    pub fn plan(&self, config: &serde_json::Value) -> PlanResponse {
        let config = self.config(config);
        let proposed = proposed(&self.resource.schema().attributes, &self.state, &config);
        self.resource.plan(PlanRequest {
            prior: self.state.clone(),
            config,
            proposed,
            prior_private: self.private.clone(),
        })
    }

    /// Validates, plans and applies a configuration; `null` removes the object. Replaces it where
    /// the plan says so. The state is kept as Terraform would keep it. Answers all diagnostics.
    pub async fn apply(&mut self, config: &serde_json::Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::default();
        if !config.is_null() {
            diagnostics.extend(self.validate(config));
        }
        let plan = self.plan(config);
        diagnostics.extend(plan.diagnostics.clone());
        if diagnostics.has_error() {
            return diagnostics;
        }
        let replaced = plan.requires_replace.iter().any(|path| {
            let changed = |value: &Value| {
                path.steps().iter().fold(value.clone(), |value, step| match step {
                    crate::Step::Attribute(name) | crate::Step::Key(name) => {
                        value.member(name).clone()
                    }
                    crate::Step::Index(_) => value,
                })
            };
            changed(&plan.planned) != changed(&self.state)
        });
        if replaced {
            diagnostics.extend(self.run(Value::Null, Value::Null, plan.planned_private).await);
            if diagnostics.has_error() {
                return diagnostics;
            }
            let plan = self.plan(config);
            diagnostics.extend(plan.diagnostics.clone());
            diagnostics
                .extend(self.run(plan.planned, self.config(config), plan.planned_private).await);
            return diagnostics;
        }
        if plan.planned != self.state || config.is_null() {
            diagnostics
                .extend(self.run(plan.planned, self.config(config), plan.planned_private).await);
        }
        diagnostics
    }

    /// Looks at the object.
    pub async fn refresh(&mut self) -> Diagnostics {
        if self.state.is_null() {
            return Diagnostics::default();
        }
        let (state, private) = (self.state.clone(), self.private.clone());
        let outcome = self.resource.read(state, private, self.cancel.clone()).await;
        if !outcome.diagnostics.has_error() {
            self.state = outcome.state;
            self.private = outcome.private;
        }
        outcome.diagnostics
    }

    /// Imports an object, and looks at it.
    pub async fn import(&mut self, id: &str) -> Diagnostics {
        let outcome = self.resource.import(id, self.cancel.clone()).await;
        if outcome.diagnostics.has_error() {
            return outcome.diagnostics;
        }
        self.state = outcome.state;
        self.private = outcome.private;
        self.refresh().await
    }

    async fn run(&mut self, planned: Value, config: Value, private: Private) -> Diagnostics {
        let creates = self.state.is_null();
        let request = ApplyRequest { prior: self.state.clone(), planned, config, private };
        let outcome = self.resource.apply(request, self.cancel.clone()).await;
        let keeps_prior = outcome.diagnostics.has_error() && outcome.state.is_null() && !creates;
        if !keeps_prior {
            self.state = outcome.state;
            self.private = outcome.private;
        }
        outcome.diagnostics
    }

    fn config(&self, config: &serde_json::Value) -> Value {
        let mut value = Value::from_json(config);
        self.resource.schema().complete(&mut value);
        value
    }
}

/// The configuration, with what is computed and not given taken from before.
fn proposed(attributes: &BTreeMap<String, Attribute>, prior: &Value, config: &Value) -> Value {
    let Value::Map(given) = config else { return config.clone() };
    let mut members = BTreeMap::new();
    for (name, attribute) in attributes {
        let (given, before) = (given.get(name).cloned().unwrap_or_default(), prior.member(name));
        let value = match &attribute.kind {
            _ if given.is_null() && attribute.mode.is_computed() => before.clone(),
            AttributeKind::Nested { nesting: Nesting::Single, attributes } => {
                proposed(attributes, before, &given)
            }
            _ => given,
        };
        members.insert(name.clone(), value);
    }
    Value::Map(members)
}
