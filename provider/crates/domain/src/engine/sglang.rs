//! SGLang.

use super::agreement::{Aspect, Told, told};
use super::{Engine, EngineError, Fabric, IP, MODEL_PATH, PAGE_TOKENS, Process, Worker};
use super::{disaggregation_mode, flag, wildcard_port};
use crate::environment::Environment;
use crate::ports::EnginePorts;
use crate::version::ImageKind;

#[derive(Debug)]
pub(super) struct Sglang;

impl Engine for Sglang {
    fn name(&self) -> &'static str {
        "sglang"
    }

    fn image(&self) -> Option<ImageKind> {
        Some(ImageKind::Sglang)
    }

    fn agreed(&self) -> &'static [Told] {
        const AGREED: &[Told] = &[
            told("--model-path", Aspect::Model),
            told("--model", Aspect::Model),
            told("--revision", Aspect::Revision),
            told("--context-length", Aspect::ContextLength),
            told("--page-size", Aspect::BlockSize),
        ];
        AGREED
    }

    fn unequal_gpus(&self) -> Option<&'static str> {
        Some(
            "SGLang does that well for models with multi-head latent attention, as DeepSeek's; for others it \
             works slice by slice, and users have reported it slow and unstable under load; models that mix in \
             sliding windows, as gpt-oss, are refused when the first cache is handed over.",
        )
    }

    fn process(&self, worker: &Worker<'_>, index: u32) -> Result<Process, EngineError> {
        let ports = EnginePorts::of(index);
        let mut args = Vec::new();
        flag(&mut args, "--model-path", MODEL_PATH);
        flag(&mut args, "--served-model-name", &worker.facts.model);
        flag(&mut args, "--page-size", PAGE_TOKENS);
        flag(&mut args, "--tp", worker.split.gpus_per_engine.to_string());
        args.push("--trust-remote-code".to_owned());
        flag(&mut args, "--host", IP);
        flag(
            &mut args,
            "--dist-init-addr",
            format!("{IP}:{}", wildcard_port(ports.distributed_init)),
        );
        if let Some(mode) = disaggregation_mode(worker.spec.role) {
            flag(&mut args, "--disaggregation-mode", mode);
            // Its own default is another transfer engine.
            flag(&mut args, "--disaggregation-transfer-backend", "nixl");
            flag(&mut args, "--disaggregation-bootstrap-port", ports.bootstrap.to_string());
        }
        args.push("--enable-metrics".to_owned());
        // Without it no KV event is published, and the router has nothing to choose a worker by.
        // Only an endpoint with `*` is bound; it is read inside the same machine.
        let events = format!(
            r#"{{"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:{}"}}"#,
            wildcard_port(ports.kv_events)
        );
        flag(&mut args, "--kv-events-config", events);
        args.extend(worker.spec.engine.args.iter().cloned());

        let mut env = Environment::new();
        if worker.fabric == Fabric::Efa {
            env.insert("SGLANG_DISAGGREGATION_NIXL_BACKEND".to_owned(), "LIBFABRIC".to_owned());
        }
        Ok(Process { args, env })
    }
}
