//! What a change of each attribute of a group does.

use super::super::ReplicaGroupResource;
use plugin::testing::Harness;
use plugin::{Attr, Unknown, Value as TerraformValue, resource, to_value};
use schemas::table::{self, ChangeClass};
use schemas::{Engine, Member, ReplicaGroup};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn config(change: &Value) -> Value {
    let mut config = json!({
        "name": "decode",
        "service_id": "local/local/pd/tiny@abcd1234",
        "role": "decode",
        "replicas": 1,
        "engine": { "type": "mocker" },
    });
    let members = config.as_object_mut().expect("an object");
    members.extend(change.as_object().expect("an object").clone());
    config
}

fn deployed() -> Harness {
    let word = |text: &str| Attr::Known(text.to_owned());
    let member = Member {
        id: "m-1".to_owned(),
        address: "127.64.0.11".to_owned(),
        state: "running".to_owned(),
        digest: "0".to_owned(),
    };
    let group = ReplicaGroup {
        id: word("local/local/pd/tiny@abcd1234/decode"),
        name: word("decode"),
        service_id: word("local/local/pd/tiny@abcd1234"),
        role: word("decode"),
        replicas: Attr::Known(1),
        engine: Attr::Known(Engine { kind: word("mocker"), ..Engine::default() }),
        boot_revision: Attr::Known(0),
        drain_timeout: word("10m"),
        wait_for: word("ready"),
        on_boot_failure: word("remove"),
        instance_count: Attr::Known(1),
        members: Attr::Known(BTreeMap::from([("0".to_owned(), member)])),
        instance_type: word("cpu-2-4"),
        interconnect: word("tcp"),
        hourly_cost: Attr::Known(0.0),
        minimum_hourly_cost: Attr::Known(0.0),
        maximum_hourly_cost: Attr::Known(0.0),
        script_version: Attr::Known(1),
        drift: Attr::Known(BTreeMap::new()),
        ..ReplicaGroup::default()
    };
    let resource = resource(ReplicaGroupResource::new(Default::default()));
    Harness::holding(resource, to_value(&group).expect("a value"), Default::default())
}

/// For each attribute that is baked into the machines a configuration that differs in it, and in
/// what it cannot be without.
fn baked() -> Vec<(&'static str, Value)> {
    let engine = |more: Value| {
        let mut engine = json!({ "type": "mocker" });
        engine
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        json!({ "engine": engine })
    };
    vec![
        ("name", json!({ "name": "other" })),
        ("service_id", json!({ "service_id": "local/local/pd/tiny@abcd9999" })),
        ("role", json!({ "role": "prefill" })),
        ("resources.gpu", json!({ "resources": { "gpu": "H200:8" } })),
        ("resources.cpu", json!({ "resources": { "cpu": 8 } })),
        ("resources.memory_gb", json!({ "resources": { "memory_gb": 8 } })),
        ("resources.disk_gb", json!({ "resources": { "disk_gb": 80 } })),
        ("engine.type", json!({ "engine": { "type": "custom", "commands": ["true"] } })),
        ("engine.tensor_parallel", {
            let mut change = engine(json!({ "tensor_parallel": 1 }));
            change["resources"] = json!({ "gpu": "H200" });
            change
        }),
        ("engine.args", engine(json!({ "args": ["--x"] }))),
        ("engine.model", engine(json!({ "model": "a/b" }))),
        ("engine.image", engine(json!({ "image": "a:b" }))),
        ("engine.runtime", engine(json!({ "runtime": "venv" }))),
        ("engine.commands", json!({ "engine": { "type": "custom", "commands": ["true"] } })),
        ("env", json!({ "env": { "A": "b" } })),
        ("secret_env", json!({ "secret_env": { "A": "env://A" } })),
        ("identity", json!({ "identity": "me" })),
        ("image", json!({ "image": "ami-1" })),
        ("market", json!({ "market": "spot" })),
        ("reservation", json!({ "reservation": "cr-1" })),
        ("egress", json!({ "egress": "public_ip" })),
        ("boot_revision", json!({ "boot_revision": 1 })),
    ]
}

#[test]
fn every_baked_attribute_is_in_the_list_above() {
    let definition = table::entries::<ReplicaGroup>();
    let is_leaf = |path: &[String]| {
        !definition
            .iter()
            .any(|other| other.path.len() > path.len() && other.path.starts_with(path))
    };
    let classes = [Some(ChangeClass::Rolling), Some(ChangeClass::Replace)];
    let found: BTreeSet<String> = definition
        .iter()
        .filter(|entry| classes.contains(&entry.row.change) && is_leaf(&entry.path))
        .map(|entry| entry.path.join("."))
        .collect();
    assert_eq!(found, baked().into_iter().map(|(path, _)| path.to_owned()).collect());
}

#[test]
fn an_unchanged_group_plans_nothing() {
    let harness = deployed();
    assert_eq!(harness.plan(&config(&json!({}))).planned, harness.state);
    for same in [json!({ "env": {} }), json!({ "resources": {} }), json!({ "boot_revision": 0 })] {
        let plan = harness.plan(&config(&same));
        assert!(plan.diagnostics.is_empty() && plan.requires_replace.is_empty(), "{same}");
    }
}

#[test]
fn what_is_baked_in_rolls_the_group_or_replaces_it_and_says_so() {
    for (path, change) in baked() {
        let plan = deployed().plan(&config(&change));
        // The local cloud runs no containers, has no identities and sells nothing, and says so.
        let refused = ["engine.image", "identity", "image", "market", "reservation", "egress"];
        let is_refused = refused.contains(&path);
        assert_eq!(plan.diagnostics.has_error(), is_refused, "{path}: {:?}", plan.diagnostics);
        let warnings: Vec<_> =
            plan.diagnostics.iter().map(|found| found.summary.as_str()).collect();
        let paths: Vec<_> = plan.requires_replace.iter().map(ToString::to_string).collect();
        let said = match path {
            "service_id" => "Workers go with their router",
            "name" => "Replica group is replaced",
            _ => "Replica group is rolled",
        };
        assert!(warnings.contains(&said), "{path}: {warnings:?}");
        let is_replaced = ["service_id", "name"].contains(&path);
        assert_eq!(paths.contains(&path.to_owned()), is_replaced, "{path}: {paths:?}");
        assert_eq!(paths.is_empty(), !is_replaced, "{path}: {paths:?}");
        if !is_replaced {
            assert!(plan.planned.member("members").has_unknown(), "{path}");
            assert_eq!(plan.planned.member("id"), deployed().state.member("id"), "{path}");
        }
    }
}

#[test]
fn only_who_says_it_takes_the_last_machine() {
    for (strategy, said) in [
        (json!(null), "none goes before its successor serves"),
        (json!({}), "none goes before its successor serves"),
        (json!({ "max_surge": 1 }), "none goes before its successor serves"),
        (json!({ "max_unavailable": 0, "max_surge": 1 }), "at most 0 missing and 1 beyond"),
        (json!({ "max_unavailable": 1 }), "the group does not serve"),
        (json!({ "max_unavailable": 2, "max_surge": 0 }), "the group does not serve"),
    ] {
        let change = json!({ "env": { "A": "b" }, "update_strategy": strategy });
        let plan = deployed().plan(&config(&change));
        let warnings: Vec<_> = plan.diagnostics.iter().collect();
        assert_eq!(warnings.len(), 1, "{strategy}: {warnings:?}");
        assert!(warnings[0].detail.contains(said), "{strategy}: {warnings:?}");
    }
}

#[test]
fn counts_change_in_place() {
    let scaling = json!({ "min": 1, "max": 3, "target": 2 });
    for change in [json!({ "replicas": 3 }), json!({ "replicas": null, "scaling": scaling })] {
        let harness = deployed();
        let plan = harness.plan(&config(&change));
        let said: Vec<_> = plan.diagnostics.iter().map(|found| found.summary.as_str()).collect();
        let scales = change.get("scaling").map(|_| "Nothing scales by itself");
        assert_eq!(said, scales.into_iter().collect::<Vec<_>>(), "{change}");
        assert!(plan.requires_replace.is_empty(), "{change}");
        assert!(plan.planned.member("members").has_unknown());
        assert_eq!(plan.planned.member("id"), harness.state.member("id"));
    }
}

/// How long a drain may take is the provider's own affair.
#[test]
fn a_drain_timeout_changes_in_place_and_must_fit_into_its_operation() {
    for timeout in ["0s", "90s", "24h"] {
        let harness = deployed();
        let plan = harness.plan(&config(&json!({ "drain_timeout": timeout })));
        assert!(!plan.diagnostics.has_error() && plan.requires_replace.is_empty(), "{timeout}");
        assert!(!plan.planned.member("members").has_unknown(), "{timeout}");
    }
    let warned = |change: Value| -> Vec<String> {
        let harness = Harness::new(resource(ReplicaGroupResource::new(Default::default())));
        let found = harness.validate(&config(&change)).into_iter();
        let at = |found: plugin::Diagnostic| found.attribute.expect("an attribute").to_string();
        found.map(|found| format!("{} at {}", found.summary.clone(), at(found))).collect()
    };
    let longer = |at: &str| vec![format!("Drain longer than its operation at {at}")];
    let timeouts = |update: &str| json!({ "update": update });
    assert_eq!(warned(json!({ "timeouts": timeouts("5m") })), longer("timeouts.update"));
    let both = json!({ "drain_timeout": "10m", "timeouts": timeouts("10m") });
    assert_eq!(warned(both), longer("drain_timeout"));
    let short = json!({ "drain_timeout": "1m", "timeouts": timeouts("5m") });
    assert_eq!(warned(short), Vec::<String>::new());
    // What nobody gives has a length too: a removal may take 30 minutes, for decode and its prefill, and a roll 90.
    assert_eq!(warned(json!({ "drain_timeout": "15m" })), longer("drain_timeout"));
    assert_eq!(warned(json!({ "drain_timeout": "14m" })), Vec::<String>::new());
    let prefill = |timeout: &str| json!({ "role": "prefill", "drain_timeout": timeout });
    assert_eq!(warned(prefill("30m")), longer("drain_timeout"));
    assert_eq!(warned(prefill("29m")), Vec::<String>::new());
    let batches = |surge: i64| {
        json!({
            "role": "prefill",
            "drain_timeout": "15m",
            "replicas": 6,
            "update_strategy": { "max_unavailable": 0, "max_surge": surge },
        })
    };
    assert_eq!(warned(batches(1)), longer("drain_timeout"));
    assert_eq!(warned(batches(2)), Vec::<String>::new());
    assert_eq!(warned(json!({ "replicas": 100 })), Vec::<String>::new());
}

/// Plans make no calls, so they say what happens with and without a route to the router.
#[test]
fn a_plan_says_how_machines_drain_where_the_router_may_be_out_of_reach() {
    let on = |cloud: &str, before: i64, change: Value| -> Vec<String> {
        let TerraformValue::Map(mut members) = deployed().state else { panic!("no object") };
        let service = format!("{cloud}/pd/tiny@abcd1234");
        let id = format!("{service}/decode");
        members.insert("service_id".to_owned(), TerraformValue::String(service.clone()));
        members.insert("id".to_owned(), TerraformValue::String(id));
        members.insert("instance_count".to_owned(), to_value(&before).expect("a value"));
        members.insert("replicas".to_owned(), to_value(&before).expect("a value"));
        let resource = resource(ReplicaGroupResource::new(Default::default()));
        let harness = Harness::holding(resource, TerraformValue::Map(members), Default::default());
        let mut config = config(&change);
        config["service_id"] = json!(service);
        let found = harness.plan(&config).diagnostics;
        found.iter().map(|found| found.summary.clone()).collect()
    };
    let says = |found: Vec<String>| found.iter().any(|one| one == "Machines drain before they go");
    let aws = "aws/us-east-2";
    assert!(says(on(aws, 3, json!({ "replicas": 1 }))));
    assert!(says(on(aws, 3, json!({ "replicas": 3, "env": { "A": "b" } }))));
    assert!(!says(on(aws, 3, json!({ "replicas": 4 }))));
    assert!(!says(on(aws, 3, json!({ "replicas": 1, "drain_timeout": "0s" }))));
    assert!(!says(on("local/local", 3, json!({ "replicas": 1 }))));
}

#[test]
fn the_clouds_catalogue_is_asked_as_soon_as_the_cloud_is_known() {
    let resource = || resource(ReplicaGroupResource::new(Default::default()));
    let plan_with = |service_id: TerraformValue| {
        let mut request = plugin::PlanRequest::default();
        let harness = Harness::new(resource());
        let known = harness.plan(&config(&json!({ "resources": { "gpu": "H200:8" } })));
        let TerraformValue::Map(mut members) = known.planned else { panic!("no object") };
        members.insert("service_id".to_owned(), service_id);
        for computed in [
            "id",
            "members",
            "instance_count",
            "instance_type",
            "image_id",
            "interconnect",
            "hourly_cost",
            "minimum_hourly_cost",
            "maximum_hourly_cost",
            "drift",
            "script_version",
        ] {
            members.insert(computed.to_owned(), TerraformValue::Null);
        }
        request.config = TerraformValue::Map(members);
        request.proposed = request.config.clone();
        resource().plan(request).planned.member("instance_type").clone()
    };
    let prefixed = Unknown::with_prefix("local/local/pd/tiny@");
    assert_eq!(
        plan_with(TerraformValue::Unknown(prefixed)),
        TerraformValue::String("h200-8".to_owned())
    );
    assert!(plan_with(TerraformValue::Unknown(Unknown::default())).has_unknown());
}

/// A group that had no machine has nobody who could have told its image: the one that comes may.
#[test]
fn the_image_of_a_group_without_machines_is_not_known_yet() {
    let on_aws = |image_id: Attr<String>, replicas: i64| {
        let TerraformValue::Map(mut members) = deployed().state else { panic!("no object") };
        let service = "aws/us-east-2/pd/tiny@abcd1234".to_owned();
        let id = format!("{service}/decode");
        members.insert("service_id".to_owned(), TerraformValue::String(service));
        members.insert("id".to_owned(), TerraformValue::String(id));
        members.insert("image_id".to_owned(), to_value(&image_id).expect("a value"));
        let resource = resource(ReplicaGroupResource::new(Default::default()));
        let harness = Harness::holding(resource, TerraformValue::Map(members), Default::default());
        let change =
            json!({ "replicas": replicas, "service_id": "aws/us-east-2/pd/tiny@abcd1234" });
        harness.plan(&config(&change)).planned.member("image_id").clone()
    };
    assert!(on_aws(Attr::Null, 2).has_unknown());
    let pinned = Attr::Known("ami-1".to_owned());
    assert_eq!(on_aws(pinned, 2), TerraformValue::String("ami-1".to_owned()));
}
