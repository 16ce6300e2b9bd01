//! Containers of a machine's engines. They belong to the computer's container daemon, not to the machine's
//! processes: whoever ends a machine ends them by their names, which `engine` has written down.

use crate::directory::MachineDirectory;
use crate::files::is_file_name;
use std::{fs, process::Stdio, time::Duration};
use tokio::process::Command;

/// How long the daemon may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Removes whatever containers the machine has started. A daemon that does not answer is no reason to keep
/// a machine: it is said, and what it still runs goes with it or is seen on its GPUs.
pub async fn remove(machine: &MachineDirectory) {
    let directory = machine.root().join("var/lib/disagg/containers");
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.filter(|name| is_file_name(name)).collect::<Vec<_>>();
    if names.is_empty() {
        return;
    }
    let mut command = Command::new("docker");
    command.args(["rm", "--force"]).args(&names).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match tokio::time::timeout(PATIENCE, command.status()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => tracing::warn!(?names, %status, "containers are not removed"),
        Ok(Err(error)) => tracing::warn!(?names, %error, "containers are not removed"),
        Err(_) => tracing::warn!(?names, "containers are not removed: docker does not answer"),
    }
}
