//! TensorRT-LLM.
//!
//! What has no flag of its own goes into `--override-engine-args`, a JSON object that every version
//! merges over its own settings; no file has to be mounted into the container for it.

use super::agreement::{Aspect, Told, told};
use super::{Engine, EngineError, Fabric, MODEL_PATH, Process, Worker, disaggregation_mode, flag};
use crate::canonical::write_canonical;
use crate::environment::Environment;
use crate::spec::WorkerRole;
use crate::version::ImageKind;
use serde_json::{Map, Value, json};

#[derive(Debug)]
pub(super) struct Trtllm;

const OVERRIDE: &str = "--override-engine-args";

impl Engine for Trtllm {
    fn name(&self) -> &'static str {
        "trtllm"
    }

    fn image(&self) -> Option<ImageKind> {
        Some(ImageKind::Trtllm)
    }

    fn agreed(&self) -> &'static [Told] {
        const AGREED: &[Told] = &[
            told("--model-path", Aspect::Model),
            told("--model", Aspect::Model),
            told("DYN_TRTLLM_MODEL", Aspect::Model),
            told("--revision", Aspect::Revision),
            told("DYN_TRTLLM_REVISION", Aspect::Revision),
            told("--max-seq-len", Aspect::ContextLength),
            told("DYN_TRTLLM_MAX_SEQ_LEN", Aspect::ContextLength),
            told("--kv-block-size", Aspect::BlockSize),
            told("DYN_TRTLLM_KV_BLOCK_SIZE", Aspect::BlockSize),
        ];
        AGREED
    }

    fn block_size(&self) -> Option<&'static str> {
        Some("32")
    }

    fn unequal_gpus(&self) -> Option<&'static str> {
        Some(
            "TensorRT-LLM's cache transceiver is made for that; it was not tried with this provider.",
        )
    }

    fn process(&self, worker: &Worker<'_>, _index: u32) -> Result<Process, EngineError> {
        let (theirs, rest) = user_args(&worker.spec.engine.args)?;
        let mut settings = settings(worker.spec.role, worker.fabric);
        merge(&mut settings, theirs);

        let mut args = Vec::new();
        flag(&mut args, "--model-path", MODEL_PATH);
        flag(&mut args, "--served-model-name", &worker.facts.model);
        flag(&mut args, "--tensor-parallel-size", worker.split.gpus_per_engine.to_string());
        if let Some(mode) = disaggregation_mode(worker.spec.role) {
            flag(&mut args, "--disaggregation-mode", mode);
        }
        args.extend(
            worker.facts.version.trtllm_event_flags().iter().map(|flag| (*flag).to_owned()),
        );
        flag(&mut args, OVERRIDE, canonical(&settings));
        args.extend(rest);

        let mut env = Environment::new();
        if worker.fabric == Fabric::Efa && worker.spec.role != WorkerRole::Worker {
            env.insert("TRTLLM_NIXL_KVCACHE_BACKEND".to_owned(), "LIBFABRIC".to_owned());
            env.insert("FI_EFA_ENABLE_SHM_TRANSFER".to_owned(), "0".to_owned());
        }
        Ok(Process { args, env })
    }
}

fn settings(role: WorkerRole, fabric: Fabric) -> Value {
    // libfabric is NIXL's; the default chooses between NIXL and UCX by itself.
    let backend = if fabric == Fabric::Efa { "NIXL" } else { "DEFAULT" };
    match role {
        WorkerRole::Worker => json!({ "backend": "pytorch" }),
        // Without a transceiver there is no KV transfer at all.
        WorkerRole::Decode => {
            json!({ "backend": "pytorch", "cache_transceiver_config": { "backend": backend } })
        }
        WorkerRole::Prefill => json!({
            "backend": "pytorch",
            "cache_transceiver_config": { "backend": backend },
            "disable_overlap_scheduler": true,
        }),
    }
}

/// The user's own overrides, taken out of their arguments: the engine reads only the last ones.
fn user_args(args: &[String]) -> Result<(Value, Vec<String>), EngineError> {
    let mut overrides = Value::Object(Map::new());
    let mut rest = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg.starts_with("--trtllm.") {
            return Err(EngineError::Conflict {
                argument: "--trtllm.*",
                reason: "the engine does not take it together with `--override-engine-args`, which \
                         the provider gives; put the setting into `--override-engine-args` of your \
                         own, as JSON, and the two are merged",
            });
        }
        let given = match arg.strip_prefix(OVERRIDE) {
            Some("") => args.next().map(String::as_str),
            Some(value) => value.strip_prefix('='),
            None => {
                rest.push(arg.clone());
                continue;
            }
        };
        let object =
            given.and_then(|text| serde_json::from_str(text).ok()).filter(Value::is_object);
        merge(
            &mut overrides,
            object.ok_or(EngineError::Conflict {
                argument: OVERRIDE,
                reason: "what follows it is not a JSON object",
            })?,
        );
    }
    Ok((overrides, rest))
}

/// Puts `theirs` over `ours`, object by object.
fn merge(ours: &mut Value, theirs: Value) {
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                merge(ours.entry(key).or_insert(Value::Null), value);
            }
        }
        (ours, theirs) => *ours = theirs,
    }
}

/// With sorted keys, whatever the build's `serde_json` does by itself.
fn canonical(settings: &Value) -> String {
    let mut text = String::new();
    write_canonical(settings, &mut text);
    text
}
