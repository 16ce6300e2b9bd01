//! Dynamo's mocker: a worker that pretends to have an engine, for trials and tests without GPUs.

use super::agreement::{Aspect, Told, told};
use super::{Engine, EngineError, MODEL_PATH, PAGE_TOKENS, Process, Worker};
use super::{disaggregation_mode, flag};
use crate::environment::Environment;

#[derive(Debug)]
pub(super) struct Mocker;

impl Engine for Mocker {
    fn name(&self) -> &'static str {
        "mocker"
    }

    fn agreed(&self) -> &'static [Told] {
        const AGREED: &[Told] = &[
            told("--model-path", Aspect::Model),
            told("--max-model-len", Aspect::ContextLength),
            told("--block-size", Aspect::BlockSize),
            told("--sglang-page-size", Aspect::BlockSize),
        ];
        AGREED
    }

    fn process(&self, worker: &Worker<'_>, _index: u32) -> Result<Process, EngineError> {
        let mut args = Vec::new();
        flag(&mut args, "--model-path", MODEL_PATH);
        flag(&mut args, "--model-name", &worker.facts.model);
        let mode = disaggregation_mode(worker.spec.role).unwrap_or("agg");
        flag(&mut args, "--disaggregation-mode", mode);
        flag(&mut args, "--block-size", PAGE_TOKENS);
        args.extend(worker.spec.engine.args.iter().cloned());
        Ok(Process { args, env: Environment::new() })
    }
}
