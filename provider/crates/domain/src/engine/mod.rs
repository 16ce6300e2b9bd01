//! Inference engines: what a worker machine runs, one file each, and the one list.
//!
//! An engine says how one of its processes is called; how many there are, on which GPUs and ports,
//! and what the machine is told about itself is the same for all and stands here. Nothing is
//! rendered into scripts: a [`NodeSetup`] is variables, argument files and names of units.

mod agreement;
mod custom;
mod error;
mod mocker;
mod sglang;
mod trtllm;
mod vllm;

pub use agreement::{Agreement, Aspect, Difference, NAMESPACE, Place, Told, namespace};
pub use error::{EngineError, UnknownEngine};

use crate::boot;
use crate::environment::Environment;
use crate::ports::{self, EnginePorts};
use crate::spec::{GroupSpec, Runtime, ServiceFacts, WorkerRole};
use crate::text::{nearest, shown};
use crate::version::ImageKind;
use cloud::{BootFile, Feature, Interconnect, Offer, is_printable};
use std::fmt;

/// The engine that runs the user's commands as they are.
pub const CUSTOM: &str = "custom";

/// The one list of engines.
pub const ENGINES: &[&dyn Engine] =
    &[&sglang::Sglang, &vllm::Vllm, &trtllm::Trtllm, &mocker::Mocker, &custom::Custom];

/// An inference engine.
pub trait Engine: fmt::Debug + Sync {
    /// Its name in configuration; Dynamo's module is `dynamo.<name>`.
    fn name(&self) -> &'static str;

    /// Whether it cannot do without GPUs.
    fn needs_gpu(&self) -> bool {
        self.image().is_some()
    }

    /// Whether it runs where GPUs are only pretended.
    fn accepts_simulated_gpu(&self) -> bool {
        !self.needs_gpu()
    }

    /// NVIDIA's image, for an engine that runs in a container; the others run in a virtual
    /// environment.
    fn image(&self) -> Option<ImageKind> {
        None
    }

    /// Whether it is the user's commands, and not processes of Dynamo.
    fn runs_commands(&self) -> bool {
        false
    }

    /// By which of its arguments and variables it is told what the workers of a service have to agree on;
    /// those that all of Dynamo's engines have are not among them.
    fn agreed(&self) -> &'static [Told] {
        &[]
    }

    /// Tokens in a block of its KV cache unless it is told otherwise.
    fn block_size(&self) -> Option<&'static str> {
        (!self.runs_commands()).then_some(PAGE_TOKENS)
    }

    /// What is known to work when prefill and decode processes have different numbers of GPUs; none when
    /// that makes no difference.
    fn unequal_gpus(&self) -> Option<&'static str> {
        None
    }

    /// How its `index`-th process on a machine is called. Engines that run commands have none.
    ///
    /// # Errors
    /// When the user's arguments cannot be combined with ours.
    fn process(&self, worker: &Worker<'_>, index: u32) -> Result<Process, EngineError>;
}

/// One engine process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// What follows `python3 -m dynamo.<engine>`.
    pub args: Vec<String>,
    /// Its own environment, besides the machine's.
    pub env: Environment,
}

/// What a machine is given besides the static boot files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSetup {
    /// Variables of every process, for `/etc/disagg/env`.
    pub env: Environment,
    /// More files.
    pub files: Vec<BootFile>,
    /// Whether it installs Dynamo from its package lock.
    pub installs_packages: bool,
    /// Units to enable and start, in this order.
    pub units: Vec<String>,
}

/// The worker machine that an engine is set up for.
#[derive(Clone, Copy, Debug)]
pub struct Worker<'a> {
    /// What it is made of.
    pub spec: &'a GroupSpec,
    /// The service it belongs to.
    pub facts: &'a ServiceFacts,
    /// How its GPUs are shared out.
    pub split: Split,
    /// What KV caches travel over.
    pub fabric: Fabric,
}

/// How the GPUs of a machine are shared out among engine processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Engine processes on the machine, at least one.
    pub engines: u32,
    /// GPUs of each of them; 0 without GPUs.
    pub gpus_per_engine: u32,
}

/// What KV caches travel over between machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fabric {
    /// Elastic Fabric Adapter, which NIXL reaches through libfabric.
    Efa,
    /// InfiniBand or RoCE, which NIXL reaches through UCX.
    Verbs,
    /// Nothing but TCP, whatever NCCL could do.
    Tcp,
}

impl Fabric {
    /// The fabric of a machine.
    pub fn of(offer: &Offer) -> Self {
        match offer.interconnect {
            Interconnect::Efa => Self::Efa,
            Interconnect::Infiniband | Interconnect::Roce => Self::Verbs,
            Interconnect::Tcp
            | Interconnect::Host
            | Interconnect::GpudirectTcpx
            | Interconnect::GpudirectTcpxo => Self::Tcp,
        }
    }

    /// The word by which the boot scripts choose devices for it.
    fn as_str(self) -> &'static str {
        match self {
            Self::Efa => "efa",
            Self::Verbs => "verbs",
            Self::Tcp => "tcp",
        }
    }
}

/// The engine of this name.
pub fn find(name: &str) -> Option<&'static dyn Engine> {
    ENGINES.iter().copied().find(|engine| engine.name() == name)
}

/// Checks the name of an engine.
///
/// # Errors
/// Lists the engines.
pub fn check_name(name: &str) -> Result<(), UnknownEngine> {
    named(name).map(drop)
}

/// Shares out `gpus` GPUs among processes of `wanted` each; all of them go to one process when
/// nothing is wanted.
///
/// # Errors
/// When they do not come out even, or there are not so many.
pub fn check_tensor_parallel(wanted: Option<i64>, gpus: u32) -> Result<Split, EngineError> {
    let Some(wanted) = wanted else {
        return Ok(Split { engines: 1, gpus_per_engine: gpus });
    };
    let size = u32::try_from(wanted).ok().filter(|size| *size > 0 && *size <= gpus);
    let Some(size) = size else { return Err(EngineError::TensorParallelTooLarge { wanted, gpus }) };
    if !gpus.is_multiple_of(size) {
        return Err(EngineError::TensorParallelUneven { wanted: size, gpus });
    }
    let engines = gpus / size;
    if engines > ports::MOST_ENGINES {
        return Err(EngineError::TooManyEngines { engines, most: ports::MOST_ENGINES });
    }
    Ok(Split { engines, gpus_per_engine: size })
}

/// How many engine processes run on a machine of this offer.
///
/// # Errors
/// When there is no such engine, or its GPUs cannot be shared out.
pub fn engine_count(spec: &GroupSpec, offer: &Offer) -> Result<u32, EngineError> {
    split(named(&spec.engine.kind)?, spec, offer).map(|split| split.engines)
}

/// What a worker machine of this offer is given.
///
/// # Errors
/// When the engine cannot run on such a machine, or the user's arguments are none.
pub fn worker_setup(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
) -> Result<NodeSetup, EngineError> {
    let engine = named(&spec.engine.kind)?;
    if offer.simulated && !engine.accepts_simulated_gpu() {
        return Err(EngineError::SimulatedGpu { engine: engine.name() });
    }
    check_arguments(&spec.engine.args)?;
    let worker =
        Worker { spec, facts, split: split(engine, spec, offer)?, fabric: Fabric::of(offer) };
    let runtime = runtime(engine, spec, facts)?;
    let mut setup = NodeSetup {
        env: machine_env(engine, &worker, runtime),
        installs_packages: installs_packages(engine, runtime),
        ..NodeSetup::default()
    };
    if engine.runs_commands() {
        setup.files.push(commands_file(&spec.engine.commands)?);
        setup.units.push("disagg-custom.service".to_owned());
    } else {
        for index in 0..worker.split.engines {
            let process = process(engine, &worker, index)?;
            let file = |extension: &str, content: String| BootFile {
                path: format!("/etc/disagg/engine-{index}.{extension}"),
                mode: 0o600,
                content,
            };
            setup.files.push(file("env", crate::environment::encode(&process.env)?));
            setup.files.push(file("args", argument_lines(&process.args)));
            setup.units.push(format!("disagg-engine@{index}.service"));
        }
        if facts.id.fleet.cloud.has(Feature::Notices) {
            setup.units.push(boot::NOTICES.to_owned());
        }
    }
    setup.units.push("disagg-ready.service".to_owned());
    Ok(setup)
}

/// A bash script of the user's commands, as they are.
pub(crate) fn commands_file(commands: &[String]) -> Result<BootFile, EngineError> {
    if commands.iter().all(|command| command.trim().is_empty()) {
        return Err(EngineError::NoCommands);
    }
    if let Some(index) = commands.iter().position(|command| command.contains('\0')) {
        return Err(EngineError::Command { number: index + 1 });
    }
    let content = format!("#!/bin/bash\nset -eo pipefail\n{}\n", commands.join("\n"));
    Ok(BootFile { path: "/etc/disagg/commands".to_owned(), mode: 0o700, content })
}

/// Checks that each argument is a line, and so survives the file it travels in.
pub(crate) fn check_arguments(args: &[String]) -> Result<(), EngineError> {
    let is_line = |arg: &String| arg.chars().all(is_printable);
    match args.iter().position(|arg| !is_line(arg)) {
        Some(index) => Err(EngineError::Argument { number: index + 1 }),
        None => Ok(()),
    }
}

/// One argument a line.
pub(crate) fn argument_lines(args: &[String]) -> String {
    args.iter().map(|arg| format!("{arg}\n")).collect()
}

/// Text that the boot script replaces by the machine's address.
pub(crate) const IP: &str = "${DISAGG_IP}";

/// Text that the boot script replaces by the model's directory, or its name on the hub.
pub(crate) const MODEL_PATH: &str = "${DISAGG_MODEL_PATH}";

/// Text that the boot script replaces by a port on which an engine listens on all addresses of its
/// computer: this one, and on the local cloud, where machines share a computer, one of the engine's own.
pub(crate) fn wildcard_port(port: u16) -> String {
    format!("${{DISAGG_WILDCARD_PORT:{port}}}")
}

/// Tokens in a page of the KV cache; the router learns it from the workers, which must agree.
pub(crate) const PAGE_TOKENS: &str = "64";

/// `--name value`, as the two arguments they are.
fn flag(args: &mut Vec<String>, name: &str, value: impl Into<String>) {
    args.push(name.to_owned());
    args.push(value.into());
}

/// Dynamo's word for what a worker does, where it does one half only.
fn disaggregation_mode(role: WorkerRole) -> Option<&'static str> {
    match role {
        WorkerRole::Prefill => Some("prefill"),
        WorkerRole::Decode => Some("decode"),
        WorkerRole::Worker => None,
    }
}

fn named(name: &str) -> Result<&'static dyn Engine, UnknownEngine> {
    find(name).ok_or_else(|| UnknownEngine {
        name: shown(name),
        nearest: nearest(name, ENGINES.iter().map(|engine| engine.name())),
    })
}

fn split(engine: &dyn Engine, spec: &GroupSpec, offer: &Offer) -> Result<Split, EngineError> {
    let gpus = spec.resources.usable_gpus(offer);
    if engine.needs_gpu() && gpus == 0 {
        return Err(EngineError::NeedsGpu { engine: engine.name() });
    }
    if engine.runs_commands() {
        return Ok(Split { engines: 1, gpus_per_engine: gpus });
    }
    check_tensor_parallel(spec.engine.tensor_parallel.map(i64::from), gpus)
}

fn process(engine: &dyn Engine, worker: &Worker<'_>, index: u32) -> Result<Process, EngineError> {
    let ports = EnginePorts::of(index);
    let mut process = engine.process(worker, index)?;
    let mut set = |name: &str, value: String| process.env.insert(name.to_owned(), value);
    set("DYN_SYSTEM_PORT", ports.system.to_string());
    set("DYN_TCP_RPC_PORT", ports.rpc.to_string());
    if engine.needs_gpu() {
        let size = worker.split.gpus_per_engine;
        let devices: Vec<String> =
            (index * size..(index + 1) * size).map(|gpu| gpu.to_string()).collect();
        set("CUDA_VISIBLE_DEVICES", devices.join(","));
    }
    Ok(process)
}

fn machine_env(engine: &dyn Engine, worker: &Worker<'_>, runtime: Runtime) -> Environment {
    let Worker { spec, facts, split, fabric } = worker;
    let mut env = Environment::new();
    let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    set("DISAGG_ENGINE", engine.name());
    set("DISAGG_ENGINE_COUNT", &split.engines.to_string());
    set("DISAGG_GPUS_PER_ENGINE", &split.gpus_per_engine.to_string());
    set("DISAGG_RUNTIME", runtime.as_str());
    set("DISAGG_MODEL_PATH_DEFAULT", spec.engine.model.as_ref().unwrap_or(&facts.model));
    if let Some(suffix) = Agreement::of(spec).and_then(|told| told.namespace_suffix(&facts.model)) {
        set("DYN_NAMESPACE_WORKER_SUFFIX", &suffix);
    }
    if let (Some(kind), Runtime::Container) = (engine.image(), runtime) {
        let of_version = || facts.version.image(kind, *fabric == Fabric::Efa);
        set("DISAGG_IMAGE", &spec.engine.image.clone().unwrap_or_else(of_version));
        set("DISAGG_FABRIC", fabric.as_str());
        set("DISAGG_MINIMUM_DRIVER", facts.version.minimum_driver(kind));
    }
    env
}

/// Where the engine runs: each has one place it can, and GPU engines have a second one where a cloud has
/// it, a virtual environment that is there already.
fn runtime(
    engine: &dyn Engine,
    spec: &GroupSpec,
    facts: &ServiceFacts,
) -> Result<Runtime, EngineError> {
    let has_image = engine.image().is_some();
    let default = if has_image { Runtime::Container } else { Runtime::Venv };
    let runtime = spec.engine.runtime.unwrap_or(default);
    let is_found = has_image && runtime == Runtime::Venv;
    if runtime != default && !(is_found && facts.id.fleet.cloud.has(Feature::Environments)) {
        return Err(EngineError::Runtime { engine: engine.name(), right: default });
    }
    if runtime == Runtime::Venv && spec.engine.image.is_some() {
        return Err(EngineError::Image { engine: engine.name() });
    }
    if installs_packages(engine, runtime) && facts.version.requirements().is_none() {
        return Err(EngineError::NoPackages { version: facts.version });
    }
    Ok(runtime)
}

/// Whether the machine installs Dynamo from its package lock. A GPU engine in a virtual environment is
/// found there: its packages are many, and fit one kind of computer.
fn installs_packages(engine: &dyn Engine, runtime: Runtime) -> bool {
    runtime == Runtime::Venv && engine.image().is_none() && !engine.runs_commands()
}

#[cfg(test)]
mod tests;
