//! Reserved addresses: a router's loopback address, which outlives the router's machine.

use crate::LocalCloud;
use crate::error::{During, StateError, invalid};
use crate::fleet;
use crate::store::{self, is_file_name};
use cloud::{Address, AddressId, AddressRequest, CloudError, ErrorKind, FleetKey, TagFilter, Tags};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::Ipv4Addr, path::PathBuf};

/// A reserved address on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressRecord {
    pub(crate) id: AddressId,
    pub(crate) fleet: String,
    pub(crate) ip: Ipv4Addr,
    token: String,
    /// The tags it was asked for with: the request a token stands for.
    requested_tags: Tags,
    pub(crate) tags: Tags,
}

pub(crate) async fn reserve(
    cloud: &LocalCloud,
    request: &AddressRequest,
) -> cloud::Result<Address> {
    const OPERATION: &str = "ReserveAddress";
    let change = cloud.store.change().await.during(OPERATION)?;
    let mut fleet = fleet::require(cloud, OPERATION, &request.fleet)?;
    let existing = records(cloud, &request.fleet.name).during(OPERATION)?;
    if let Some(address) = existing.into_iter().find(|address| address.token == request.token) {
        if address.requested_tags != request.tags {
            return Err(CloudError::new(
                ErrorKind::Conflict,
                OPERATION,
                "the token belongs to an address that was asked for with other tags",
            )
            .object(address.id.0)
            .code("TokenConflict"));
        }
        return Ok(describe(address));
    }
    let used = used(cloud, &request.fleet.name).during(OPERATION)?;
    let ip = fleet.take_address(&used).ok_or_else(|| exhausted(OPERATION))?;
    fleet::save(cloud, &change, &fleet).during(OPERATION)?;
    let record = AddressRecord {
        id: AddressId(crate::new_id("a").during(OPERATION)?),
        fleet: request.fleet.name.clone(),
        ip,
        token: request.token.clone(),
        requested_tags: request.tags.clone(),
        tags: request.tags.clone(),
    };
    write(cloud, &record).during(OPERATION)?;
    Ok(describe(record))
}

pub(crate) fn list(
    cloud: &LocalCloud,
    key: &FleetKey,
    filter: &TagFilter,
) -> cloud::Result<Vec<Address>> {
    const OPERATION: &str = "ListAddresses";
    if fleet::find(cloud, key).during(OPERATION)?.is_none() {
        return Ok(Vec::new());
    }
    let records = records(cloud, &key.name).during(OPERATION)?.into_iter();
    Ok(records.filter(|record| filter.matches(&record.tags)).map(describe).collect())
}

pub(crate) async fn release(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &AddressId,
) -> cloud::Result<()> {
    const OPERATION: &str = "ReleaseAddress";
    let change = cloud.store.change().await.during(OPERATION)?;
    let Some(address) = find(cloud, key, id).during(OPERATION)? else { return Ok(()) };
    crate::cleanup::collect(cloud, &change).await.during(OPERATION)?;
    if let Some(machine) = holder(cloud, &address).during(OPERATION)? {
        let message = format!("machine {machine} has it");
        return Err(CloudError::new(ErrorKind::InUse, OPERATION, message)
            .object(&id.0)
            .code("InUse"));
    }
    store::remove(&path(cloud, &id.0)).during(OPERATION)
}

/// The address of this id, in this fleet.
pub(crate) fn find(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &AddressId,
) -> Result<Option<AddressRecord>, StateError> {
    if !is_file_name(&id.0) || fleet::find(cloud, key)?.is_none() {
        return Ok(None);
    }
    let record = store::read_json::<AddressRecord>(&path(cloud, &id.0))?;
    Ok(record.filter(|record| record.fleet == key.name))
}

/// The machine that has a reserved address, also one that is on its way out.
pub(crate) fn holder(
    cloud: &LocalCloud,
    address: &AddressRecord,
) -> Result<Option<String>, StateError> {
    let machines = crate::instance::records(cloud, &address.fleet)?;
    let holder =
        machines.into_iter().find(|(_, machine)| machine.address.as_ref() == Some(&address.id));
    Ok(holder.map(|(directory, _)| directory.id().to_owned()))
}

/// Every reserved address of a fleet.
pub(crate) fn records(cloud: &LocalCloud, fleet: &str) -> Result<Vec<AddressRecord>, StateError> {
    let directory = cloud.store.addresses();
    let mut records = Vec::new();
    for name in store::list(&directory)? {
        // One that was released since the directory was read is no error.
        let record = store::read_json::<AddressRecord>(&directory.join(name))?;
        records.extend(record.filter(|record| record.fleet == fleet));
    }
    Ok(records)
}

/// Every address of a fleet that is not free.
pub(crate) fn used(cloud: &LocalCloud, fleet: &str) -> Result<BTreeSet<Ipv4Addr>, StateError> {
    let reserved = records(cloud, fleet)?.into_iter().map(|address| address.ip);
    let machines = crate::instance::records(cloud, fleet)?;
    Ok(reserved.chain(machines.into_iter().map(|(_, machine)| machine.ip)).collect())
}

pub(crate) fn write(cloud: &LocalCloud, record: &AddressRecord) -> Result<(), StateError> {
    store::write_json_durably(&path(cloud, &record.id.0), record)
}

/// Addresses for machines that are records only, apart from every fleet's block, so that a fleet can
/// have more of them than its block has addresses. Loopback addresses all the same: whoever calls
/// one is refused at once.
pub(crate) fn without_listeners(used: &BTreeSet<Ipv4Addr>) -> impl Iterator<Item = Ipv4Addr> {
    let first = u32::from(Ipv4Addr::new(127, 128, 0, 1));
    let last = u32::from(Ipv4Addr::new(127, 255, 255, 254));
    (first..=last).map(Ipv4Addr::from).filter(|ip| !used.contains(ip))
}

pub(crate) fn exhausted(operation: &'static str) -> CloudError {
    let message = "the fleet's 241 addresses are all in use";
    CloudError::new(ErrorKind::QuotaExceeded, operation, message).code("NoAddresses")
}

/// A reserved address that a machine is to get.
pub(crate) fn require_free(
    cloud: &LocalCloud,
    operation: &'static str,
    key: &FleetKey,
    id: &AddressId,
) -> cloud::Result<AddressRecord> {
    let address = find(cloud, key, id)
        .during(operation)?
        .ok_or_else(|| invalid(operation, "there is no such address").object(&id.0))?;
    match holder(cloud, &address).during(operation)? {
        None => Ok(address),
        Some(machine) => {
            let message = format!("machine {machine} has the address");
            Err(CloudError::new(ErrorKind::InUse, operation, message).object(&id.0).code("InUse"))
        }
    }
}

fn describe(record: AddressRecord) -> Address {
    Address {
        id: record.id,
        ip: record.ip.into(),
        public_ip: None,
        instance: None,
        tags: record.tags,
    }
}

fn path(cloud: &LocalCloud, id: &str) -> PathBuf {
    cloud.store.addresses().join(format!("{id}.json"))
}
