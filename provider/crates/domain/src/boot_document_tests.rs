use super::*;
use crate::made_from;
use crate::sample;
use crate::spec::WorkerRole;
use cloud::{CloudName, is_printable};
use expect_test::expect;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// The smallest limit of the clouds: EC2's.
const SMALLEST_LIMIT: usize = 16_384;

fn sglang() -> GroupSpec {
    GroupSpec {
        env: Environment::from([("GREETING".to_owned(), "say \"héllo\" $HOME \\".to_owned())]),
        secret_env: BTreeMap::from([("HF_TOKEN".to_owned(), "aws-sm://prod/hf".parse().unwrap())]),
        ..sample::group("sglang", WorkerRole::Prefill, Some("H200:8"))
    }
}

fn worker(spec: &GroupSpec, cloud: CloudName) -> BootDocument {
    worker_document(spec, &sample::facts(cloud), &sample::offer(cloud, spec)).unwrap()
}

fn router(cloud: CloudName) -> BootDocument {
    router_document(&sample::router(cloud), sample::ROUTER_IP).unwrap()
}

fn content(document: &BootDocument, path: &str) -> Option<String> {
    document.file(path).map(str::to_owned)
}

fn outline(document: &BootDocument) -> String {
    let files =
        document.all_files().into_iter().map(|file| format!("{:04o} {}", file.mode, file.path));
    let units = document.units.iter().cloned();
    files.chain(units).collect::<Vec<_>>().join("\n")
}

#[test]
fn router_outline() {
    expect![[r#"
        0600 /etc/disagg/env
        0600 /etc/disagg/frontend.args
        0600 /etc/disagg/spec.json
        0644 /etc/systemd/system/disagg-etcd.service
        0644 /etc/systemd/system/disagg-frontend.service
        0644 /etc/systemd/system/disagg-nats.service
        0644 /etc/systemd/system/disagg-ready.service
        0755 /opt/disagg/environment
        0755 /opt/disagg/etcd
        0755 /opt/disagg/frontend
        0755 /opt/disagg/hosts
        0755 /opt/disagg/install-packages
        0755 /opt/disagg/install-runtime
        0755 /opt/disagg/install-venv
        0755 /opt/disagg/nats
        0755 /opt/disagg/phase
        0755 /opt/disagg/ready
        0755 /opt/disagg/resolve-secrets
        0755 /opt/disagg/router-ready
        0644 /opt/disagg/requirements.txt
        disagg-etcd.service
        disagg-nats.service
        disagg-frontend.service
        disagg-ready.service"#]]
    .assert_eq(&outline(&router(CloudName::Aws)));
}

#[test]
fn worker_outline() {
    expect![[r#"
        0600 /etc/disagg/env
        0600 /etc/disagg/engine-0.env
        0600 /etc/disagg/engine-0.args
        0600 /etc/disagg/secrets
        0600 /etc/disagg/spec.json
        0644 /etc/systemd/system/disagg-engine@.service
        0644 /etc/systemd/system/disagg-notices.service
        0644 /etc/systemd/system/disagg-ready.service
        0755 /opt/disagg/containers
        0755 /opt/disagg/engine
        0755 /opt/disagg/environment
        0755 /opt/disagg/gpus
        0755 /opt/disagg/hosts
        0755 /opt/disagg/install-runtime
        0755 /opt/disagg/model
        0755 /opt/disagg/phase
        0755 /opt/disagg/preflight
        0755 /opt/disagg/pull-image
        0755 /opt/disagg/ready
        0755 /opt/disagg/resolve-secrets
        0755 /opt/disagg/worker-ready
        0755 /opt/disagg/aws-secret
        0755 /opt/disagg/download-model
        0755 /opt/disagg/drain
        0755 /opt/disagg/notices
        disagg-engine@0.service
        disagg-notices.service
        disagg-ready.service"#]]
    .assert_eq(&outline(&worker(&sglang(), CloudName::Aws)));
}

#[test]
fn what_machines_are_told() {
    expect![[r#"
        DISAGG_FLEET="pd"
        DISAGG_MODEL="zai-org/GLM-4.5-Air-FP8"
        DISAGG_PORT="8000"
        DISAGG_ROLE="router"
        DISAGG_ROUTER_HOST="router.glm.disagg.internal"
        DISAGG_ROUTER_INTERNAL_IP="10.0.0.5"
        DISAGG_RUNTIME="venv"
        DISAGG_SCRIPT_VERSION="1"
        DISAGG_SERVICE="glm"
        DISAGG_SERVICE_UID="3f9a1c2e"
        DISAGG_VERSION="1.6.1"
        DSTACK_ROUTER_INTERNAL_IP="10.0.0.5"
        DYN_DISCOVERY_BACKEND="etcd"
        DYN_EVENT_PLANE="nats"
        DYN_HEALTH_CHECK_ENABLED="true"
        DYN_REQUEST_PLANE="tcp"
        DYN_TCP_RESPONSE_STREAM_PORT="20000"
        ETCD_LEASE_TTL="30"
        HF_HUB_DISABLE_TELEMETRY="1"
    "#]]
    .assert_eq(&content(&router(CloudName::Aws), "/etc/disagg/env").unwrap());
    expect![[r#"
        --http-host
        ${DISAGG_IP}
        --http-port
        8000
        --router-mode
        kv
        --migration-limit
        3
    "#]]
    .assert_eq(&content(&router(CloudName::Aws), "/etc/disagg/frontend.args").unwrap());
    expect![[r#"
        DISAGG_ENGINE="sglang"
        DISAGG_ENGINE_COUNT="1"
        DISAGG_FABRIC="efa"
        DISAGG_FLEET="pd"
        DISAGG_GPUS_PER_ENGINE="8"
        DISAGG_GROUP="prefill"
        DISAGG_IMAGE="nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1-efa"
        DISAGG_MINIMUM_DRIVER="580.00.03"
        DISAGG_MODEL="zai-org/GLM-4.5-Air-FP8"
        DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
        DISAGG_ROLE="prefill"
        DISAGG_ROUTER_HOST="router.glm.disagg.internal"
        DISAGG_ROUTER_INTERNAL_IP="10.0.0.5"
        DISAGG_RUNTIME="container"
        DISAGG_SCRIPT_VERSION="1"
        DISAGG_SERVICE="glm"
        DISAGG_SERVICE_UID="3f9a1c2e"
        DISAGG_VERSION="1.6.1"
        DSTACK_ROUTER_INTERNAL_IP="10.0.0.5"
        DYN_DISCOVERY_BACKEND="etcd"
        DYN_EVENT_PLANE="nats"
        DYN_HEALTH_CHECK_ENABLED="true"
        DYN_REQUEST_PLANE="tcp"
        ETCD_LEASE_TTL="30"
        GREETING="say \"héllo\" \$HOME \\"
        HF_HUB_DISABLE_TELEMETRY="1"
    "#]]
    .assert_eq(&content(&worker(&sglang(), CloudName::Aws), "/etc/disagg/env").unwrap());
    expect![[r#"
        HF_TOKEN=aws-sm://prod/hf
    "#]]
    .assert_eq(&content(&worker(&sglang(), CloudName::Aws), "/etc/disagg/secrets").unwrap());
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    assert_eq!(router(CloudName::Aws), router(CloudName::Aws));
    let document = worker(&sglang(), CloudName::Aws);
    assert_eq!(document, worker(&sglang(), CloudName::Aws));
    assert_eq!(document.to_cloud_config(), document.to_cloud_config());
}

#[test]
fn every_unit_has_its_file() {
    let mut custom = sample::group("custom", WorkerRole::Worker, None);
    custom.engine.commands = vec!["sleep infinity".to_owned()];
    let mut custom_router = sample::router(CloudName::Aws);
    custom_router.kind = RouterKind::Custom;
    custom_router.commands = vec!["sleep infinity".to_owned()];
    for data in [
        router(CloudName::Aws),
        router_document(&custom_router, sample::ROUTER_IP).unwrap(),
        worker(&sglang(), CloudName::Aws),
        worker(&sample::group("mocker", WorkerRole::Decode, None), CloudName::Local),
        worker(&custom, CloudName::Aws),
    ] {
        for unit in &data.units {
            let file = match unit.split_once('@') {
                Some((name, _)) => format!("/etc/systemd/system/{name}@.service"),
                None => format!("/etc/systemd/system/{unit}"),
            };
            let text = content(&data, &file).unwrap_or_else(|| panic!("{unit} has no file"));
            // What the unit starts is on the machine.
            let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
            let script = start.split(' ').next().unwrap();
            assert!(content(&data, script).is_some(), "{unit} starts {script}");
        }
    }
}

/// As it comes back from a cloud.
fn reread(document: &BootDocument) -> BootDocument {
    let reread = BootDocument::from_cloud_config(&document.to_cloud_config()).unwrap();
    assert_eq!(reread, *document);
    reread
}

#[test]
fn what_is_baked_in_comes_back() {
    let spec = sglang();
    let data = worker(&spec, CloudName::Aws);
    assert_eq!(made_from::worker(&reread(&data)).unwrap(), spec);
    let data = router(CloudName::Aws);
    assert_eq!(made_from::router(&reread(&data)).unwrap(), sample::router(CloudName::Aws));
}

#[test]
fn every_machine_fits_the_smallest_limit_with_room_for_the_user() {
    let mut eight = sample::group("vllm", WorkerRole::Decode, Some("H100:8"));
    eight.engine.tensor_parallel = Some(1);
    let mut mocker = sample::group("mocker", WorkerRole::Decode, None);
    mocker.secret_env = sglang().secret_env;
    let trial = sample::group("mocker", WorkerRole::Decode, None);
    for (name, data, room) in [
        ("router", router(CloudName::Aws), 3072),
        // The one with the most scripts: containers, a model of the hub, notices, and the secrets of AWS.
        ("sglang with secrets", worker(&sglang(), CloudName::Aws), 512),
        ("vllm x 8", worker(&eight, CloudName::Aws), 2048),
        ("mocker", worker(&trial, CloudName::Aws), 3072),
    ] {
        let size = data.to_cloud_config().len();
        assert!(size <= SMALLEST_LIMIT - room, "{name} has {size} bytes");
        assert_eq!(data.check_size(SMALLEST_LIMIT), Ok(()));
    }
    // For trials, with the packages of the runtime in it.
    let size = worker(&mocker, CloudName::Aws).to_cloud_config().len();
    assert!(size <= SMALLEST_LIMIT - 1024, "mocker with secrets has {size} bytes");
}

#[test]
fn the_static_files_of_a_worker_stay_below_what_the_quick_check_takes_for_them() {
    let locks = DynamoVersion::all().filter_map(|version| version.requirements());
    let mut kinds: Vec<_> =
        locks.map(|lock| (MachineKind::Worker, "engine@0", Some(lock))).collect();
    kinds.push((MachineKind::ContainerWorker, "engine@0", None));
    kinds.push((MachineKind::FoundWorker, "engine@0", None));
    kinds.push((MachineKind::CustomWorker, "custom", None));
    for (kind, unit, requirements) in kinds {
        let units = [unit, "ready"].map(|unit| format!("disagg-{unit}.service")).to_vec();
        for stores in [BTreeSet::new(), BTreeSet::from([SecretStore::AwsSecretsManager])] {
            let (varying, spec, units) = (Vec::new(), String::new(), units.clone());
            let empty = Content { kind, stores, varying, spec, requirements, units };
            let most = empty.most_static_bytes();
            let size = empty.document().to_cloud_config().len();
            assert!(size <= most && most <= size + 3000, "{kind:?}: {size}, not {most}");
        }
    }
}

proptest! {
    // Those near a limit take a while.
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_quick_check_agrees_with_the_whole_document(
        noise in prop::collection::vec("[!-~]{0,40}", 0..150),
        limit in 11_000_usize..20_000,
    ) {
        let mut spec = sample::group("mocker", WorkerRole::Decode, None);
        spec.engine.args = noise;
        let (facts, offer) =
            (sample::facts(CloudName::Aws), sample::offer(CloudName::Aws, &spec));
        let quick = check_worker_document(&spec, &facts, &offer, limit).is_ok();
        let whole = worker_document(&spec, &facts, &offer)
            .is_ok_and(|data| data.check_size(limit).is_ok());
        prop_assert_eq!(quick, whole);
    }
}

#[test]
fn what_is_too_large_is_named() {
    let mut spec = sample::group("custom", WorkerRole::Worker, None);
    // Text that does not compress: a chain of digests.
    let mut noise = String::new();
    for _ in 0..2048 {
        spec.group = format!("g{}", noise.len());
        noise.push_str(&spec.digest());
    }
    spec.engine.commands = vec![noise];
    let error = worker(&spec, CloudName::Aws).check_size(SMALLEST_LIMIT).unwrap_err();
    assert_eq!(error.largest, SPEC_PATH);
    assert!(error.size > SMALLEST_LIMIT && error.largest_size > 16_384, "{error}");
}

#[test]
fn only_this_release_s_scripts_can_be_given() {
    let spec = GroupSpec { script_version: SCRIPT_VERSION + 1, ..sglang() };
    let error = worker_document(
        &spec,
        &sample::facts(CloudName::Aws),
        &sample::offer(CloudName::Aws, &spec),
    );
    assert_eq!(error, Err(BootDocumentError::ScriptVersion(SCRIPT_VERSION + 1)));
}

/// One line of any text that may stand in a variable or an argument.
fn any_line() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.chars().filter(|c| is_printable(*c)).collect())
}

proptest! {
    #[test]
    fn whatever_users_write_comes_back(
        env in prop::collection::btree_map("[A-Z_][A-Z0-9_]{0,6}", any_line(), 0..4),
        args in prop::collection::vec(any_line(), 0..4),
        command in any::<String>().prop_map(|text| format!("true {}", text.replace('\0', ""))),
    ) {
        let mut spec = sample::group("custom", WorkerRole::Decode, None);
        spec.env = env.clone();
        spec.engine.args = args.clone();
        spec.engine.commands = vec![command.clone()];
        let data = worker(&spec, CloudName::Local);
        prop_assert_eq!(made_from::worker(&reread(&data)).unwrap(), spec);
        let script = content(&data, "/etc/disagg/commands").unwrap();
        prop_assert_eq!(script, format!("#!/bin/bash\nset -eo pipefail\n{command}\n"));
        let variables = content(&data, "/etc/disagg/env").unwrap();
        let variables = environment::decode(&variables).unwrap();
        prop_assert!(env.iter().all(|(name, value)| variables.get(name) == Some(value)));

        let mut router = sample::router(CloudName::Local);
        router.args = args.clone();
        let data = router_document(&router, sample::ROUTER_IP).unwrap();
        prop_assert_eq!(made_from::router(&reread(&data)).unwrap(), router);
        let lines = content(&data, "/etc/disagg/frontend.args").unwrap();
        let lines: Vec<&str> = lines.split_terminator('\n').collect();
        prop_assert_eq!(&lines[lines.len() - args.len()..], &args[..]);
    }
}
