use super::*;
use crate::sample;
use crate::spec::WorkerRole::{Decode, Prefill, Worker as Aggregated};
use cloud::CloudName;
use expect_test::{Expect, expect};

/// Everything a machine is given, as text.
fn shown(setup: &NodeSetup) -> String {
    let mut text = format!("units {}\n", setup.units.join(" "));
    text.push_str(&crate::environment::encode(&setup.env).unwrap());
    for BootFile { path, mode, content } in &setup.files {
        text.push_str(&format!("-- {path} {mode:o}\n{content}"));
    }
    text
}

fn check(cloud: CloudName, spec: &GroupSpec, expected: Expect) {
    let setup = worker_setup(spec, &sample::facts(cloud), &sample::offer(cloud, spec));
    expected.assert_eq(&setup.map_or_else(|error| format!("{error}\n"), |setup| shown(&setup)));
}

#[test]
fn sglang_prefill_over_efa() {
    check(
        CloudName::Aws,
        &sample::group("sglang", Prefill, Some("H200:8")),
        expect![[r#"
            units disagg-engine@0.service disagg-notices.service disagg-ready.service
            DISAGG_ENGINE="sglang"
            DISAGG_ENGINE_COUNT="1"
            DISAGG_FABRIC="efa"
            DISAGG_GPUS_PER_ENGINE="8"
            DISAGG_IMAGE="nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1-efa"
            DISAGG_MINIMUM_DRIVER="580.00.03"
            DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
            DISAGG_RUNTIME="container"
            -- /etc/disagg/engine-0.env 600
            CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6,7"
            DYN_SYSTEM_PORT="9000"
            DYN_TCP_RPC_PORT="20000"
            SGLANG_DISAGGREGATION_NIXL_BACKEND="LIBFABRIC"
            -- /etc/disagg/engine-0.args 600
            --model-path
            ${DISAGG_MODEL_PATH}
            --served-model-name
            zai-org/GLM-4.5-Air-FP8
            --page-size
            64
            --tp
            8
            --trust-remote-code
            --host
            ${DISAGG_IP}
            --dist-init-addr
            ${DISAGG_IP}:${DISAGG_WILDCARD_PORT:25000}
            --disaggregation-mode
            prefill
            --disaggregation-transfer-backend
            nixl
            --disaggregation-bootstrap-port
            21000
            --enable-metrics
            --kv-events-config
            {"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:${DISAGG_WILDCARD_PORT:23000}"}
        "#]],
    );
}

#[test]
fn sglang_aggregated_two_per_machine() {
    let mut spec = sample::group("sglang", Aggregated, Some("L4:2"));
    spec.engine.tensor_parallel = Some(1);
    spec.engine.args = vec!["--max-running-requests".to_owned(), "64".to_owned()];
    spec.engine.model = Some("mirror/GLM".to_owned());
    check(
        CloudName::Gcp,
        &spec,
        expect![[r#"
            units disagg-engine@0.service disagg-engine@1.service disagg-ready.service
            DISAGG_ENGINE="sglang"
            DISAGG_ENGINE_COUNT="2"
            DISAGG_FABRIC="tcp"
            DISAGG_GPUS_PER_ENGINE="1"
            DISAGG_IMAGE="nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1"
            DISAGG_MINIMUM_DRIVER="580.00.03"
            DISAGG_MODEL_PATH_DEFAULT="mirror/GLM"
            DISAGG_RUNTIME="container"
            DYN_NAMESPACE_WORKER_SUFFIX="e867a15c"
            -- /etc/disagg/engine-0.env 600
            CUDA_VISIBLE_DEVICES="0"
            DYN_SYSTEM_PORT="9000"
            DYN_TCP_RPC_PORT="20000"
            -- /etc/disagg/engine-0.args 600
            --model-path
            ${DISAGG_MODEL_PATH}
            --served-model-name
            zai-org/GLM-4.5-Air-FP8
            --page-size
            64
            --tp
            1
            --trust-remote-code
            --host
            ${DISAGG_IP}
            --dist-init-addr
            ${DISAGG_IP}:${DISAGG_WILDCARD_PORT:25000}
            --enable-metrics
            --kv-events-config
            {"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:${DISAGG_WILDCARD_PORT:23000}"}
            --max-running-requests
            64
            -- /etc/disagg/engine-1.env 600
            CUDA_VISIBLE_DEVICES="1"
            DYN_SYSTEM_PORT="9001"
            DYN_TCP_RPC_PORT="20001"
            -- /etc/disagg/engine-1.args 600
            --model-path
            ${DISAGG_MODEL_PATH}
            --served-model-name
            zai-org/GLM-4.5-Air-FP8
            --page-size
            64
            --tp
            1
            --trust-remote-code
            --host
            ${DISAGG_IP}
            --dist-init-addr
            ${DISAGG_IP}:${DISAGG_WILDCARD_PORT:25064}
            --enable-metrics
            --kv-events-config
            {"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:${DISAGG_WILDCARD_PORT:23064}"}
            --max-running-requests
            64
        "#]],
    );
}

#[test]
fn vllm_decode_over_efa() {
    check(
        CloudName::Aws,
        &sample::group("vllm", Decode, Some("H100:8")),
        expect![[r#"
            units disagg-engine@0.service disagg-notices.service disagg-ready.service
            DISAGG_ENGINE="vllm"
            DISAGG_ENGINE_COUNT="1"
            DISAGG_FABRIC="efa"
            DISAGG_GPUS_PER_ENGINE="8"
            DISAGG_IMAGE="nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1-efa"
            DISAGG_MINIMUM_DRIVER="580.00.03"
            DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
            DISAGG_RUNTIME="container"
            -- /etc/disagg/engine-0.env 600
            CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6,7"
            DYN_SYSTEM_PORT="9000"
            DYN_TCP_RPC_PORT="20000"
            VLLM_NIXL_SIDE_CHANNEL_PORT="22000"
            VLLM_PORT="\${DISAGG_WILDCARD_PORT:25000}"
            -- /etc/disagg/engine-0.args 600
            --model
            ${DISAGG_MODEL_PATH}
            --served-model-name
            zai-org/GLM-4.5-Air-FP8
            --block-size
            64
            --tensor-parallel-size
            8
            --disaggregation-mode
            decode
            --kv-transfer-config
            {"kv_connector":"NixlConnector","kv_role":"kv_consumer","kv_load_failure_policy":"recompute","kv_connector_extra_config":{"backends":["LIBFABRIC"]},"kv_buffer_device":"cuda"}
            --kv-events-config
            {"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:${DISAGG_WILDCARD_PORT:23000}","enable_kv_cache_events":true}
        "#]],
    );
}

#[test]
fn vllm_roles_over_infiniband() {
    let transfer = |role| {
        let spec = sample::group("vllm", role, Some("H100:8"));
        let offer = sample::offer(CloudName::Azure, &spec);
        let setup = worker_setup(&spec, &sample::facts(CloudName::Azure), &offer).unwrap();
        let args = setup.files.iter().find(|file| file.path.ends_with(".args")).unwrap();
        let mut args = args.content.lines().skip_while(|arg| *arg != "--kv-transfer-config");
        assert_eq!(setup.env["DISAGG_IMAGE"], "nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.6.1");
        args.nth(1).unwrap_or("none").to_owned()
    };
    expect![[r#"{"kv_connector":"NixlConnector","kv_role":"kv_producer"}"#]]
        .assert_eq(&transfer(Prefill));
    expect![[
        r#"{"kv_connector":"NixlConnector","kv_role":"kv_consumer","kv_load_failure_policy":"recompute"}"#
    ]]
    .assert_eq(&transfer(Decode));
    expect!["none"].assert_eq(&transfer(Aggregated));
}

#[test]
fn trtllm_prefill() {
    check(
        CloudName::Azure,
        &sample::group("trtllm", Prefill, Some("H100:8")),
        expect![[r#"
            units disagg-engine@0.service disagg-ready.service
            DISAGG_ENGINE="trtllm"
            DISAGG_ENGINE_COUNT="1"
            DISAGG_FABRIC="verbs"
            DISAGG_GPUS_PER_ENGINE="8"
            DISAGG_IMAGE="nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:1.6.1"
            DISAGG_MINIMUM_DRIVER="580.00.03"
            DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
            DISAGG_RUNTIME="container"
            -- /etc/disagg/engine-0.env 600
            CUDA_VISIBLE_DEVICES="0,1,2,3,4,5,6,7"
            DYN_SYSTEM_PORT="9000"
            DYN_TCP_RPC_PORT="20000"
            -- /etc/disagg/engine-0.args 600
            --model-path
            ${DISAGG_MODEL_PATH}
            --served-model-name
            zai-org/GLM-4.5-Air-FP8
            --tensor-parallel-size
            8
            --disaggregation-mode
            prefill
            --publish-kv-events
            --publish-metrics
            --override-engine-args
            {"backend":"pytorch","cache_transceiver_config":{"backend":"DEFAULT"},"disable_overlap_scheduler":true}
        "#]],
    );
}

#[test]
fn trtllm_event_flags_depend_on_the_version() {
    let spec = sample::group("trtllm", Decode, Some("H100:8"));
    let offer = sample::offer(CloudName::Aws, &spec);
    for (version, expected) in [
        ("1.2.1", "--publish-events-and-metrics\n"),
        ("1.4.2", "--publish-kv-events\n--override"),
        ("1.6.1", "--publish-kv-events\n--publish-metrics\n"),
    ] {
        let facts =
            ServiceFacts { version: version.parse().unwrap(), ..sample::facts(CloudName::Aws) };
        let setup = worker_setup(&spec, &facts, &offer).unwrap();
        assert!(setup.files[1].content.contains(expected), "{version}: {}", setup.files[1].content);
    }
}

#[test]
fn trtllm_overrides_are_merged() {
    let mut spec = sample::group("trtllm", Prefill, Some("H100:8"));
    let mut merged = |args: &[&str]| {
        spec.engine.args = args.iter().copied().chain(["--x"]).map(str::to_owned).collect();
        let offer = sample::offer(CloudName::Gcp, &spec);
        let setup = worker_setup(&spec, &sample::facts(CloudName::Gcp), &offer).unwrap();
        setup.files[1].content.split_once("--publish-metrics\n").unwrap().1.to_owned()
    };
    const THEIRS: &str = r#"{"cache_transceiver_config":{"max_tokens_in_buffer":4096}}"#;
    let two_words = merged(&["--override-engine-args", THEIRS]);
    expect![[r#"
        --override-engine-args
        {"backend":"pytorch","cache_transceiver_config":{"backend":"DEFAULT","max_tokens_in_buffer":4096},"disable_overlap_scheduler":true}
        --x
    "#]]
    .assert_eq(&two_words);
    assert_eq!(merged(&[&format!("--override-engine-args={THEIRS}")]), two_words);
    for (args, error) in [
        (
            vec!["--override-engine-args"],
            expect![[r#"
            the argument `--override-engine-args` cannot be given: what follows it is not a JSON object
        "#]],
        ),
        (
            vec!["--override-engine-args", "[]"],
            expect![[r#"
            the argument `--override-engine-args` cannot be given: what follows it is not a JSON object
        "#]],
        ),
        (
            vec!["--trtllm.kv_cache_config.free_gpu_memory_fraction", "0.7"],
            expect![[r#"
            the argument `--trtllm.*` cannot be given: the engine does not take it together with `--override-engine-args`, which the provider gives; put the setting into `--override-engine-args` of your own, as JSON, and the two are merged
        "#]],
        ),
    ] {
        spec.engine.args = args.into_iter().map(str::to_owned).collect();
        check(CloudName::Gcp, &spec, error);
    }
}

#[test]
fn mocker_without_gpus() {
    check(
        CloudName::Local,
        &sample::group("mocker", Decode, None),
        expect![[r#"
        units disagg-engine@0.service disagg-ready.service
        DISAGG_ENGINE="mocker"
        DISAGG_ENGINE_COUNT="1"
        DISAGG_GPUS_PER_ENGINE="0"
        DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
        DISAGG_RUNTIME="venv"
        -- /etc/disagg/engine-0.env 600
        DYN_SYSTEM_PORT="9000"
        DYN_TCP_RPC_PORT="20000"
        -- /etc/disagg/engine-0.args 600
        --model-path
        ${DISAGG_MODEL_PATH}
        --model-name
        zai-org/GLM-4.5-Air-FP8
        --disaggregation-mode
        decode
        --block-size
        64
    "#]],
    );
}

#[test]
fn mocker_with_simulated_gpus_runs_several() {
    let mut spec = sample::group("mocker", Aggregated, Some("H200:8"));
    spec.engine.tensor_parallel = Some(4);
    check(
        CloudName::Local,
        &spec,
        expect![[r#"
        units disagg-engine@0.service disagg-engine@1.service disagg-ready.service
        DISAGG_ENGINE="mocker"
        DISAGG_ENGINE_COUNT="2"
        DISAGG_GPUS_PER_ENGINE="4"
        DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
        DISAGG_RUNTIME="venv"
        -- /etc/disagg/engine-0.env 600
        DYN_SYSTEM_PORT="9000"
        DYN_TCP_RPC_PORT="20000"
        -- /etc/disagg/engine-0.args 600
        --model-path
        ${DISAGG_MODEL_PATH}
        --model-name
        zai-org/GLM-4.5-Air-FP8
        --disaggregation-mode
        agg
        --block-size
        64
        -- /etc/disagg/engine-1.env 600
        DYN_SYSTEM_PORT="9001"
        DYN_TCP_RPC_PORT="20001"
        -- /etc/disagg/engine-1.args 600
        --model-path
        ${DISAGG_MODEL_PATH}
        --model-name
        zai-org/GLM-4.5-Air-FP8
        --disaggregation-mode
        agg
        --block-size
        64
    "#]],
    );
}

#[test]
fn custom() {
    let mut spec = sample::group("custom", Prefill, Some("H200:8"));
    spec.engine.commands =
        ["export A=1", "exec serve --router $DISAGG_ROUTER_INTERNAL_IP"].map(str::to_owned).into();
    check(
        CloudName::Aws,
        &spec,
        expect![[r#"
        units disagg-custom.service disagg-ready.service
        DISAGG_ENGINE="custom"
        DISAGG_ENGINE_COUNT="1"
        DISAGG_GPUS_PER_ENGINE="8"
        DISAGG_MODEL_PATH_DEFAULT="zai-org/GLM-4.5-Air-FP8"
        DISAGG_RUNTIME="venv"
        -- /etc/disagg/commands 700
        #!/bin/bash
        set -eo pipefail
        export A=1
        exec serve --router $DISAGG_ROUTER_INTERNAL_IP
    "#]],
    );
    spec.engine.commands = vec![" ".to_owned()];
    check(
        CloudName::Aws,
        &spec,
        expect![[r#"
            there are no commands to run
        "#]],
    );
}

#[test]
fn refusals() {
    let with = |change: fn(&mut GroupSpec)| {
        let mut spec = sample::group("vllm", Decode, Some("H100:8"));
        change(&mut spec);
        spec
    };
    let aws = |change, expected| check(CloudName::Aws, &with(change), expected);
    check(
        CloudName::Local,
        &with(|_| {}),
        expect![[r#"
            the engine `vllm` needs real GPUs, and those of the local cloud are simulated; `mocker` and `custom` run there, and `vllm` does on the GPUs of this computer with `local = { gpus = "detected" }` in the provider's block
        "#]],
    );
    aws(
        |spec| spec.resources.gpu = None,
        expect![[r#"
            the engine `vllm` needs GPUs, as in `resources = { gpu = "H200:8" }`
        "#]],
    );
    aws(
        |spec| spec.engine.kind = "vlm".to_owned(),
        expect![[r#"
            `vlm` is not an engine (did you mean `vllm`?); the engines are `sglang`, `vllm`, `trtllm`, `mocker` and `custom`
        "#]],
    );
    aws(
        |spec| spec.engine.tensor_parallel = Some(3),
        expect![[r#"
            `tensor_parallel` is 3, which does not divide the 8 GPUs of a machine: 2 of them would do nothing
        "#]],
    );
    aws(
        |spec| spec.engine.tensor_parallel = Some(16),
        expect![[r#"
            `tensor_parallel` is 16, and a machine has 8 GPUs for it
        "#]],
    );
    aws(
        |spec| spec.engine.runtime = Some(Runtime::Venv),
        expect![[r#"
            the engine `vllm` runs only with `runtime = "container"`, which is its default; with `venv` it runs on the local cloud alone
        "#]],
    );
    aws(
        |spec| spec.engine.args = vec!["--ok".to_owned(), "a\nb".to_owned()],
        expect![[r#"
            argument 2 is not one line of printable text
        "#]],
    );
    let mut mocker = sample::group("mocker", Decode, None);
    mocker.engine.image = Some("x".to_owned());
    check(
        CloudName::Local,
        &mocker,
        expect![[r#"
            the engine `mocker` runs in a virtual environment and has no use for `image`
        "#]],
    );
    mocker.engine.image = None;
    let facts =
        ServiceFacts { version: "1.3.1".parse().unwrap(), ..sample::facts(CloudName::Local) };
    let error =
        worker_setup(&mocker, &facts, &sample::offer(CloudName::Local, &mocker)).unwrap_err();
    expect!["there are no pinned packages of Dynamo 1.3.1 for a virtual environment; there are for `1.4.2` and `1.6.1`"].assert_eq(&error.to_string());
}

#[test]
fn gpus_are_shared_out() {
    for (wanted, gpus, expected) in [
        (None, 8, Some((1, 8))),
        (Some(8), 8, Some((1, 8))),
        (Some(1), 8, Some((8, 1))),
        (Some(1), 16, Some((16, 1))),
        (Some(2), 8, Some((4, 2))),
        (None, 0, Some((1, 0))),
        (Some(3), 8, None),
        (Some(16), 8, None),
        (Some(0), 8, None),
        (Some(-1), 8, None),
        (Some(i64::MAX), 8, None),
        (Some(1), 0, None),
        (Some(1), 32, None),
    ] {
        let split = check_tensor_parallel(wanted, gpus).ok();
        assert_eq!(split.map(|s| (s.engines, s.gpus_per_engine)), expected, "{wanted:?} of {gpus}");
    }
}

#[test]
fn only_requested_gpus_work_on_a_bigger_machine() {
    let mut spec = sample::group("vllm", Decode, Some("H200:4"));
    spec.engine.tensor_parallel = Some(2);
    let offer = sample::offer(CloudName::Aws, &spec);
    assert_eq!((offer.gpu_count, engine_count(&spec, &offer)), (8, Ok(2)));
    spec.engine.tensor_parallel = Some(8);
    assert!(engine_count(&spec, &offer).is_err());
}

#[test]
fn names_are_unique_and_found() {
    for engine in ENGINES {
        assert_eq!(find(engine.name()).map(|found| found.name()), Some(engine.name()));
        assert_eq!(check_name(engine.name()), Ok(()));
    }
    assert!(find("dynamo").is_none());
}
