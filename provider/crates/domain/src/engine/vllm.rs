//! vLLM.

use super::agreement::{Aspect, Told, told};
use super::{Engine, EngineError, Fabric, MODEL_PATH, PAGE_TOKENS, Process, Worker};
use super::{disaggregation_mode, flag, wildcard_port};
use crate::environment::Environment;
use crate::ports::EnginePorts;
use crate::spec::WorkerRole;
use crate::version::ImageKind;

#[derive(Debug)]
pub(super) struct Vllm;

impl Engine for Vllm {
    fn name(&self) -> &'static str {
        "vllm"
    }

    fn image(&self) -> Option<ImageKind> {
        Some(ImageKind::Vllm)
    }

    fn agreed(&self) -> &'static [Told] {
        const AGREED: &[Told] = &[
            told("--model", Aspect::Model),
            told("--revision", Aspect::Revision),
            told("--max-model-len", Aspect::ContextLength),
            told("--block-size", Aspect::BlockSize),
        ];
        AGREED
    }

    fn unequal_gpus(&self) -> Option<&'static str> {
        Some(
            "vLLM's NIXL connector does that for dense and mixture-of-experts models (in the releases of Dynamo \
             1.3 and later), with restrictions for models with multi-head latent attention, as DeepSeek's, and \
             not yet for hybrid ones with Mamba layers.",
        )
    }

    fn process(&self, worker: &Worker<'_>, index: u32) -> Result<Process, EngineError> {
        let ports = EnginePorts::of(index);
        let mut args = Vec::new();
        let mut env = Environment::new();
        // Where its own processes meet, counted up from here.
        env.insert("VLLM_PORT".to_owned(), wildcard_port(ports.distributed_init));
        flag(&mut args, "--model", MODEL_PATH);
        flag(&mut args, "--served-model-name", &worker.facts.model);
        flag(&mut args, "--block-size", PAGE_TOKENS);
        flag(&mut args, "--tensor-parallel-size", worker.split.gpus_per_engine.to_string());
        if let Some(mode) = disaggregation_mode(worker.spec.role) {
            flag(&mut args, "--disaggregation-mode", mode);
            flag(&mut args, "--kv-transfer-config", transfer(worker.spec.role, worker.fabric));
            let port = ports.side_channel.to_string();
            env.insert("VLLM_NIXL_SIDE_CHANNEL_PORT".to_owned(), port);
        }
        // Publishing must be said twice: the publisher alone publishes nothing.
        let events = format!(
            r#"{{"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:{}","enable_kv_cache_events":true}}"#,
            wildcard_port(ports.kv_events)
        );
        flag(&mut args, "--kv-events-config", events);
        args.extend(worker.spec.engine.args.iter().cloned());
        Ok(Process { args, env })
    }
}

/// How KV caches travel. A decode whose prefill went away with a cache computes it itself: by default the
/// request would fail.
fn transfer(role: WorkerRole, fabric: Fabric) -> String {
    let role = match role {
        WorkerRole::Prefill => r#""kv_producer""#,
        WorkerRole::Decode => r#""kv_consumer","kv_load_failure_policy":"recompute""#,
        WorkerRole::Worker => unreachable!("it hands nothing over"),
    };
    let backend = match fabric {
        Fabric::Efa => {
            r#","kv_connector_extra_config":{"backends":["LIBFABRIC"]},"kv_buffer_device":"cuda""#
        }
        Fabric::Verbs | Fabric::Tcp => "",
    };
    format!(r#"{{"kv_connector":"NixlConnector","kv_role":{role}{backend}}}"#)
}
