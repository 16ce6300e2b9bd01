//! Machines as the contract sees them: instances.

use crate::LocalCloud;
use crate::address;
use crate::cleanup;
use crate::error::{During, StateError, absent, invalid};
use crate::faults::{CrashPoint, Faults};
use crate::fleet;
use crate::machine::log_tail;
use crate::machine_directory::{Desired, Life, MachineDirectory, MachineRecord};
use crate::program;
use crate::runtime;
use crate::secrets::Secrets;
use crate::spawn;
use crate::store::{self, Change};
use cloud::{
    CloudError, Console, ErrorKind, FleetKey, Instance, InstanceId, LaunchRequest, TagFilter,
};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, time::SystemTime};
use tokio::task::JoinSet;

/// Bytes of the console that are shown.
const CONSOLE_BYTES: usize = 64 << 10;

pub(crate) async fn launch(
    cloud: &LocalCloud,
    request: &LaunchRequest,
) -> cloud::Result<Vec<Instance>> {
    const OPERATION: &str = "LaunchMachines";
    check(cloud, OPERATION, request)?;
    let secrets = secrets(cloud, OPERATION, &request.user_data)?;
    let change = cloud.store.change().await.during(OPERATION)?;
    fleet::require(cloud, OPERATION, &request.fleet)?;
    cleanup::collect(cloud, &change).await.during(OPERATION)?;

    let mut launched = of_token(cloud, request).during(OPERATION)?;
    let digest = digest(request);
    if launched.values().any(|(_, record)| record.request != digest) {
        return Err(CloudError::new(
            ErrorKind::Conflict,
            OPERATION,
            "the token belongs to a launch with another request",
        )
        .object(&request.token)
        .code("TokenConflict"));
    }
    let faults = Faults::read(&cloud.store).during(OPERATION)?;
    let made = make_records(cloud, &change, OPERATION, request, &digest, &launched, &faults)?;
    faults.crash(CrashPoint::BeforeSpawn);
    let new = made.clone();
    launched.extend(made);
    // Those of an earlier call that did not live to start them, too.
    let started = start_all(cloud, &change, &secrets, launched.values()).await;
    faults.crash(CrashPoint::AfterSpawn);
    if let Err(error) = started {
        remove_all(&change, new.values()).await.during(OPERATION)?;
        return Err(not_started(OPERATION, error));
    }
    describe_all(launched.into_values().map(|(directory, _)| directory)).during(OPERATION)
}

pub(crate) async fn list(
    cloud: &LocalCloud,
    key: &FleetKey,
    filter: &TagFilter,
) -> cloud::Result<Vec<Instance>> {
    const OPERATION: &str = "ListMachines";
    cleanup::collect_if_idle(cloud).await.during(OPERATION)?;
    if fleet::find(cloud, key).during(OPERATION)?.is_none() {
        return Ok(Vec::new());
    }
    let machines = records(cloud, &key.name).during(OPERATION)?;
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
    let (machine, mut record) = require(cloud, OPERATION, key, id)?;
    match (record.desired, machine.life().during(OPERATION)?) {
        (Desired::Up, Life::Starting | Life::Alive(_)) => return Ok(()),
        (Desired::Stopped, Life::Starting | Life::Alive(_)) => {
            return Err(CloudError::new(ErrorKind::Unavailable, OPERATION, "it is still stopping")
                .object(&id.0)
                .code("IncorrectState"));
        }
        (Desired::Up | Desired::Stopped, Life::NotStarted | Life::Dead) => {}
        (Desired::Terminated, _) => return Err(absent(OPERATION, "machine", &id.0)),
    }
    let user_data = fs::read(machine.user_data())
        .map_err(StateError::io("read", &machine.user_data()))
        .during(OPERATION)?;
    let secrets = secrets(cloud, OPERATION, &user_data)?;
    cleanup::end_processes(&machine).await.during(OPERATION)?;
    store::remove(&machine.cut()).during(OPERATION)?;
    // First the status, then the record: a machine that should be up and was alive once is lost.
    store::remove(&machine.status_path()).during(OPERATION)?;
    record.desired = Desired::Up;
    save(&machine, &change, &record).during(OPERATION)?;
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
    let (machine, record) = require(cloud, OPERATION, key, id)?;
    let life = machine.life().during(OPERATION)?;
    match record.state(&life, machine.cut().exists()) {
        Some(state) if state.is_up() => {}
        Some(state) => {
            return Err(invalid(OPERATION, format!("it is {state}")).object(&id.0));
        }
        None => return Err(absent(OPERATION, "machine", &id.0)),
    }
    // A reboot is what mends a simulated cut.
    store::remove(&machine.cut()).during(OPERATION)?;
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
        if let Some((machine, mut record)) = find(cloud, key, id).during(OPERATION)? {
            record.desired = Desired::Terminated;
            save(&machine, &change, &record).during(OPERATION)?;
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
    let Some((machine, _)) = find(cloud, key, id).during(OPERATION)? else {
        return Ok(Console::default());
    };
    let path = machine.console();
    let tail = log_tail(&path, CONSOLE_BYTES).map_err(StateError::io("read", &path));
    Ok(Console { text: String::from_utf8_lossy(&tail.during(OPERATION)?).into_owned() })
}

pub(crate) fn user_data(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<Option<Vec<u8>>> {
    const OPERATION: &str = "GetUserData";
    match find(cloud, key, id).during(OPERATION)? {
        Some((machine, _)) => store::read(&machine.user_data()).during(OPERATION),
        None => Ok(None),
    }
}

/// Every machine of a fleet that has a record, whatever its state.
pub(crate) fn records(
    cloud: &LocalCloud,
    fleet: &str,
) -> Result<Vec<(MachineDirectory, MachineRecord)>, StateError> {
    let mut records = Vec::new();
    for machine in cloud.store.list_machines()? {
        // One that went since the directory was read is no error.
        if let Some(record) = machine.record()?.filter(|record| record.fleet == fleet) {
            records.push((machine, record));
        }
    }
    Ok(records)
}

/// The machine of this id, in this fleet.
pub(crate) fn find(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> Result<Option<(MachineDirectory, MachineRecord)>, StateError> {
    if fleet::find(cloud, key)?.is_none() {
        return Ok(None);
    }
    let Some(machine) = cloud.store.machine(&id.0) else { return Ok(None) };
    let record = machine.record()?.filter(|record| record.fleet == key.name);
    Ok(record.map(|record| (machine, record)))
}

/// The machine of this id, for a request that cannot do without.
pub(crate) fn require(
    cloud: &LocalCloud,
    operation: &'static str,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<(MachineDirectory, MachineRecord)> {
    find(cloud, key, id).during(operation)?.ok_or_else(|| absent(operation, "machine", &id.0))
}

pub(crate) fn save(
    machine: &MachineDirectory,
    _: &Change,
    record: &MachineRecord,
) -> Result<(), StateError> {
    store::write_json(&machine.record_path(), record)
}

/// The machine as it is now; `None` when it is gone.
pub(crate) fn describe(machine: &MachineDirectory) -> Result<Option<Instance>, StateError> {
    let Some(record) = machine.record()? else { return Ok(None) };
    let state = record.state(&machine.life()?, machine.cut().exists());
    Ok(state.map(|state| Instance {
        id: InstanceId(record.id),
        state,
        ip: Some(record.ip.into()),
        instance_type: record.instance_type,
        zone: fleet::ZONE.to_owned(),
        launched_at: record.launched_at,
        tags: record.tags,
    }))
}

fn describe_all(
    machines: impl IntoIterator<Item = MachineDirectory>,
) -> Result<Vec<Instance>, StateError> {
    machines.into_iter().filter_map(|machine| describe(&machine).transpose()).collect()
}

fn check(
    cloud: &LocalCloud,
    operation: &'static str,
    request: &LaunchRequest,
) -> cloud::Result<()> {
    let limit = cloud::Cloud::limits(cloud).user_data_bytes;
    let wrong = if request.count == 0 {
        "a launch is of one machine at least".to_owned()
    } else if request.count > 1 && request.address.is_some() {
        "one address is for one machine".to_owned()
    } else if request.identity.is_some() {
        "machines of the local cloud have no identity".to_owned()
    } else if request.user_data.len() > limit {
        format!("user data of {} bytes is over the limit of {limit}", request.user_data.len())
    } else {
        return Ok(());
    };
    Err(invalid(operation, wrong).object(&request.token))
}

fn secrets(
    cloud: &LocalCloud,
    operation: &'static str,
    user_data: &[u8],
) -> cloud::Result<Secrets> {
    Secrets::of_user_data(user_data, &cloud.config.secrets)
        .map_err(|error| invalid(operation, error.to_string()))
}

/// The machines of this launch that exist, by their place in it.
fn of_token(
    cloud: &LocalCloud,
    request: &LaunchRequest,
) -> Result<BTreeMap<u32, (MachineDirectory, MachineRecord)>, StateError> {
    let machines = records(cloud, &request.fleet.name)?.into_iter();
    let machines = machines.filter(|(_, record)| record.token == request.token);
    Ok(machines.map(|(directory, record)| (record.index, (directory, record))).collect())
}

/// What a token stands for: everything that makes the machines what they are.
fn digest(request: &LaunchRequest) -> String {
    let inputs = serde_json::json!([
        request.offer.instance_type,
        request.count,
        request.disk_gb,
        request.address,
        request.tags,
        Sha256::digest(&request.user_data).as_slice(),
    ]);
    let digest = Sha256::digest(inputs.to_string().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the records of the launch's machines that have none, all or none.
fn make_records(
    cloud: &LocalCloud,
    change: &Change,
    operation: &'static str,
    request: &LaunchRequest,
    digest: &str,
    existing: &BTreeMap<u32, (MachineDirectory, MachineRecord)>,
    faults: &Faults,
) -> cloud::Result<BTreeMap<u32, (MachineDirectory, MachineRecord)>> {
    let missing =
        (0..request.count).filter(|index| !existing.contains_key(index)).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(BTreeMap::new());
    }
    let fleet_name = &request.fleet.name;
    let living = records(cloud, fleet_name).during(operation)?;
    let living = living.into_iter().map(|(_, record)| record).collect::<Vec<_>>();
    if faults.lacks_capacity(request, missing.len(), &living) {
        return Err(CloudError::new(
            ErrorKind::InsufficientCapacity,
            operation,
            format!("zone {} has no {} machines of this type now", fleet::ZONE, missing.len()),
        )
        .object(&request.offer.instance_type)
        .code("InsufficientCapacity"));
    }
    runtime::prepare(&cloud.config.cache_directory).during(operation)?;

    let mut addresses = BTreeMap::new();
    if let Some(id) = &request.address {
        let address = address::require_free(cloud, operation, &request.fleet, id)?;
        addresses.insert(0, address.ip);
    } else {
        let mut fleet = fleet::require(cloud, operation, &request.fleet)?;
        let mut used = address::used(cloud, fleet_name).during(operation)?;
        for index in &missing {
            let ip = fleet.take_address(&used).ok_or_else(|| address::exhausted(operation))?;
            used.insert(ip);
            addresses.insert(*index, ip);
        }
        fleet::save(cloud, change, &fleet).during(operation)?;
    }

    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut made = BTreeMap::new();
    let written = addresses.into_iter().try_for_each(|(index, ip)| {
        let record = MachineRecord {
            id: crate::new_id("m")?,
            fleet: fleet_name.clone(),
            ip,
            address: request.address.clone(),
            instance_type: request.offer.instance_type.clone(),
            gpu: request.offer.gpu.clone(),
            token: request.token.clone(),
            index,
            request: digest.to_owned(),
            launched_at: now,
            tags: request.tags.clone(),
            desired: Desired::Up,
            cache_directory: cloud.config.cache_directory.clone(),
            namespaces: cloud.config.namespaces,
            boot_delay_ms: faults.boot_delay().as_millis().try_into().unwrap_or(u64::MAX),
            broken_program: faults.broken_program(request, index),
        };
        let machine = make_record(cloud, change, &record, &request.user_data)?;
        made.insert(index, (machine, record));
        faults.crash(CrashPoint::AmongRecords);
        Ok(())
    });
    if written.is_err() {
        for (machine, _) in made.values() {
            store::remove_directory(machine.path()).during(operation)?;
        }
    }
    written.during(operation).map(|()| made)
}

/// A machine appears whole: record and user data, or not at all.
fn make_record(
    cloud: &LocalCloud,
    change: &Change,
    record: &MachineRecord,
    user_data: &[u8],
) -> Result<MachineDirectory, StateError> {
    let path = cloud.store.machines().join(&record.id);
    let new = MachineDirectory::new(cloud.store.machines().join(format!(".new-{}", record.id)));
    store::make_private_directory(new.path()).map_err(StateError::io("make", new.path()))?;
    store::write(&new.user_data(), user_data)?;
    save(&new, change, record)?;
    fs::rename(new.path(), &path).map_err(StateError::io("make", &path))?;
    Ok(MachineDirectory::new(path))
}

/// Starts those that should be up and never were, all at once.
async fn start_all<'a>(
    cloud: &LocalCloud,
    change: &Change,
    secrets: &Secrets,
    machines: impl IntoIterator<Item = &'a (MachineDirectory, MachineRecord)>,
) -> Result<(), StartError> {
    let program = program::place(&cloud.store, change, &cloud.config.machine_binary)?;
    let mut starting = JoinSet::new();
    for (machine, record) in machines {
        if record.desired == Desired::Up && machine.life()? == Life::NotStarted {
            let (program, machine, secrets) = (program.clone(), machine.clone(), secrets.clone());
            starting.spawn(async move { spawn::start(&program, &machine, &secrets).await });
        }
    }
    let mut result = Ok(());
    while let Some(started) = starting.join_next().await {
        let started = started.map_err(std::io::Error::from).map_err(spawn::SpawnError::Io);
        result = result.and(started.and_then(|started| started));
    }
    Ok(result?)
}

#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Spawn(#[from] spawn::SpawnError),
}

fn not_started(operation: &'static str, error: StartError) -> CloudError {
    match error {
        StartError::State(error) => Err::<(), _>(error).during(operation).expect_err("it is one"),
        StartError::Spawn(error) => {
            let kind = match error {
                spawn::SpawnError::Late => ErrorKind::Unavailable,
                spawn::SpawnError::Io(_) | spawn::SpawnError::Ended(_) => ErrorKind::Other,
            };
            let cloud_error = CloudError::new(kind, operation, error.to_string());
            match error {
                spawn::SpawnError::Io(source) => cloud_error.source(source),
                spawn::SpawnError::Late | spawn::SpawnError::Ended(_) => cloud_error,
            }
        }
    }
}

/// Takes back what a failed launch made. Nothing of it has done any work yet: no drain.
async fn remove_all(
    change: &Change,
    machines: impl IntoIterator<Item = &(MachineDirectory, MachineRecord)>,
) -> Result<(), StateError> {
    for (machine, record) in machines {
        let record = MachineRecord { desired: Desired::Terminated, ..record.clone() };
        save(machine, change, &record)?;
        cleanup::signal(machine, Signal::KILL)?;
        cleanup::remove(machine, change).await?;
    }
    Ok(())
}
