//! Random configurations through validate and plan: never a panic, never a bug of our own. What is
//! refused is refused at validate with a path, and what is not can be planned.

use super::endpoint::EndpointResource;
use super::fleet::FleetResource;
use super::replica_group::ReplicaGroupResource;
use super::service::ServiceResource;
use plugin::{
    Attribute, AttributeKind, Diagnostics, DynResource, Mode, PlanRequest, Private, Type, Unknown,
    Value, resource,
};
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use serde_json::{Value as Json, json};
use std::cell::Cell;
use std::collections::BTreeMap;

/// Words that are right somewhere, so that a configuration gets past the first check.
const WORDS: &[&str] = &[
    "pd",
    "decode",
    "prefill",
    "worker",
    "local",
    "aws",
    "local-a",
    "us-east-2",
    "cluster",
    "zone",
    "local/local/pd",
    "local/local/pd/tiny@abcd1234",
    "aws/us-east-2/pd/tiny@abcd1234",
    "local/local/pd/tiny@abcd1234/decode",
    "disagg/tiny",
    "H200:8",
    "H200:4..8",
    "1.6.1",
    "1.4.2",
    "dynamo",
    "custom",
    "mocker",
    "sglang",
    "vllm",
    "venv",
    "container",
    "ready",
    "running",
    "sequential",
    "overlap",
    "refuse",
    "replace",
    "remove",
    "keep",
    "rps",
    "45m",
    "0s",
    "203.0.113.0/24",
    "0.0.0.0/0",
    "/health",
    "env://TOKEN",
    "aws-sm://prod/hf",
    "--flag",
    "true",
];

fn text() -> BoxedStrategy<String> {
    prop_oneof![
        12 => prop::sample::select(WORDS).prop_map(str::to_owned),
        2 => "\\PC{0,12}",
        1 => Just("é🦀\u{202e}\u{0}\n\r\t\"'\\$`{}".to_owned()),
        1 => Just("x".repeat(10_000)),
        1 => Just(String::new()),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<Value> {
    let whole = |value: i64| plugin::to_value(&value).expect("a number");
    let broken = |value: f64| plugin::to_value(&value).expect("a number");
    prop_oneof![
        6 => (0_i64..10).prop_map(whole),
        2 => prop::sample::select(vec![-1, 80, 2379, 8000, 8001, 65_536, i64::MAX, i64::MIN]).prop_map(whole),
        1 => prop::sample::select(vec![0.5, -0.5, 1e300, f64::MIN_POSITIVE]).prop_map(broken),
    ]
    .boxed()
}

fn of_type(kind: &Type) -> BoxedStrategy<Value> {
    let known = match kind {
        Type::String | Type::Dynamic => text().prop_map(Value::String).boxed(),
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Number => number(),
        Type::List(element) | Type::Set(element) => {
            prop::collection::vec(of_type(element), 0..3).prop_map(Value::List).boxed()
        }
        Type::Map(element) => {
            prop::collection::btree_map(text(), of_type(element), 0..3).prop_map(Value::Map).boxed()
        }
        Type::Object(members) => object(
            members.iter().map(|(name, kind)| (name.clone(), of_type(kind))).collect::<Vec<_>>(),
        ),
        Type::Tuple(elements) => {
            elements.iter().map(of_type).collect::<Vec<_>>().prop_map(Value::List).boxed()
        }
    };
    with_absence(known)
}

fn with_absence(known: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![
        8 => known,
        3 => Just(Value::Null),
        1 => Just(Value::Unknown(Unknown::default())),
        1 => Just(Value::Unknown(Unknown::with_prefix("local/local/pd/tiny@"))),
    ]
    .boxed()
}

fn object(members: Vec<(String, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let (names, values): (Vec<_>, Vec<_>) = members.into_iter().unzip();
    values.prop_map(move |values| Value::Map(names.iter().cloned().zip(values).collect())).boxed()
}

fn of_attributes(attributes: &BTreeMap<String, Attribute>) -> BoxedStrategy<Value> {
    let members = attributes.iter().map(|(name, attribute)| {
        let value = match &attribute.kind {
            _ if attribute.mode == Mode::Computed => Just(Value::Null).boxed(),
            AttributeKind::Type(kind) => of_type(kind),
            AttributeKind::Nested { attributes, .. } => with_absence(of_attributes(attributes)),
        };
        (name.clone(), value)
    });
    object(members.collect())
}

/// A configuration that is right, with a few attributes changed at random.
fn changed(attributes: &BTreeMap<String, Attribute>, right: &Json) -> BoxedStrategy<Value> {
    let members = attributes.iter().map(|(name, attribute)| {
        let kept = Just(Value::from_json(&right[name]));
        let random = of_attributes(&BTreeMap::from([(name.clone(), attribute.clone())])).prop_map(
            |object| match object {
                Value::Map(members) => members.into_values().next().unwrap_or_default(),
                other => other,
            },
        );
        (name.clone(), prop_oneof![6 => kept, 1 => random].boxed())
    });
    object(members.collect())
}

fn resources() -> Vec<(Box<dyn DynResource>, Json)> {
    let service = "local/local/pd/tiny@abcd1234";
    vec![
        (
            resource(FleetResource::new(Default::default())),
            json!({ "name": "pd", "cloud": "local" }),
        ),
        (
            resource(ServiceResource::new(Default::default())),
            json!({ "name": "tiny", "fleet_id": "local/local/pd", "model": "disagg/tiny" }),
        ),
        (
            resource(ReplicaGroupResource::new(Default::default())),
            json!({
                "name": "decode", "service_id": service, "role": "decode", "replicas": 2,
                "engine": { "type": "mocker" },
            }),
        ),
        (resource(EndpointResource::new(Default::default())), json!({ "service_id": service })),
    ]
}

fn assert_no_bug(diagnostics: &Diagnostics, config: &Value) {
    for found in diagnostics {
        let text = format!("{} {}", found.summary, found.detail);
        assert!(!text.contains("bug"), "{text}\n{config:?}");
        assert!(!found.summary.is_empty() && !found.detail.is_empty(), "{found:?}\n{config:?}");
    }
}

/// As Terraform proposes a creation: what is computed and not given is unknown to the plan.
fn creation(config: &Value) -> PlanRequest {
    PlanRequest {
        prior: Value::Null,
        config: config.clone(),
        proposed: config.clone(),
        prior_private: Private::default(),
    }
}

#[test]
fn random_configurations() {
    for (resource, right) in resources() {
        let name = resource.type_name();
        let attributes = &resource.schema().attributes;
        let strategy =
            prop_oneof![1 => of_attributes(attributes), 3 => changed(attributes, &right)];
        let cases =
            ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() };
        let planned = Cell::new(0_u32);
        proptest!(cases, |(config in strategy)| {
            let diagnostics = resource.validate(&config, true);
            assert_no_bug(&diagnostics, &config);
            let plan = resource.plan(creation(&config));
            assert_no_bug(&plan.diagnostics, &config);
            if diagnostics.has_error() {
                prop_assert!(plan.diagnostics.has_error(), "{name}: refused, and yet planned: {config:?}");
            } else if !plan.diagnostics.has_error() {
                planned.set(planned.get() + 1);
                // The same configuration on what it made: no bug, and nothing refused.
                let again = resource.plan(PlanRequest {
                    prior: plan.planned.clone(),
                    proposed: plan.planned.clone(),
                    ..creation(&config)
                });
                assert_no_bug(&again.diagnostics, &config);
            }
        });
        assert!(planned.get() > 100, "{name}: only {} could be planned", planned.get());
    }
}
