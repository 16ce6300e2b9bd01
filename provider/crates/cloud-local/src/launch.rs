//! Launching machines: records first, processes after. Of a launch that dies at any instant there are
//! the machines that it has started, found again by their token; records that it did not live to start
//! are removed by the next look, and made anew by its repeat.

use crate::LocalCloud;
use crate::address;
use crate::cleanup;
use crate::error::{During, StateError};
use crate::faults::{CrashPoint, Faults};
use crate::gpu_claims;
use crate::instance::{describe_all, secrets};
use crate::machine_record::MachineRecord;
use crate::records::{self, ZONE};
use crate::runtime;
use crate::spawn::{not_started, start_all};
use crate::store::Change;
use cloud::{CloudError, CloudName, Egress, ErrorKind, Instance, LaunchRequest, Purchase};
use machine::files;
use machine::{Desired, MachineConfig, MachineDirectory, digest_of};
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, time::SystemTime};

/// The machines of a launch, by their place in it.
type Launched = BTreeMap<u32, (MachineDirectory, MachineRecord)>;

/// A launch, with what is made of its request.
struct Wanted<'a> {
    request: &'a LaunchRequest,
    /// The boot document, as a VM would get it.
    user_data: Vec<u8>,
    /// What its token stands for: everything that makes the machines what they are.
    digest: String,
}

pub(crate) async fn launch(
    cloud: &LocalCloud,
    request: &LaunchRequest,
) -> cloud::Result<Vec<Instance>> {
    const OPERATION: &str = "LaunchMachines";
    check(OPERATION, request)?;
    let secrets = secrets(cloud, OPERATION, &request.document)?;
    let wanted = Wanted::by(request);
    let change = cloud.store.change().await.during(OPERATION)?;
    records::require_fleet(cloud, OPERATION, &request.fleet)?;
    cleanup::collect(cloud, &change).await.during(OPERATION)?;

    let mut launched = of_token(cloud, request).during(OPERATION)?;
    if launched.values().any(|(_, record)| record.request != wanted.digest) {
        return Err(CloudError::new(
            ErrorKind::Conflict,
            OPERATION,
            "the token belongs to a launch with another request",
        )
        .object(&request.token)
        .code("TokenConflict"));
    }
    let faults = Faults::read(&cloud.store).during(OPERATION)?;
    let made = make_records(cloud, &change, OPERATION, &wanted, &launched, &faults).await?;
    faults.crash(CrashPoint::BeforeSpawn);
    let new = made.clone();
    launched.extend(made);
    let started = start_all(cloud, &change, &secrets, launched.values()).await;
    faults.crash(CrashPoint::AfterSpawn);
    if let Err(error) = started {
        remove_all(cloud, &change, new.values()).await.during(OPERATION)?;
        return Err(not_started(OPERATION, error));
    }
    describe_all(launched.into_values().map(|(directory, _)| directory)).during(OPERATION)
}

/// Everything that refuses a launch but the lack of machines and of addresses.
pub(crate) fn check_launch(cloud: &LocalCloud, request: &LaunchRequest) -> cloud::Result<()> {
    const OPERATION: &str = "CheckLaunch";
    check(OPERATION, request)?;
    secrets(cloud, OPERATION, &request.document)?;
    records::require_fleet(cloud, OPERATION, &request.fleet)?;
    Ok(())
}

fn check(operation: &'static str, request: &LaunchRequest) -> cloud::Result<()> {
    let checked = request.check(operation, CloudName::Local.profile().user_data_bytes);
    checked.map_err(|error| error.code("InvalidRequest").object(&request.token))?;
    let missing = [
        (request.identity.is_some(), "identity"),
        (request.image.is_some(), "image"),
        (request.purchase != Purchase::OnDemand, "market"),
        (request.egress != Egress::Subnet, "public address"),
    ];
    if let Some((_, what)) = missing.into_iter().find(|(is_wanted, _)| *is_wanted) {
        let message = format!("machines of the local cloud have no {what}");
        return Err(CloudError::new(ErrorKind::Unsupported, operation, message)
            .object(&request.token)
            .code("Unsupported"));
    }
    Ok(())
}

/// The machines of this launch that exist, by their place in it.
fn of_token(cloud: &LocalCloud, request: &LaunchRequest) -> Result<Launched, StateError> {
    let machines = records::machines(cloud, &request.fleet.name)?.into_iter();
    let machines = machines.filter(|(_, record)| record.token == request.token);
    Ok(machines.map(|(directory, record)| (record.index, (directory, record))).collect())
}

impl<'a> Wanted<'a> {
    fn by(request: &'a LaunchRequest) -> Self {
        let user_data = request.document.to_cloud_config();
        let inputs = serde_json::json!([
            request.offer.instance_type,
            request.count,
            request.disk_gb,
            request.address,
            request.tags,
            Sha256::digest(&user_data).as_slice(),
        ]);
        let digest = hex::encode(Sha256::digest(inputs.to_string().as_bytes()));
        Self { request, user_data, digest }
    }
}

/// Writes the records of the launch's machines that have none, all or none.
async fn make_records(
    cloud: &LocalCloud,
    change: &Change,
    operation: &'static str,
    wanted: &Wanted<'_>,
    existing: &Launched,
    faults: &Faults,
) -> cloud::Result<Launched> {
    let Wanted { request, user_data, digest } = wanted;
    let missing =
        (0..request.count).filter(|index| !existing.contains_key(index)).collect::<Vec<_>>();
    if missing.is_empty() {
        return Ok(BTreeMap::new());
    }
    let fleet_name = &request.fleet.name;
    let living = records::machines(cloud, fleet_name).during(operation)?;
    let living = living.into_iter().map(|(_, record)| record).collect::<Vec<_>>();
    if faults.lacks_capacity(request, missing.len(), &living) {
        return Err(CloudError::new(
            ErrorKind::InsufficientCapacity,
            operation,
            format!("zone {} has fewer than {} machines of this type free", ZONE, missing.len()),
        )
        .object(&request.offer.instance_type)
        .code("InsufficientCapacity"));
    }
    let mut gpus = gpu_claims::choose(cloud, operation, request, missing.len()).await?;
    runtime::prepare(&cloud.config.cache_directory).during(operation)?;

    let mut addresses = BTreeMap::new();
    if let Some(id) = &request.address {
        let address = address::require_free(cloud, operation, &request.fleet, id)?;
        addresses.insert(0, address.ip);
    } else if faults.no_processes() {
        let used = address::used(cloud, fleet_name).during(operation)?;
        addresses.extend(missing.iter().copied().zip(address::without_listeners(&used)));
    } else {
        let mut fleet = records::require_fleet(cloud, operation, &request.fleet)?;
        let mut used = address::used(cloud, fleet_name).during(operation)?;
        for index in &missing {
            let ip = fleet.take_address(&used).ok_or_else(|| address::exhausted(operation))?;
            used.insert(ip);
            addresses.insert(*index, ip);
        }
        records::save_fleet(cloud, change, &fleet).during(operation)?;
    }

    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let user_data_digest = digest_of(user_data);
    let mut made = BTreeMap::new();
    let written = addresses.into_iter().try_for_each(|(index, ip)| {
        let id = records::new_id("m")?;
        let gpus = match &mut gpus {
            Some(chosen) => chosen.claim(cloud, &id)?,
            None => Vec::new(),
        };
        let config = MachineConfig {
            id,
            ip,
            gpus,
            engine_runtimes: cloud.config.engine_runtimes.clone(),
            desired: Desired::Up,
            cache_directory: cloud.config.cache_directory.clone(),
            namespaces: cloud.config.namespaces,
            boot_delay_ms: faults.boot_delay().as_millis().try_into().unwrap_or(u64::MAX),
            broken_program: faults.broken_program(request, index),
        };
        let record = MachineRecord {
            config,
            fleet: fleet_name.clone(),
            address: request.address.clone(),
            instance_type: request.offer.instance_type.clone(),
            gpu: request.offer.gpu.clone(),
            token: request.token.clone(),
            index,
            request: digest.clone(),
            launched_at: now,
            tags: request.tags.clone(),
            user_data: Some(user_data_digest.clone()),
            has_run: false,
            record_only: faults.no_processes(),
        };
        let machine = make_record(cloud, change, &record, user_data)?;
        made.insert(index, (machine, record));
        faults.crash(CrashPoint::AmongRecords);
        Ok::<_, StateError>(())
    });
    if written.is_err() {
        for (machine, _) in made.values() {
            files::remove_directory(machine.path()).during(operation)?;
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
    let path = cloud.store.machines().join(&record.config.id);
    let new =
        MachineDirectory::new(cloud.store.machines().join(format!(".new-{}", record.config.id)));
    files::make_private_directory(new.path()).map_err(StateError::io("make", new.path()))?;
    files::write(&new.user_data(), user_data)?;
    records::save_machine(&new, change, record)?;
    fs::rename(new.path(), &path).map_err(StateError::io("make", &path))?;
    Ok(MachineDirectory::new(path))
}

/// Takes back what a failed launch made. Nothing of it has done any work yet: no drain.
async fn remove_all(
    cloud: &LocalCloud,
    change: &Change,
    machines: impl IntoIterator<Item = &(MachineDirectory, MachineRecord)>,
) -> Result<(), StateError> {
    for (machine, record) in machines {
        let mut record = record.clone();
        record.config.desired = Desired::Terminated;
        records::save_machine(machine, change, &record)?;
        cleanup::signal(machine, Signal::KILL)?;
        cleanup::remove(cloud, machine, change).await?;
    }
    Ok(())
}
