//! What a router machine runs: etcd, NATS and Dynamo's frontend, or the user's commands.

use crate::engine::{EngineError, IP, NodeSetup, argument_lines, check_arguments, commands_file};
use crate::environment::Environment;
use crate::ports;
use crate::spec::{RouterKind, RouterSpec, Runtime};
use cloud::BootFile;

/// How often a request moves to another worker when its own is lost in the middle.
const MIGRATION_LIMIT: &str = "3";

/// What the router machine of a service is given.
///
/// # Errors
/// When the version cannot be installed, or the user's arguments or commands are none.
pub fn router_setup(spec: &RouterSpec) -> Result<NodeSetup, EngineError> {
    let mut env = Environment::new();
    env.insert("DISAGG_RUNTIME".to_owned(), Runtime::Venv.as_str().to_owned());
    let port = ports::RESPONSE_STREAM.to_string();
    env.insert("DYN_TCP_RESPONSE_STREAM_PORT".to_owned(), port);
    let (file, units): (BootFile, &[&str]) = match spec.kind {
        RouterKind::Custom => (commands_file(&spec.commands)?, &["custom", "ready"]),
        RouterKind::Dynamo => {
            if spec.version.requirements().is_none() {
                return Err(EngineError::NoPackages { version: spec.version });
            }
            (frontend_args(spec)?, &["etcd", "nats", "frontend", "ready"])
        }
    };
    let units = units.iter().map(|unit| format!("disagg-{unit}.service")).collect();
    let installs_packages = spec.kind == RouterKind::Dynamo;
    Ok(NodeSetup { env, files: vec![file], units, installs_packages })
}

/// The page size is not among them: the frontend takes it from the workers' model card.
fn frontend_args(spec: &RouterSpec) -> Result<BootFile, EngineError> {
    check_arguments(&spec.args)?;
    let port = spec.port.to_string();
    let ours = [
        "--http-host",
        IP,
        "--http-port",
        &port,
        "--router-mode",
        "kv",
        "--migration-limit",
        MIGRATION_LIMIT,
    ];
    let args: Vec<String> =
        ours.into_iter().map(str::to_owned).chain(spec.args.iter().cloned()).collect();
    Ok(BootFile {
        path: "/etc/disagg/frontend.args".to_owned(),
        mode: 0o600,
        content: argument_lines(&args),
    })
}
