use super::*;
use crate::sample;
use cloud::CloudName;
use expect_test::expect;

fn decode() -> GroupSpec {
    GroupSpec {
        env: Environment::from([("NCCL_DEBUG".to_owned(), "WARN".to_owned())]),
        secret_env: BTreeMap::from([("HF_TOKEN".to_owned(), "aws-sm://prod/hf".parse().unwrap())]),
        identity: Some("workers".to_owned()),
        image: None,
        market: Market::OnDemand,
        reservation: None,
        egress: cloud::Egress::default(),
        ..sample::group("sglang", WorkerRole::Decode, Some("H200:8"))
    }
}

#[test]
fn specs_are_plain_json() {
    expect![[r#"{"service_id":"aws/us-east-2/pd/glm@3f9a1c2e","group":"decode","role":"decode","engine":{"type":"sglang"},"resources":{"gpu":"H200:8"},"env":{"NCCL_DEBUG":"WARN"},"secret_env":{"HF_TOKEN":"aws-sm://prod/hf"},"identity":"workers","boot_revision":0,"script_version":1}"#]]
        .assert_eq(&serde_json::to_string(&decode()).unwrap());
    expect![[r#"{"fleet":"aws/us-east-2/pd","service":"glm","uid":"3f9a1c2e","model":"zai-org/GLM-4.5-Air-FP8","version":"1.6.1","port":8000,"type":"dynamo","resources":{"cpu":4,"memory_gb":16},"script_version":1}"#]]
        .assert_eq(&serde_json::to_string(&sample::router(CloudName::Aws)).unwrap());
    assert!(serde_json::from_str::<EngineSpec>(r#"{"type":"sglang","typo":1}"#).is_err());
}

/// What is pinned here is what running machines are compared by: when one of these changes, every
/// machine of every user is to be replaced.
#[test]
fn digests_are_pinned() {
    expect!["fa9db27c96a362b5"].assert_eq(&decode().digest());
    expect!["a089b4f7783b6ef3"].assert_eq(&sample::router(CloudName::Aws).digest());
}

#[test]
fn a_digest_changes_with_every_input() {
    let changes: [fn(&mut GroupSpec); 12] = [
        |spec| spec.service_id.uid = Uid::from_random(7),
        |spec| spec.group = "other".to_owned(),
        |spec| spec.role = WorkerRole::Prefill,
        |spec| spec.engine.kind = "vllm".to_owned(),
        |spec| spec.engine.tensor_parallel = Some(4),
        |spec| spec.engine.args.push("--x".to_owned()),
        |spec| spec.resources.disk_gb = Some(500),
        |spec| _ = spec.env.insert("A".to_owned(), String::new()),
        |spec| spec.secret_env.clear(),
        |spec| spec.identity = None,
        |spec| spec.boot_revision = 1,
        |spec| spec.script_version = 2,
    ];
    let mut digests = std::collections::BTreeSet::from([decode().digest()]);
    for (index, change) in changes.into_iter().enumerate() {
        let mut spec = decode();
        change(&mut spec);
        assert!(digests.insert(spec.digest()), "change {index}");
    }
}

#[test]
fn canonical_json_has_sorted_keys() {
    let value = serde_json::json!({ "b": [1, { "d": null, "c": "x\"y" }], "a": true });
    let mut text = String::new();
    write_canonical(&value, &mut text);
    assert_eq!(text, r#"{"a":true,"b":[1,{"c":"x\"y","d":null}]}"#);
}

#[test]
fn facts_survive_their_tags() {
    let facts = sample::facts(CloudName::Aws);
    let tags = facts.to_tags();
    assert_eq!(tags, ServiceFacts::tags_of(&sample::router(CloudName::Aws)));
    assert_eq!(ServiceFacts::from_tags(&facts.id, facts.router_ip, &tags), Ok(facts.clone()));

    let mut missing = tags.clone();
    missing.remove(tag::PORT);
    let error =
        |tags| ServiceFacts::from_tags(&facts.id, facts.router_ip, tags).unwrap_err().to_string();
    assert_eq!(error(&missing), "tag `disagg:port` is missing");
    let mut newer = tags;
    newer.insert(tag::VERSION, "9.9.9".to_owned());
    assert_eq!(
        error(&newer),
        "tag `disagg:version` has the value `9.9.9`, which this release does not understand"
    );
}

#[test]
fn words() {
    for role in WorkerRole::ALL {
        assert_eq!(role.to_string().parse(), Ok(role));
    }
    assert_eq!(
        "router".parse::<WorkerRole>().unwrap_err().to_string(),
        "`router` is not a role; the roles are `prefill`, `decode` and `worker`"
    );
    assert_eq!("venv".parse(), Ok(Runtime::Venv));
}
