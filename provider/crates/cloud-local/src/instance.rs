//! Machines as the contract sees them: instances, listed, started, rebooted, terminated and read.
//! Launching them is in `launch`.

use crate::LocalCloud;
use crate::cleanup;
use crate::error::{During, StateError, absent, invalid};
use crate::faults::{CrashPoint, Faults};
use crate::machine_record::{Life, MachineRecord};
use crate::records;
use crate::spawn::{not_started, start_all};
use cloud::{
    BootDocument, CloudError, Console, ErrorKind, Finding, FleetKey, Instance, InstanceId,
    LabelFilter,
};
use machine::Secrets;
use machine::files;
use machine::{Desired, MachineDirectory, log_tail};
use rustix::process::Signal;
use std::fs;

/// Bytes of the console that are shown.
const CONSOLE_BYTES: usize = 64 << 10;

pub(crate) async fn list(
    cloud: &LocalCloud,
    key: &FleetKey,
    filter: &LabelFilter,
) -> cloud::Result<Vec<Instance>> {
    const OPERATION: &str = "ListMachines";
    cleanup::collect_if_idle(cloud).await.during(OPERATION)?;
    if records::find_fleet(cloud, key).during(OPERATION)?.is_none() {
        return Ok(Vec::new());
    }
    let machines = records::machines(cloud, &key.name).during(OPERATION)?;
    let wanted = machines.into_iter().filter(|(_, record)| filter.matches(&record.tags));
    describe_all(wanted.map(|(directory, _)| directory)).during(OPERATION)
}

pub(crate) async fn start(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<()> {
    const OPERATION: &str = "StartMachine";
    let change = cloud.store.change().await.during(OPERATION)?;
    let (machine, mut record) = records::require_machine(cloud, OPERATION, key, id)?;
    match (record.config.desired, record.life(&machine).during(OPERATION)?) {
        (Desired::Up, Life::Starting | Life::Alive(_) | Life::RecordOnly) => return Ok(()),
        (Desired::Stopped, Life::Starting | Life::Alive(_)) => {
            return Err(CloudError::new(ErrorKind::Unavailable, OPERATION, "it is still stopping")
                .object(&id.0)
                .code("IncorrectState"));
        }
        (Desired::Up | Desired::Stopped, Life::NotStarted | Life::Dead)
        | (Desired::Stopped, Life::RecordOnly) => {}
        (Desired::Terminated, _) => return Err(absent(OPERATION, "machine", &id.0)),
    }
    let user_data = fs::read(machine.user_data())
        .map_err(StateError::io("read", &machine.user_data()))
        .during(OPERATION)?;
    // What cannot be read refers to nothing: the machine itself will say what is wrong with it.
    let document = BootDocument::from_cloud_config(&user_data).unwrap_or_default();
    let secrets = secrets(cloud, OPERATION, &document)?;
    cleanup::end_processes(&machine).await.during(OPERATION)?;
    files::remove(&machine.cut()).during(OPERATION)?;
    // First the status, then the record: a machine that should be up and was alive once is lost.
    files::remove(&machine.status_path()).during(OPERATION)?;
    record.config.desired = Desired::Up;
    record.has_run = true;
    records::save_machine(&machine, &change, &record).during(OPERATION)?;
    Faults::read(&cloud.store).during(OPERATION)?.crash(CrashPoint::BeforeSpawn);
    let started = start_all(cloud, &change, &secrets, [&(machine, record)]).await;
    started.map_err(|error| not_started(OPERATION, error))
}

pub(crate) async fn reboot(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<()> {
    const OPERATION: &str = "RebootMachine";
    let _change = cloud.store.change().await.during(OPERATION)?;
    let (machine, record) = records::require_machine(cloud, OPERATION, key, id)?;
    let life = record.life(&machine).during(OPERATION)?;
    match record.state(&life, machine.cut().exists()) {
        Some(state) if state.is_up() => {}
        Some(state) => {
            return Err(invalid(OPERATION, format!("it is {state}")).object(&id.0));
        }
        None => return Err(absent(OPERATION, "machine", &id.0)),
    }
    // A reboot is what mends a simulated cut.
    files::remove(&machine.cut()).during(OPERATION)?;
    cleanup::signal(&machine, Signal::HUP).during(OPERATION)
}

pub(crate) async fn terminate(
    cloud: &LocalCloud,
    key: &FleetKey,
    ids: &[InstanceId],
) -> cloud::Result<()> {
    const OPERATION: &str = "TerminateMachines";
    let change = cloud.store.change().await.during(OPERATION)?;
    for id in ids {
        if let Some((machine, mut record)) =
            records::find_machine(cloud, key, id).during(OPERATION)?
        {
            record.config.desired = Desired::Terminated;
            records::save_machine(&machine, &change, &record).during(OPERATION)?;
        }
    }
    cleanup::collect(cloud, &change).await.during(OPERATION)
}

pub(crate) fn console(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<Console> {
    const OPERATION: &str = "GetConsole";
    let Some((machine, _)) = records::find_machine(cloud, key, id).during(OPERATION)? else {
        return Ok(Console::default());
    };
    let path = machine.console();
    let tail = log_tail(&path, CONSOLE_BYTES).map_err(StateError::io("read", &path));
    Ok(Console { text: String::from_utf8_lossy(&tail.during(OPERATION)?).into_owned() })
}

pub(crate) fn boot_document(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<Option<BootDocument>> {
    const OPERATION: &str = "GetUserData";
    let Some((machine, _)) = records::find_machine(cloud, key, id).during(OPERATION)? else {
        return Ok(None);
    };
    let user_data = files::read(&machine.user_data()).during(OPERATION)?;
    BootDocument::of_instance(OPERATION, id, user_data.as_deref()).map(Some)
}

/// The machine as it is now; `None` when it is gone.
pub(crate) fn describe(machine: &MachineDirectory) -> Result<Option<Instance>, StateError> {
    let Some(record) = MachineRecord::read(machine)? else { return Ok(None) };
    let life = record.life(machine)?;
    let state = record.state(&life, machine.cut().exists());
    let findings = findings(&record, &life);
    Ok(state.map(|state| Instance {
        id: InstanceId(record.config.id),
        state,
        ip: Some(record.config.ip.into()),
        instance_type: record.instance_type,
        image: None,
        launched_at: record.launched_at,
        findings,
        tags: record.tags,
    }))
}

/// A machine that was off may have been given other user data. What it boots from once, it has booted
/// from long ago; but nobody can tell by its digest any more what it is.
fn findings(record: &MachineRecord, life: &Life) -> Vec<Finding> {
    let started_with = match life {
        Life::Alive(status) => status.user_data.as_ref(),
        Life::NotStarted | Life::Starting | Life::Dead | Life::RecordOnly => None,
    };
    let is_other = started_with.is_some_and(|with| {
        record.user_data.as_ref().is_some_and(|launched_with| launched_with != with)
    });
    let text = "started with other user data than it was launched with".to_owned();
    if is_other { vec![Finding { text, repairable: false }] } else { Vec::new() }
}

pub(crate) fn describe_all(
    machines: impl IntoIterator<Item = MachineDirectory>,
) -> Result<Vec<Instance>, StateError> {
    machines.into_iter().filter_map(|machine| describe(&machine).transpose()).collect()
}

pub(crate) fn secrets(
    cloud: &LocalCloud,
    operation: &'static str,
    document: &BootDocument,
) -> cloud::Result<Secrets> {
    Secrets::of(document, &cloud.config.secrets)
        .map_err(|error| invalid(operation, error.to_string()))
}
