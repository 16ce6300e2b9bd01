//! Starting a machine's supervisor so that it outlives this process.

use crate::machine_directory::MachineDirectory;
use crate::secrets::Secrets;
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
};

/// What the supervisor says once it has the lock that means life.
pub(crate) const ALIVE: &str = "alive\n";

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

/// Starts a supervisor and returns as soon as it lives. When one lives already, that is as good.
pub(crate) async fn start(
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
/// that is nobody's child, and ends.
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

/// What a machine may know of the environment it is launched from: where programs are, and what it
/// takes to download.
fn is_inherited(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    upper.starts_with("PIP_")
        || [
            "PATH",
            "LANG",
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
