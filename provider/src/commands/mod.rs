//! Commands for people and scripts: they look, and change nothing.

mod arguments;
mod json;
mod logs;
mod status;
mod table;

use self::arguments::{Arguments, Command};
use crate::clouds::Clouds;
use crate::diagnose;
use cloud::Deadline;
use orchestration::Orchestrator;
use orchestration::failure::Failure;
use orchestration::status::{FleetStatus, Scope};
use plugin::Attr;
use schemas::{Local, ProviderConfig};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs `status` or `logs`, with the arguments after that word.
pub fn command_main(command: &str, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match arguments::parse(command, arguments) {
        Ok(arguments) => arguments,
        Err(usage) => {
            complain(&format!("{usage}; see `{command} --help`"));
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments, &mut io::stdout())) {
        Ok(code) => code,
        Err(Ended::Failure(failure)) => {
            for found in diagnose::failure(failure.into(), &[]) {
                complain(&format!("{}\n\n{}", found.summary, found.detail));
            }
            ExitCode::FAILURE
        }
        // Whoever reads has had enough.
        Err(Ended::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Ended::Output(error)) => {
            complain(&format!("cannot write: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Why a command ends before its end.
enum Ended {
    Failure(Failure),
    Output(io::Error),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn run(arguments: Arguments, out: &mut (dyn Write + Send)) -> Result<ExitCode, Ended> {
    let Arguments { command, state_directory } = arguments;
    let orchestrator = Orchestrator::default();
    let local = Local { state_directory: Attr::from(state_directory), ..Default::default() };
    let config = ProviderConfig { local: Attr::Known(local), ..ProviderConfig::default() };
    orchestrator.configure(Arc::new(Clouds::new(config)));
    match command {
        Command::Help(text) => out.write_all(text.as_bytes())?,
        Command::Status { scope, is_json } => {
            let found = orchestration::status::status(&orchestrator, &patience(), &scope).await?;
            let Some(found) = found else { return Ok(missing(&scope)) };
            if let Some(what) = not_in(&scope, &found) {
                complain(&format!("Fleet {} has no {what} with machines or an address.", found.id));
                return Ok(ExitCode::FAILURE);
            }
            if is_json {
                writeln!(out, "{:#}", json::fleet(&found))?;
            } else {
                status::write(out, &found)?;
            }
        }
        Command::Logs { scope, machine, follows } => {
            return logs::write(out, &orchestrator, &scope, machine.as_deref(), follows).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A cloud that does not answer is not waited for longer.
fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(60), CancellationToken::new())
}

fn missing(scope: &Scope) -> ExitCode {
    let id = &scope.fleet;
    complain(&format!(
        "The cloud `{}` has no fleet `{}` in region `{}`.",
        id.cloud, id.name, id.region
    ));
    ExitCode::FAILURE
}

/// What was asked for by name, where it is not there.
fn not_in(scope: &Scope, found: &FleetStatus) -> Option<String> {
    let service = scope.service.as_ref()?;
    if found.services.is_empty() {
        return Some(format!("service `{service}`"));
    }
    let group = scope.group.as_ref()?;
    let is_missing = found.services.iter().all(|service| service.groups.is_empty());
    is_missing.then(|| format!("replica group `{service}/{group}`"))
}

/// What about the fleet itself is not as it was made.
fn drift_of_fleet(fleet: &FleetStatus) -> BTreeMap<String, String> {
    let mut drift = fleet.cloud_findings.clone();
    drift.extend(diagnose::drift(&fleet.findings));
    drift
}

fn complain(text: &str) {
    // Nothing is left to be done about an error output that is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
