//! Starting machines: each one's supervisor, so that it outlives this process.

use crate::LocalCloud;
use crate::error::{During, StateError};
use crate::machine_record::{Life, MachineRecord};
use crate::program;
use crate::store::Change;
use cloud::{CloudError, ErrorKind};
use machine::Secrets;
use machine::{ALIVE, Desired, MachineDirectory};
use std::{
    env,
    fs::OpenOptions,
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    task::JoinSet,
};

/// Even a computer under heavy load starts a process in this time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a machine did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("cannot start the machine's supervisor")]
    Io(#[from] io::Error),
    #[error("the machine's supervisor did not come up within {} s", PATIENCE.as_secs())]
    Late,
    #[error("the machine's supervisor ended at once: {0}")]
    Ended(String),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Starts those that should be up and never were, all at once.
pub(crate) async fn start_all<'a>(
    cloud: &LocalCloud,
    change: &Change,
    secrets: &Secrets,
    machines: impl IntoIterator<Item = &'a (MachineDirectory, MachineRecord)>,
) -> Result<(), StartError> {
    let program = program::place(&cloud.store, change, &cloud.config.machine_binary)?;
    let mut starting = JoinSet::new();
    for (machine, record) in machines {
        if record.config.desired == Desired::Up
            && record.life(machine).map_err(StateError::from)? == Life::NotStarted
        {
            let (program, machine, secrets) = (program.clone(), machine.clone(), secrets.clone());
            starting.spawn(async move { start(&program, &machine, &secrets).await });
        }
    }
    let mut result = Ok(());
    while let Some(started) = starting.join_next().await {
        let started = started.map_err(std::io::Error::from).map_err(SpawnError::Io);
        result = result.and(started.and_then(|started| started));
    }
    Ok(result?)
}

/// As the contract tells it.
pub(crate) fn not_started(operation: &'static str, error: StartError) -> CloudError {
    match error {
        StartError::State(error) => Err::<(), _>(error).during(operation).expect_err("it is one"),
        StartError::Spawn(error) => {
            let kind = match error {
                SpawnError::Late => ErrorKind::Unavailable,
                SpawnError::Io(_) | SpawnError::Ended(_) => ErrorKind::Other,
            };
            let cloud_error = CloudError::new(kind, operation, error.to_string());
            match error {
                SpawnError::Io(source) => cloud_error.source(source),
                SpawnError::Late | SpawnError::Ended(_) => cloud_error,
            }
        }
    }
}

/// Starts a supervisor and returns as soon as it lives. When one lives already, that is as good.
async fn start(
    program: &Path,
    machine: &MachineDirectory,
    secrets: &Secrets,
) -> Result<(), SpawnError> {
    let mut child = spawn(program, machine).await?;
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let secrets = serde_json::to_vec(secrets).expect("secrets are strings");
    let talk = async {
        // A supervisor that is gone already has said why in its log.
        let _ = pipe.write_all(&secrets).await;
        drop(pipe);
        child.wait_with_output().await
    };
    let Output { stdout, .. } = match tokio::time::timeout(PATIENCE, talk).await {
        Ok(output) => output?,
        Err(_) => return Err(SpawnError::Late),
    };
    if stdout == ALIVE.as_bytes() {
        return Ok(());
    }
    let log = std::fs::read_to_string(machine.supervisor_log()).unwrap_or_default();
    Err(SpawnError::Ended(log.lines().next_back().unwrap_or("it left no word").to_owned()))
}

/// The process that is started here only starts the supervisor, as a process of its own session
/// without a parent, and ends.
async fn spawn(program: &Path, machine: &MachineDirectory) -> io::Result<Child> {
    let log =
        OpenOptions::new().create(true).append(true).mode(0o600).open(machine.supervisor_log())?;
    let mut command = Command::new(program);
    command
        .arg("machine")
        .arg(machine.path())
        .env_clear()
        .envs(env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited)))
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log);
    let mut attempts = 100;
    loop {
        match command.spawn() {
            // Another thread was just starting a process while this program was being copied, and
            // that process still has the copy open.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && attempts > 0 => {
                attempts -= 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            spawned => return spawned,
        }
    }
}

/// What a machine may know of the environment it is launched from: where programs and the container daemon
/// are, and what it takes to download.
fn is_inherited(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    upper.starts_with("PIP_")
        || [
            "PATH",
            "LANG",
            "CUDA_HOME",
            "DOCKER_HOST",
            "DOCKER_CONFIG",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "FTP_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
        ]
        .contains(&upper.as_str())
}
