//! A whole provider with one resource, and its tests: the example that the crate's documentation
//! refers to. The "cloud" is a map in memory.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use async_trait::async_trait;
use plugin::testing::Harness;
use plugin::{
    Attr, Attribute, AttributeKind, AttributePath, Change, Ctx, Diagnostic, Diagnostics,
    DynResource, Invalid, Mode, Nesting, PlanModifier, Provider, Resource, Schema, State, Type,
    Validator, Value, resource,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The cloud: buckets by id.
type Store = Arc<Mutex<BTreeMap<String, i64>>>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket {
    id: Attr<String>,
    name: Attr<String>,
    size: Attr<i64>,
    owner: Attr<Owner>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Owner {
    email: Attr<String>,
}

#[derive(Debug)]
struct BucketResource {
    store: Store,
}

#[async_trait]
impl Resource for BucketResource {
    type Model = Bucket;

    fn type_name(&self) -> &'static str {
        "example_bucket"
    }

    fn schema(&self) -> Schema {
        let text = |description: &str| Attribute {
            description: description.to_owned(),
            ..Attribute::default()
        };
        let no_blank = Validator::new("without blanks", |value| match value {
            Value::String(text) if text.contains(' ') => Err(Invalid {
                summary: "Invalid name".to_owned(),
                detail: format!("`{text}` has blanks."),
                path: None,
            }),
            _ => Ok(()),
        });
        let owner = BTreeMap::from([(
            "email".to_owned(),
            Attribute { mode: Mode::Required, ..text("Where to write to.") },
        )]);
        let attributes = [
            (
                "id",
                Attribute {
                    mode: Mode::Computed,
                    modifiers: vec![PlanModifier::UseStateForUnknown],
                    ..text("Its id.")
                },
            ),
            (
                "name",
                Attribute {
                    mode: Mode::Required,
                    validators: vec![no_blank],
                    modifiers: vec![PlanModifier::RequiresReplace],
                    ..text("Its name.")
                },
            ),
            (
                "size",
                Attribute {
                    kind: AttributeKind::Type(Type::Number),
                    mode: Mode::OptionalComputed,
                    default: Some(Value::Number(10_i64.into())),
                    ..text("Its size in GB.")
                },
            ),
            (
                "owner",
                Attribute {
                    kind: AttributeKind::Nested { nesting: Nesting::Single, attributes: owner },
                    ..text("Whose it is.")
                },
            ),
        ];
        Schema {
            version: 0,
            description: "A bucket.".to_owned(),
            attributes: attributes.map(|(name, attribute)| (name.to_owned(), attribute)).into(),
        }
    }

    fn plan(&self, change: &mut Change<Bucket>) -> Diagnostics {
        let (Some(prior), Some(planned)) = (&change.prior, &change.planned) else {
            return Diagnostics::default();
        };
        if planned.size.known() < prior.size.known() {
            return Diagnostic::error("Bucket cannot shrink", "Make a new one.")
                .at(AttributePath::root("size"))
                .into();
        }
        Diagnostics::default()
    }

    async fn create(
        &self,
        ctx: &Ctx,
        mut planned: Bucket,
        state: &mut State<Bucket>,
    ) -> Result<(), Diagnostics> {
        let id = format!("b-{}", planned.name.as_str().unwrap_or_default());
        let size = planned.size.known().copied().unwrap_or_default();
        self.store.lock().unwrap().insert(id.clone(), size);
        planned.id = Attr::Known(id);
        // From here on it exists: saved before anything is waited for.
        state.save(&planned);
        ctx.checked(tokio::time::sleep(Duration::from_secs(60))).await.map_err(|why| {
            Diagnostic::error("Bucket is not ready", format!("Waiting ended: {why}.")).into()
        })
    }

    async fn read(&self, _: &Ctx, state: &mut State<Bucket>) -> Result<(), Diagnostics> {
        let Some(mut bucket) = state.get().cloned() else { return Ok(()) };
        let id = bucket.id.as_str().unwrap_or_default().to_owned();
        match self.store.lock().unwrap().get(&id) {
            Some(size) => {
                bucket.size = Attr::Known(*size);
                state.save(&bucket);
            }
            None => state.remove(),
        }
        Ok(())
    }

    async fn update(
        &self,
        _: &Ctx,
        prior: Bucket,
        planned: Bucket,
        state: &mut State<Bucket>,
    ) -> Result<(), Diagnostics> {
        let id = prior.id.as_str().unwrap_or_default().to_owned();
        let size = planned.size.known().copied().unwrap_or_default();
        self.store.lock().unwrap().insert(id, size);
        state.save(&planned);
        Ok(())
    }

    async fn delete(&self, _: &Ctx, state: &mut State<Bucket>) -> Result<(), Diagnostics> {
        let id = state.get().and_then(|bucket| bucket.id.as_str()).unwrap_or_default();
        self.store.lock().unwrap().remove(id);
        Ok(())
    }

    async fn import(
        &self,
        _: &Ctx,
        id: &str,
        state: &mut State<Bucket>,
    ) -> Result<(), Diagnostics> {
        if !self.store.lock().unwrap().contains_key(id) {
            return Err(
                Diagnostic::error("Bucket not found", format!("There is no `{id}`.")).into()
            );
        }
        state.save(&Bucket {
            id: Attr::Known(id.to_owned()),
            name: Attr::Known(id.trim_start_matches("b-").to_owned()),
            size: Attr::Null,
            owner: Attr::Null,
        });
        Ok(())
    }
}

/// What `plugin::serve` would be given.
struct Example {
    store: Store,
}

#[async_trait]
impl Provider for Example {
    type Config = BTreeMap<String, String>;

    fn schema(&self) -> Schema {
        Schema::default()
    }

    async fn configure(&self, _: Self::Config, _: &str) -> Result<Diagnostics, Diagnostics> {
        Ok(Diagnostics::default())
    }

    fn resources(&self) -> Vec<Box<dyn DynResource>> {
        vec![resource(BucketResource { store: Arc::clone(&self.store) })]
    }
}

fn harness() -> (Harness, Store) {
    let store = Store::default();
    let mut resources = Example { store: Arc::clone(&store) }.resources();
    (Harness::new(resources.remove(0)), store)
}

fn summaries(diagnostics: &Diagnostics) -> Vec<String> {
    diagnostics.iter().map(|diagnostic| diagnostic.summary.clone()).collect()
}

#[test]
fn the_schema_is_one_that_terraform_takes() {
    let resources = Example { store: Store::default() }.resources();
    assert_eq!(resources[0].schema().problems(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn from_creation_to_removal() {
    let (mut bucket, store) = harness();
    let config = json!({ "name": "a", "owner": { "email": "a@b" } });
    let plan = bucket.plan(&config);
    assert_eq!(plan.planned.member("size"), &Value::Number(10_i64.into()), "the default");
    assert!(plan.planned.member("id").has_unknown());

    assert_eq!(bucket.apply(&config).await, Diagnostics::default());
    assert_eq!(bucket.state.member("id"), &Value::String("b-a".to_owned()));
    assert_eq!(bucket.plan(&config).planned, bucket.state, "a second plan is empty");

    // In place, and the id stays known.
    let bigger = json!({ "name": "a", "size": 20, "owner": { "email": "a@b" } });
    assert!(!bucket.plan(&bigger).planned.member("id").has_unknown());
    assert_eq!(bucket.apply(&bigger).await, Diagnostics::default());
    assert_eq!(store.lock().unwrap()["b-a"], 20);

    // Refused by the plan, at its attribute.
    let refused = bucket.plan(&json!({ "name": "a", "size": 5 })).diagnostics;
    assert_eq!(summaries(&refused), ["Bucket cannot shrink"]);

    // Replaced.
    let renamed = json!({ "name": "c", "size": 20 });
    assert_eq!(bucket.plan(&renamed).requires_replace, [AttributePath::root("name")]);
    assert_eq!(bucket.apply(&renamed).await, Diagnostics::default());
    assert_eq!(store.lock().unwrap().keys().collect::<Vec<_>>(), ["b-c"]);

    assert_eq!(bucket.apply(&json!(null)).await, Diagnostics::default());
    assert_eq!(bucket.state, Value::Null);
    assert!(store.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_disappears_is_planned_again_and_what_drifts_is_put_back() {
    let (mut bucket, store) = harness();
    let config = json!({ "name": "a" });
    bucket.apply(&config).await;
    store.lock().unwrap().insert("b-a".to_owned(), 7);
    bucket.refresh().await;
    assert_eq!(bucket.state.member("size"), &Value::Number(7_i64.into()));
    bucket.apply(&config).await;
    assert_eq!(store.lock().unwrap()["b-a"], 10);
    store.lock().unwrap().clear();
    bucket.refresh().await;
    assert_eq!(bucket.state, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_stopped_keeps_what_it_saved() {
    let (mut bucket, _) = harness();
    bucket.cancel.cancel();
    let diagnostics = bucket.apply(&json!({ "name": "a" })).await;
    assert_eq!(summaries(&diagnostics), ["Bucket is not ready"]);
    assert_eq!(bucket.state.member("id"), &Value::String("b-a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_creation_ends_at_its_timeout() {
    let (mut bucket, _) = harness();
    let start = tokio::time::Instant::now();
    let diagnostics = bucket.apply(&json!({ "name": "a" })).await;
    assert!(diagnostics.is_empty());
    assert_eq!(start.elapsed().as_secs(), 60, "no test waits on real time");
}

#[tokio::test(start_paused = true)]
async fn an_import_is_read_at_once() {
    let (mut bucket, store) = harness();
    store.lock().unwrap().insert("b-x".to_owned(), 33);
    assert_eq!(bucket.import("b-x").await, Diagnostics::default());
    assert_eq!(bucket.state.member("size"), &Value::Number(33_i64.into()));
    let (mut other, _) = harness();
    assert_eq!(summaries(&other.import("b-y").await), ["Bucket not found"]);
}

#[test]
fn rules_hold_for_known_values_at_every_depth() {
    let (bucket, _) = harness();
    assert_eq!(summaries(&bucket.validate(&json!({ "name": "a b" }))), ["Invalid name"]);
    assert!(bucket.validate(&json!({ "name": "ab" })).is_empty());
}
