//! What the local cloud has written down: a record for each fleet, reserved address and machine.
//!
//! How a machine's record looks is in `machine_record`.

use crate::LocalCloud;
use crate::blocks::Block;
use crate::error::{During, StateError, absent};
use crate::machine_record::MachineRecord;
use crate::store::Change;
use cloud::{AddressId, FleetKey, InstanceId, PlacementStrategy, Tags};
use machine::MachineDirectory;
use machine::files::{self, FileError, is_file_name};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

/// The one region.
pub(crate) const REGION: &str = "local";
/// Its one zone.
pub(crate) const ZONE: &str = "local-a";

/// A fleet on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FleetRecord {
    pub(crate) name: String,
    pub(crate) placement: PlacementStrategy,
    pub(crate) tags: Tags,
    pub(crate) block: Block,
    /// Where to look for a free address next: one that was given back is used again as late as
    /// possible, because others may still remember who had it.
    pub(crate) next_host: u8,
    /// By service.
    pub(crate) ingress: BTreeMap<String, IngressRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IngressRecord {
    pub(crate) port: u16,
    pub(crate) cidrs: Vec<String>,
}

impl FleetRecord {
    /// An address that is not among those in use; `None` when all are.
    pub(crate) fn take_address(&mut self, used: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
        let hosts = Block::FIRST_HOST..=Block::LAST_HOST;
        let host = (self.next_host.max(Block::FIRST_HOST)..=Block::LAST_HOST)
            .chain(hosts)
            .find(|host| !used.contains(&self.block.host(*host)))?;
        self.next_host = if host == Block::LAST_HOST { Block::FIRST_HOST } else { host + 1 };
        Some(self.block.host(host))
    }
}

/// A reserved address on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressRecord {
    pub(crate) id: AddressId,
    pub(crate) fleet: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) token: String,
    /// The tags it was asked for with: the request a token stands for.
    pub(crate) requested_tags: Tags,
    pub(crate) tags: Tags,
}

/// The fleet's record; what is not in this region does not exist.
pub(crate) fn find_fleet(
    cloud: &LocalCloud,
    key: &FleetKey,
) -> Result<Option<FleetRecord>, StateError> {
    if key.region != REGION || !is_file_name(&key.name) {
        return Ok(None);
    }
    Ok(read_fleet(cloud, &key.name)?)
}

/// The names of all fleets, in order.
pub(crate) fn fleets(cloud: &LocalCloud) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    for file in files::list(&cloud.store.fleets())? {
        if let Some(name) = file.strip_suffix(".json")
            // One that was deleted since the directory was read is none.
            && read_fleet(cloud, name)?.is_some()
        {
            names.push(name.to_owned());
        }
    }
    // The files' names are in another order: `a-b.json` is before `a.json`.
    names.sort();
    Ok(names)
}

/// The fleet's record, for a request that cannot do without.
pub(crate) fn require_fleet(
    cloud: &LocalCloud,
    operation: &'static str,
    key: &FleetKey,
) -> cloud::Result<FleetRecord> {
    find_fleet(cloud, key)
        .during(operation)?
        .ok_or_else(|| absent(operation, "fleet", &key.to_string()))
}

pub(crate) fn save_fleet(
    cloud: &LocalCloud,
    _: &Change,
    fleet: &FleetRecord,
) -> Result<(), FileError> {
    write_fleet(cloud, fleet)
}

/// The record of this name, in whatever region it was asked for.
pub(crate) fn read_fleet(cloud: &LocalCloud, name: &str) -> Result<Option<FleetRecord>, FileError> {
    files::read_json(&fleet_path(cloud, name))
}

/// Makes the record: under the lock of the registry of addresses.
pub(crate) fn write_fleet(cloud: &LocalCloud, record: &FleetRecord) -> Result<(), FileError> {
    files::write_json_durably(&fleet_path(cloud, &record.name), record)
}

/// Removes the record.
pub(crate) fn remove_fleet(cloud: &LocalCloud, name: &str) -> Result<(), FileError> {
    files::remove(&fleet_path(cloud, name))
}

fn fleet_path(cloud: &LocalCloud, name: &str) -> PathBuf {
    cloud.store.fleets().join(format!("{name}.json"))
}

/// The address of this id, in this fleet.
pub(crate) fn find_address(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &AddressId,
) -> Result<Option<AddressRecord>, StateError> {
    if !is_file_name(&id.0) || find_fleet(cloud, key)?.is_none() {
        return Ok(None);
    }
    let record = files::read_json::<AddressRecord>(&address_path(cloud, &id.0))?;
    Ok(record.filter(|record| record.fleet == key.name))
}

/// Every reserved address of a fleet.
pub(crate) fn addresses(cloud: &LocalCloud, fleet: &str) -> Result<Vec<AddressRecord>, StateError> {
    let directory = cloud.store.addresses();
    let mut records = Vec::new();
    for name in files::list(&directory)? {
        // One that was released since the directory was read is no error.
        let record = files::read_json::<AddressRecord>(&directory.join(name))?;
        records.extend(record.filter(|record| record.fleet == fleet));
    }
    Ok(records)
}

pub(crate) fn write_address(cloud: &LocalCloud, record: &AddressRecord) -> Result<(), FileError> {
    files::write_json_durably(&address_path(cloud, &record.id.0), record)
}

/// Removes the record.
pub(crate) fn remove_address(cloud: &LocalCloud, id: &AddressId) -> Result<(), FileError> {
    files::remove(&address_path(cloud, &id.0))
}

fn address_path(cloud: &LocalCloud, id: &str) -> PathBuf {
    cloud.store.addresses().join(format!("{id}.json"))
}

/// Every machine of a fleet that has a record, whatever its state.
pub(crate) fn machines(
    cloud: &LocalCloud,
    fleet: &str,
) -> Result<Vec<(MachineDirectory, MachineRecord)>, StateError> {
    let mut records = Vec::new();
    for machine in cloud.store.list_machines()? {
        // One that went since the directory was read is no error.
        if let Some(record) = MachineRecord::read(&machine)?.filter(|record| record.fleet == fleet)
        {
            records.push((machine, record));
        }
    }
    Ok(records)
}

/// The machine of this id, in this fleet.
pub(crate) fn find_machine(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &InstanceId,
) -> Result<Option<(MachineDirectory, MachineRecord)>, StateError> {
    if find_fleet(cloud, key)?.is_none() {
        return Ok(None);
    }
    let Some(machine) = cloud.store.machine(&id.0) else { return Ok(None) };
    let record = MachineRecord::read(&machine)?.filter(|record| record.fleet == key.name);
    Ok(record.map(|record| (machine, record)))
}

/// The machine of this id, for a request that cannot do without.
pub(crate) fn require_machine(
    cloud: &LocalCloud,
    operation: &'static str,
    key: &FleetKey,
    id: &InstanceId,
) -> cloud::Result<(MachineDirectory, MachineRecord)> {
    find_machine(cloud, key, id)
        .during(operation)?
        .ok_or_else(|| absent(operation, "machine", &id.0))
}

pub(crate) fn save_machine(
    machine: &MachineDirectory,
    _: &Change,
    record: &MachineRecord,
) -> Result<(), FileError> {
    files::write_json(&machine.config_path(), record)
}

/// An id that nobody else has or will have.
pub(crate) fn new_id(prefix: &str) -> Result<String, StateError> {
    let path = Path::new("/proc/sys/kernel/random/uuid");
    let uuid = std::fs::read_to_string(path).map_err(StateError::io("read", path))?;
    let digits = uuid.chars().filter(char::is_ascii_hexdigit).take(12).collect::<String>();
    Ok(format!("{prefix}-{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_used_again_as_late_as_possible() {
        let mut fleet: FleetRecord = serde_json::from_str(
            r#"{"name": "f", "placement": "zone", "tags": {},
                "block": "127.64.3.0/24", "next_host": 249, "ingress": {}}"#,
        )
        .unwrap();
        let mut used = BTreeSet::from([Ipv4Addr::new(127, 64, 3, 10)]);
        let mut take = |used: &BTreeSet<_>| fleet.take_address(used).map(|ip| ip.octets()[3]);
        assert_eq!(take(&used), Some(249));
        assert_eq!(take(&used), Some(250));
        assert_eq!(take(&used), Some(11));
        assert_eq!(take(&used), Some(12));
        used.extend((10..=250).map(|host| Ipv4Addr::new(127, 64, 3, host)));
        assert_eq!(take(&used), None);
    }
}
