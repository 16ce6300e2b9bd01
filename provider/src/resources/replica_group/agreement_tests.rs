//! What the plans of several groups of a service say together.

use super::super::ReplicaGroupResource;
use crate::session::Session;
use crate::siblings::PlannedService;
use plugin::testing::Harness;
use plugin::{Diagnostics, resource};
use serde_json::{Value, json};
use std::sync::Arc;

const SERVICE: &str = "aws/us-east-2/pd/glm@abcd1234";

fn group(role: &str, name: &str, engine: Value) -> Value {
    json!({
        "name": name,
        "service_id": SERVICE,
        "role": role,
        "replicas": 1,
        "resources": { "gpu": "H200:8" },
        "engine": engine,
    })
}

/// The diagnostics of the last of these plans, all of one run.
fn planned(session: &Arc<Session>, groups: &[Value]) -> Diagnostics {
    let plan = |group| {
        let resource = resource(ReplicaGroupResource::new(Arc::clone(session)));
        Harness::new(resource).plan(group).diagnostics
    };
    groups.iter().map(plan).fold(Diagnostics::default(), |_, latest| latest)
}

fn said(groups: &[Value]) -> Vec<String> {
    let all = planned(&Arc::default(), groups);
    let attribute = |path: Option<_>| path.map(|path: plugin::AttributePath| path.to_string());
    all.iter()
        .map(|one| {
            format!("{} at {}", one.summary, attribute(one.attribute.clone()).unwrap_or_default())
        })
        .collect()
}

fn vllm(args: &[&str]) -> Value {
    json!({ "type": "vllm", "args": args })
}

#[test]
fn groups_that_agree_say_nothing() {
    let agreed = [
        group("prefill", "prefill", vllm(&["--max-model-len", "8192"])),
        group("decode", "decode", vllm(&["--enforce-eager", "--max-model-len=8192"])),
        group("decode", "more", vllm(&["--max-model-len", "8192", "--block-size", "64"])),
        // It works alone.
        group("worker", "alone", vllm(&["--block-size", "16"])),
    ];
    assert_eq!(said(&agreed), [""; 0]);
}

#[test]
fn groups_of_one_role_and_pairs_that_differ_are_refused() {
    let decode = |engine| group("decode", "decode", engine);
    for (first, second, expected) in [
        (
            decode(vllm(&[])),
            group("decode", "more", vllm(&["--block-size", "16"])),
            "Groups of one service differ in their KV block size at engine.args",
        ),
        (
            group("prefill", "prefill", vllm(&["--max-model-len", "4096"])),
            decode(vllm(&[])),
            "Groups of one service differ in their context length at engine.args",
        ),
        (
            group("prefill", "prefill", json!({ "type": "vllm", "model": "a/b" })),
            decode(json!({ "type": "vllm", "model": "/models/b" })),
            "Groups of one service differ in their model at engine.model",
        ),
    ] {
        // In whatever order Terraform comes.
        assert_eq!(said(&[first.clone(), second.clone()]), [expected]);
        assert_eq!(said(&[second, first]), [expected]);
    }
}

#[test]
fn a_disagreement_names_both_groups_and_both_values() {
    let pair = [
        group("prefill", "prefill", vllm(&[])),
        group("decode", "decode", vllm(&["--block-size", "16"])),
    ];
    let found = planned(&Arc::default(), &pair);
    let detail = &found.iter().next().expect("a diagnostic").detail;
    for words in ["`16` in group `decode`", "the default in group `prefill`", "in one apply"] {
        assert!(detail.contains(words), "{words}: {detail}");
    }
}

#[test]
fn what_is_gone_or_of_another_service_or_run_does_not_count() {
    let small = group("decode", "small", vllm(&["--block-size", "16"]));
    let large = group("decode", "large", vllm(&[]));
    let with = |change: Value| {
        let mut changed = small.clone();
        changed.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        changed
    };
    let elsewhere = with(json!({ "service_id": "aws/us-east-2/pd/other@abcd1234" }));
    assert_eq!(said(&[elsewhere, large.clone()]), [""; 0]);
    assert_eq!(said(&[with(json!({ "replicas": 0 })), large.clone()]), [""; 0]);
    let session = Arc::<Session>::default();
    assert!(planned(&session, &[small]).is_empty());
    session.configure(Default::default());
    assert!(planned(&session, &[large]).is_empty());
}

/// The service's own plan says which model it serves.
#[test]
fn a_model_that_is_named_is_compared_with_the_services() {
    let named = group("prefill", "prefill", json!({ "type": "vllm", "model": "a/b" }));
    let unnamed = group("decode", "decode", vllm(&[]));
    let with_service = |model: &str| {
        let session = Arc::<Session>::default();
        let service = PlannedService { model: Some(model.to_owned()), version: None };
        session.siblings().plan_service("aws/us-east-2/pd/glm".to_owned(), service);
        planned(&session, &[named.clone(), unnamed.clone()]).has_error()
    };
    assert!(!with_service("a/b"));
    assert!(with_service("c/d"));
}

#[test]
fn different_tensor_parallel_sizes_are_a_warning_of_the_engine() {
    let of = |engine: &str, size: i64| json!({ "type": engine, "tensor_parallel": size });
    for engine in ["vllm", "sglang", "trtllm"] {
        let pair =
            [group("prefill", "prefill", of(engine, 4)), group("decode", "decode", of(engine, 8))];
        let expected =
            "Prefill and decode of different tensor parallel sizes at engine.tensor_parallel";
        assert_eq!(said(&pair), [expected], "{engine}");
    }
    let same = [group("prefill", "prefill", of("vllm", 8)), group("decode", "decode", vllm(&[]))];
    assert_eq!(said(&same), [""; 0]);
}
