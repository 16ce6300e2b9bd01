//! Every attribute of a service that is baked into its router, held against the guard.

use super::super::ServiceResource;
use super::super::record::RouterRecord;
use plugin::testing::Harness;
use plugin::{Attr, PlanResponse, Private, resource, to_value};
use schemas::Service;
use schemas::table::{self, ChangeClass};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// For each attribute a configuration that differs in it, and in what it cannot be without, and what it means for a router that
/// is of type `dynamo` with nothing else given.
fn changes() -> Vec<(&'static str, Value)> {
    vec![
        ("name", json!({ "name": "other" })),
        ("fleet_id", json!({ "fleet_id": "local/local/other" })),
        ("model", json!({ "model": "disagg/other" })),
        ("version", json!({ "version": "1.4.2" })),
        ("port", json!({ "port": 8001 })),
        ("image", json!({ "image": "ami-1" })),
        ("router.type", json!({ "router": { "type": "custom", "commands": ["true"] } })),
        ("router.resources.cpu", json!({ "router": { "resources": { "cpu": 8 } } })),
        ("router.resources.memory_gb", json!({ "router": { "resources": { "memory_gb": 32 } } })),
        ("router.resources.disk_gb", json!({ "router": { "resources": { "disk_gb": 99 } } })),
        ("router.args", json!({ "router": { "args": ["--x"] } })),
        ("router.env", json!({ "router": { "env": { "A": "b" } } })),
        ("router.commands", json!({ "router": { "type": "custom", "commands": ["true"] } })),
    ]
}

fn config(change: &Value) -> Value {
    let mut config =
        json!({ "name": "tiny", "fleet_id": "local/local/pd", "model": "disagg/tiny" });
    let members = config.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    config
}

fn deployed(live: bool) -> Harness {
    let word = |text: &str| Attr::Known(text.to_owned());
    let service = Service {
        id: word("local/local/pd/tiny@abcd1234"),
        name: word("tiny"),
        fleet_id: word("local/local/pd"),
        model: word("disagg/tiny"),
        version: word("1.6.1"),
        port: Attr::Known(8000),
        boot: word("sequential"),
        wait_for: word("ready"),
        on_router_change: word("refuse"),
        on_boot_failure: word("remove"),
        internal_ip: word("127.64.0.10"),
        endpoint: word("http://127.64.0.10:8000"),
        instance_type: word("cpu-4-16"),
        hourly_cost: Attr::Known(0.0),
        minimum_hourly_cost: Attr::Known(0.0),
        maximum_hourly_cost: Attr::Known(0.0),
        script_version: Attr::Known(1),
        drift: Attr::Known(BTreeMap::new()),
        ..Service::default()
    };
    let resource = resource(ServiceResource::new(Default::default()));
    Harness::holding(resource, to_value(&service).expect("a value"), record(Some(live)))
}

fn record(live: Option<bool>) -> Private {
    let mut private = Private::default();
    let address = "127.64.0.10".parse().expect("an address");
    RouterRecord { live, address, workers: 3, moved: false }.store(&mut private);
    private
}

fn summaries(plan: &PlanResponse) -> Vec<(&str, String)> {
    let texts = plan.diagnostics.iter().map(|diagnostic| {
        let path = diagnostic.attribute.as_ref().map(ToString::to_string).unwrap_or_default();
        (diagnostic.summary.as_str(), path)
    });
    texts.collect()
}

#[test]
fn every_baked_attribute_is_in_the_list_above() {
    let definition = table::entries::<Service>();
    let is_leaf = |path: &[String]| {
        !definition
            .iter()
            .any(|other| other.path.len() > path.len() && other.path.starts_with(path))
    };
    let baked: BTreeSet<String> = definition
        .iter()
        .filter(|entry| entry.row.change == Some(ChangeClass::Refused) && is_leaf(&entry.path))
        .map(|entry| entry.path.join("."))
        .collect();
    let listed = changes().into_iter().map(|(path, _)| path.to_owned()).collect();
    assert_eq!(baked, listed);
}

#[test]
fn an_unchanged_service_plans_nothing() {
    let harness = deployed(true);
    for same in [json!({}), json!({ "router": {} }), json!({ "port": 8000, "version": "1.6.1" })] {
        let plan = harness.plan(&config(&same));
        assert!(plan.diagnostics.is_empty(), "{same}: {:?}", plan.diagnostics);
        assert!(plan.requires_replace.is_empty(), "{same}");
    }
    assert_eq!(harness.plan(&config(&json!({}))).planned, harness.state);
}

#[test]
fn a_live_router_refuses_each_of_them() {
    for (path, change) in changes() {
        let plan = deployed(true).plan(&config(&change));
        let refused = ("Router replacement is not allowed", path.to_owned());
        let found = summaries(&plan);
        assert!(found.contains(&refused), "{change}: {found:?}");
        assert!(found.iter().all(|(summary, _)| *summary == refused.0), "{change}: {found:?}");
        assert!(plan.requires_replace.is_empty());
    }
}

#[test]
fn with_the_users_word_each_of_them_replaces() {
    for (path, change) in changes() {
        let mut change = change;
        change["on_router_change"] = json!("replace");
        let plan = deployed(true).plan(&config(&change));
        assert!(plan.diagnostics.is_empty(), "{path}: {:?}", plan.diagnostics);
        let paths: Vec<_> = plan.requires_replace.iter().map(ToString::to_string).collect();
        assert!(paths.contains(&path.to_owned()), "{paths:?}");
    }
}

#[test]
fn a_router_that_was_never_healthy_is_replaced_without_a_word() {
    for (path, change) in changes() {
        let plan = deployed(false).plan(&config(&change));
        assert!(plan.diagnostics.is_empty(), "{path}: {:?}", plan.diagnostics);
        assert!(!plan.requires_replace.is_empty(), "{path}");
    }
}

#[test]
fn what_is_the_providers_alone_changes_in_place() {
    let harness = deployed(true);
    for change in [
        json!({ "boot": "overlap" }),
        json!({ "wait_for": "running" }),
        json!({ "on_router_change": "replace" }),
        json!({ "on_boot_failure": "keep" }),
        json!({ "timeouts": { "create": "1h" } }),
        json!({ "ingress_cidrs": ["203.0.113.0/24"] }),
    ] {
        let plan = harness.plan(&config(&change));
        assert!(plan.diagnostics.is_empty(), "{change}: {:?}", plan.diagnostics);
        assert!(plan.requires_replace.is_empty(), "{change}");
        for kept in ["id", "endpoint", "internal_ip", "hourly_cost"] {
            assert_eq!(plan.planned.member(kept), harness.state.member(kept), "{change}: {kept}");
        }
    }
}

#[test]
fn a_new_release_of_the_provider_plans_nothing() {
    // What it was made with: other scripts, another default version, another price, another type.
    let mut state = deployed(true).state;
    let plugin::Value::Map(members) = &mut state else { panic!("no object") };
    for (name, value) in [
        ("version", json!("1.4.2")),
        ("script_version", json!(99)),
        ("hourly_cost", json!(9.99)),
        ("maximum_hourly_cost", json!(9.99)),
        ("instance_type", json!("older")),
    ] {
        members.insert(name.to_owned(), plugin::Value::from_json(&value));
    }
    let resource = resource(ServiceResource::new(Default::default()));
    let plan =
        Harness::holding(resource, state.clone(), record(Some(true))).plan(&config(&json!({})));
    assert!(plan.diagnostics.is_empty(), "{:?}", plan.diagnostics);
    assert_eq!(plan.planned, state);
}

#[test]
fn an_endpoint_that_is_open_to_everybody_is_said() {
    let warns = |fleet: &str, blocks: Value| {
        let harness = Harness::new(resource(ServiceResource::new(Default::default())));
        let plan = harness.plan(&config(&json!({ "fleet_id": fleet, "ingress_cidrs": blocks })));
        assert!(!plan.diagnostics.has_error(), "{:?}", plan.diagnostics);
        summaries(&plan).contains(&("Endpoint open to everybody", "ingress_cidrs".to_owned()))
    };
    assert!(warns("aws/us-east-2/pd", json!(["0.0.0.0/0"])));
    assert!(warns("aws/us-east-2/pd", json!(["203.0.113.0/24", "::/0"])));
    assert!(!warns("aws/us-east-2/pd", json!(["203.0.113.0/24"])));
    // Nobody but this computer reaches a loopback address.
    assert!(!warns("local/local/pd", json!(["0.0.0.0/0"])));
}
