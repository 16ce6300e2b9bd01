//! What is left of machines that are gone: done with whenever somebody looks, so that nothing
//! depends on the process that asked for the end to have lived to see it.

use crate::LocalCloud;
use crate::error::StateError;
use crate::gpu_claims;
use crate::machine_record::{Life, MachineRecord};
use crate::records;
use crate::store::Change;
use machine::containers;
use machine::files;
use machine::processes::{self, Handle};
use machine::{Desired, MachineDirectory};
use rustix::process::Signal;
use std::fs;

/// Removes every machine that is gone for good, and asks those that should go and do not know it.
pub(crate) async fn collect(cloud: &LocalCloud, change: &Change) -> Result<(), StateError> {
    for machine in cloud.store.list_machines()? {
        let Some(mut record) = MachineRecord::read(&machine)? else {
            remove(cloud, &machine, change).await?;
            continue;
        };
        match (record.config.desired, record.life(&machine)?) {
            (Desired::Up, Life::Dead) => {
                let log = fs::read_to_string(machine.supervisor_log()).unwrap_or_default();
                tracing::warn!(machine = machine.id(), log = log.trim(), "the machine was lost");
                remove(cloud, &machine, change).await?;
            }
            // Who was to start it again died before that: it is still stopped, and has its disk.
            (Desired::Up, Life::NotStarted) if record.has_run => {
                record.config.desired = Desired::Stopped;
                records::save_machine(&machine, change, &record)?;
            }
            // The launch that made its record died before it started it, and nobody was told of it:
            // had it lived, it would hold the lock that we hold. A repeat makes it anew.
            (Desired::Up, Life::NotStarted) => {
                tracing::warn!(machine = machine.id(), "its launch died before it was started");
                remove(cloud, &machine, change).await?;
            }
            (Desired::Terminated, Life::NotStarted | Life::Dead) => {
                tracing::debug!(machine = machine.id(), "the machine is terminated");
                remove(cloud, &machine, change).await?;
            }
            (Desired::Terminated, Life::RecordOnly) => {
                remove_directory(&machine)?;
                gpu_claims::release(cloud, &machine, Some(&record)).await?;
            }
            (Desired::Terminated | Desired::Stopped, Life::Alive(_)) => {
                signal(&machine, Signal::TERM)?
            }
            // One that is starting reads its record once it has started.
            (Desired::Terminated | Desired::Stopped, Life::Starting)
            | (Desired::Stopped, Life::NotStarted | Life::Dead)
            | (Desired::Up, Life::Starting | Life::Alive(_))
            | (Desired::Up | Desired::Stopped, Life::RecordOnly) => {}
        }
    }
    remove_unfinished(cloud, change)
}

/// Like [`collect`], when nobody else is at it.
pub(crate) async fn collect_if_idle(cloud: &LocalCloud) -> Result<(), StateError> {
    if needed(cloud)?
        && let Some(change) = cloud.store.try_change()?
    {
        collect(cloud, &change).await?;
    }
    Ok(())
}

/// Ends a dead machine's processes and removes its directory. The name goes first and at once: a
/// directory half removed is never taken for a machine.
pub(crate) async fn remove(
    cloud: &LocalCloud,
    machine: &MachineDirectory,
    _: &Change,
) -> Result<(), StateError> {
    let record = MachineRecord::read(machine)?;
    end_processes(machine).await?;
    remove_directory(machine)?;
    gpu_claims::release(cloud, machine, record.as_ref()).await
}

fn remove_directory(machine: &MachineDirectory) -> Result<(), StateError> {
    let gone = machine.path().with_file_name(format!(".gone-{}", machine.id()));
    fs::rename(machine.path(), &gone).map_err(StateError::io("remove", machine.path()))?;
    files::remove_directory(&machine.memory())?;
    Ok(files::remove_directory(&gone)?)
}

/// Kills whatever still runs in a machine whose supervisor is dead.
pub(crate) async fn end_processes(machine: &MachineDirectory) -> Result<(), StateError> {
    containers::remove(machine).await;
    // Of those that wrote over their environment the session may have lost its leader by now.
    let left = || {
        let mut found = processes::members(machine)?;
        found.extend(processes::leaderless_in(&machine.root())?);
        Ok(found)
    };
    processes::kill_all(left).await.map_err(StateError::io("end the processes of", machine.path()))
}

/// Sends a signal to a machine's supervisor; one that is dead does not mind.
pub(crate) fn signal(machine: &MachineDirectory, signal: Signal) -> Result<(), StateError> {
    if let machine::Life::Alive(status) = machine.life()? {
        let failed = StateError::io("signal the supervisor of", machine.path());
        let signalled = (|| {
            if status.kernel_boot_id != processes::kernel_boot_id()? {
                return Ok(());
            }
            match Handle::open_started_at(status.pid, status.start_time)? {
                Some(handle) => handle.signal(signal),
                None => Ok(()),
            }
        })();
        signalled.map_err(failed)?;
    }
    Ok(())
}

/// Whether there is anything for [`collect`] to do, told without a lock.
fn needed(cloud: &LocalCloud) -> Result<bool, StateError> {
    for machine in cloud.store.list_machines()? {
        let Some(record) = MachineRecord::read(&machine)? else { return Ok(true) };
        match (record.config.desired, record.life(&machine)?) {
            (Desired::Up | Desired::Terminated, Life::NotStarted | Life::Dead)
            | (Desired::Terminated, Life::RecordOnly) => return Ok(true),
            // Its supervisor may never have heard of it; a second signal does no harm.
            (Desired::Terminated | Desired::Stopped, Life::Alive(_)) => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

/// What a launch, a removal or the writing of a record did not get done with. Nothing refers to it,
/// and nobody is at it: whoever changes anything holds the lock.
fn remove_unfinished(cloud: &LocalCloud, _: &Change) -> Result<(), StateError> {
    let store = &cloud.store;
    for directory in [store.machines(), store.fleets(), store.addresses()] {
        for entry in fs::read_dir(&directory).map_err(StateError::io("list", &directory))? {
            let path = entry.map_err(StateError::io("list", &directory))?.path();
            if !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
                continue;
            }
            if path.is_dir() {
                files::remove_directory(&path)?;
            } else {
                files::remove(&path)?;
            }
        }
    }
    Ok(())
}
