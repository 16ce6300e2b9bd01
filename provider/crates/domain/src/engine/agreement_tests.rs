use super::*;
use crate::engine::ENGINES;
use crate::sample;
use crate::spec::WorkerRole::Decode;
use expect_test::{Expect, expect};

fn group(engine: &str, args: &[&str]) -> GroupSpec {
    let mut spec = sample::group(engine, Decode, None);
    spec.engine.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    spec
}

fn agreement(engine: &str, args: &[&str]) -> Agreement {
    Agreement::of(&group(engine, args)).expect("an engine of Dynamo's")
}

/// What an engine is told by these arguments, as one line.
fn check(engine: &str, args: &[&str], expected: Expect) {
    let told = agreement(engine, args).told;
    let words =
        told.iter().map(|(aspect, (value, place))| format!("{aspect} {value} by {place:?}"));
    expected.assert_eq(&words.collect::<Vec<_>>().join(", "));
}

#[test]
fn each_engine_is_told_by_its_own_arguments() {
    check(
        "vllm",
        &["--max-model-len", "8192", "--enforce-eager"],
        expect!["context length 8192 by Args"],
    );
    check("vllm", &["--max_model_len=8192"], expect!["context length 8192 by Args"]);
    check("vllm", &["--block-size", "16"], expect!["KV block size 16 by Args"]);
    check("vllm", &["--block-size", "16", "--block-size=64"], expect![""]);
    check("vllm", &["--page-size", "16"], expect![""]);
    check(
        "sglang",
        &["--page-size=1", "--context-length", "4096"],
        expect!["context length 4096 by Args, KV block size 1 by Args"],
    );
    check(
        "sglang",
        &["--model-path", "/models/x", "--revision", "main"],
        expect!["model /models/x by Args, model revision main by Args"],
    );
    check(
        "trtllm",
        &["--max-seq-len", "4096", "--kv-block-size", "32"],
        expect!["context length 4096 by Args"],
    );
    check(
        "mocker",
        &["--block-size", "32", "--max-model-len", "4096"],
        expect!["context length 4096 by Args, KV block size 32 by Args"],
    );
    check("mocker", &["--custom-jinja-template", "/t"], expect!["chat template /t by Args"]);
    check("mocker", &["--speedup-ratio", "2", "--block-size"], expect![""]);
    assert_eq!(Agreement::of(&group("custom", &["--block-size", "32"])), None);
}

#[test]
fn a_variable_tells_too_and_an_argument_wins() {
    let mut spec = group("trtllm", &[]);
    spec.env.insert("DYN_TRTLLM_MAX_SEQ_LEN".to_owned(), "4096".to_owned());
    let by_variable = Agreement::of(&spec).unwrap();
    assert_eq!(by_variable.differences(&agreement("trtllm", &["--max-seq-len", "4096"]), None), []);
    spec.engine.args = vec!["--max-seq-len=8192".to_owned()];
    assert_eq!(Agreement::of(&spec), Some(agreement("trtllm", &["--max-seq-len", "8192"])));
}

#[test]
fn what_differs_is_named_with_both_values() {
    let (small, large) = (agreement("mocker", &["--block-size", "32"]), agreement("mocker", &[]));
    let [difference] = &small.differences(&large, None)[..] else { panic!("one difference") };
    assert_eq!(difference.aspect, Aspect::BlockSize);
    assert_eq!((difference.ours.as_deref(), difference.theirs.as_deref()), (Some("32"), None));
    assert_eq!(difference.place, Place::Args);
    assert_eq!(small.differences(&small, None), []);
}

#[test]
fn a_model_that_is_named_is_compared_with_the_services() {
    let named = |model: &str| {
        let mut spec = group("vllm", &[]);
        spec.engine.model = Some(model.to_owned());
        Agreement::of(&spec).unwrap()
    };
    let unnamed = agreement("vllm", &[]);
    assert_eq!(named("a/b").differences(&unnamed, Some("a/b")), []);
    assert_eq!(unnamed.differences(&named("c/d"), Some("a/b")).len(), 1);
    assert_eq!(named("a/b").differences(&unnamed, None), [], "nobody can tell");
    assert_eq!(named("a/b").differences(&named("c/d"), None).len(), 1);
    assert_eq!(named("a/b").namespace_suffix("a/b"), None);
    assert!(named("a/b").namespace_suffix("c/d").is_some());
}

#[test]
fn those_who_agree_share_a_namespace() {
    let of = |engine, args: &[&str]| namespace(&group(engine, args), "disagg/tiny");
    assert_eq!(of("mocker", &[]).as_deref(), Some("dynamo"));
    assert_eq!(
        of("mocker", &["--block-size", "64", "--speedup-ratio", "2"]).as_deref(),
        Some("dynamo")
    );
    let small = of("mocker", &["--block-size", "32"]);
    expect!["dynamo-1030b489"].assert_eq(small.as_deref().unwrap());
    assert_eq!(small, of("mocker", &["--block-size=32", "--speedup-ratio", "2"]));
    assert_ne!(small, of("mocker", &["--max-model-len", "32"]));
    assert_eq!(of("custom", &[]), None);
}

#[test]
fn lists_name_each_thing_once_and_in_the_engines_own_spelling() {
    for engine in ENGINES {
        let mut names: Vec<&str> = list_of(*engine).map(|told| told.by).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), list_of(*engine).count(), "{}", engine.name());
        for name in names {
            let is_variable = crate::environment::check_name(name).is_ok();
            assert!(
                is_variable || name.strip_prefix("--").is_some_and(|name| !name.contains('_')),
                "{name}"
            );
        }
        let has_all = [Aspect::Model, Aspect::ContextLength, Aspect::BlockSize]
            .into_iter()
            .all(|aspect| engine.agreed().iter().any(|told| told.aspect == aspect));
        assert_eq!(has_all, !engine.runs_commands(), "{}", engine.name());
    }
}

/// On VMs a model that comes to the hub's cache has another path than one that is baked into an image.
#[test]
fn a_place_of_the_users_own_for_models_is_agreed_on() {
    let with = |engine: &str, cloud: &str| {
        let mut spec = group(engine, &[]);
        spec.service_id.fleet.cloud = cloud.parse().unwrap();
        spec.env.insert("HF_HUB_CACHE".to_owned(), "/fsx/hub".to_owned());
        Agreement::of(&spec).unwrap().differences(&agreement(engine, &[]), None).len()
    };
    assert_eq!((with("vllm", "aws"), with("sglang", "gcp")), (1, 1));
    assert_eq!((with("vllm", "local"), with("mocker", "aws")), (0, 0));
}
