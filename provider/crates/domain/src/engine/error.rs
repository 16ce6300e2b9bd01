//! Why an engine cannot run as it is asked to.

use super::ENGINES;
use crate::environment::InvalidVariable;
use crate::spec::Runtime;
use crate::text::listed;
use crate::version::DynamoVersion;
use thiserror::Error;

/// A word that names no engine.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "`{name}` is not an engine{}; the engines are {}",
    .nearest.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default(),
    listed(&ENGINES.iter().map(|engine| engine.name()).collect::<Vec<_>>())
)]
pub struct UnknownEngine {
    pub(super) name: String,
    pub(super) nearest: Option<&'static str>,
}

/// Why an engine cannot run as it is asked to.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EngineError {
    /// There is no such engine.
    #[error(transparent)]
    Unknown(#[from] UnknownEngine),
    /// No GPU was asked for.
    #[error("the engine `{engine}` needs GPUs, as in `resources = {{ gpu = \"H200:8\" }}`")]
    NeedsGpu {
        /// Its name.
        engine: &'static str,
    },
    /// GPUs are only pretended there.
    #[error(
        "the engine `{engine}` needs real GPUs, and those of the local cloud are simulated; `mocker` \
         and `custom` run there, and `{engine}` does on the GPUs of this computer with `local = {{ gpus \
         = \"detected\" }}` in the provider's block"
    )]
    SimulatedGpu {
        /// Its name.
        engine: &'static str,
    },
    /// More GPUs per process than there are.
    #[error("`tensor_parallel` is {wanted}, and a machine has {gpus} GPUs for it")]
    TensorParallelTooLarge {
        /// What was asked for.
        wanted: i64,
        /// The GPUs of a machine that are put to work.
        gpus: u32,
    },
    /// GPUs would be left over.
    #[error(
        "`tensor_parallel` is {wanted}, which does not divide the {gpus} GPUs of a machine: \
         {} of them would do nothing",
        gpus % wanted
    )]
    TensorParallelUneven {
        /// What was asked for.
        wanted: u32,
        /// The GPUs of a machine that are put to work.
        gpus: u32,
    },
    /// More processes than there are ports for.
    #[error(
        "a machine would run {engines} engine processes, and at most {most} have ports; raise `tensor_parallel`"
    )]
    TooManyEngines {
        /// How many there would be.
        engines: u32,
        /// How many there can be.
        most: u32,
    },
    /// It runs somewhere else.
    #[error(
        "the engine `{engine}` runs only with `runtime = \"{right}\"`, which is its default{}",
        match right {
            Runtime::Container => "; with `venv` it runs on the local cloud alone",
            Runtime::Venv => "",
        }
    )]
    Runtime {
        /// Its name.
        engine: &'static str,
        /// Where it runs.
        right: Runtime,
    },
    /// It has no use for an image.
    #[error("the engine `{engine}` runs in a virtual environment and has no use for `image`")]
    Image {
        /// Its name.
        engine: &'static str,
    },
    /// There is no package lock for the version.
    #[error(
        "there are no pinned packages of Dynamo {version} for a virtual environment; there are for {}",
        listed(&installable())
    )]
    NoPackages {
        /// The service's version.
        version: DynamoVersion,
    },
    /// An argument is more than a line.
    #[error("argument {number} is not one line of printable text")]
    Argument {
        /// Its number, counted from 1.
        number: usize,
    },
    /// An argument of the user cannot stand beside ours.
    #[error("the argument `{argument}` cannot be given: {reason}")]
    Conflict {
        /// Its name.
        argument: &'static str,
        /// Why, and what can be done.
        reason: &'static str,
    },
    /// A command has a NUL character.
    #[error("command {number} has a NUL character, which no shell can read")]
    Command {
        /// Its number, counted from 1.
        number: usize,
    },
    /// There is nothing to run.
    #[error("there are no commands to run")]
    NoCommands,
    /// A variable that cannot be.
    #[error(transparent)]
    Variable(#[from] InvalidVariable),
}

fn installable() -> Vec<&'static str> {
    let versions = DynamoVersion::all().filter(|version| version.requirements().is_some());
    versions.map(DynamoVersion::number).collect()
}
