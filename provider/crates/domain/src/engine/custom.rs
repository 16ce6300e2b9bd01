//! The user's own commands, as they are: in one bash, in a virtual environment, with the router's
//! address in the environment.

use super::{CUSTOM, Engine, EngineError, Process, Worker};

#[derive(Debug)]
pub(super) struct Custom;

impl Engine for Custom {
    fn name(&self) -> &'static str {
        CUSTOM
    }

    fn runs_commands(&self) -> bool {
        true
    }

    fn process(&self, _worker: &Worker<'_>, _index: u32) -> Result<Process, EngineError> {
        Ok(Process::default())
    }
}
