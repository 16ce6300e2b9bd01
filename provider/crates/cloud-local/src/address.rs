//! Reserved addresses: a router's loopback address, which outlives the router's machine.

use crate::LocalCloud;
use crate::cleanup;
use crate::error::{During, StateError, invalid};
use crate::records::{self, AddressRecord};
use cloud::{
    Address, AddressId, AddressRequest, CloudError, ErrorKind, FleetKey, InstanceId, LabelFilter,
};
use std::{collections::BTreeSet, net::Ipv4Addr};

pub(crate) async fn reserve(
    cloud: &LocalCloud,
    request: &AddressRequest,
) -> cloud::Result<Address> {
    const OPERATION: &str = "ReserveAddress";
    let change = cloud.store.change().await.during(OPERATION)?;
    let mut fleet = records::require_fleet(cloud, OPERATION, &request.fleet)?;
    let existing = records::addresses(cloud, &request.fleet.name).during(OPERATION)?;
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
        return describe(cloud, address).during(OPERATION);
    }
    let used = used(cloud, &request.fleet.name).during(OPERATION)?;
    let ip = fleet.take_address(&used).ok_or_else(|| exhausted(OPERATION))?;
    records::save_fleet(cloud, &change, &fleet).during(OPERATION)?;
    let record = AddressRecord {
        id: AddressId(records::new_id("a").during(OPERATION)?),
        fleet: request.fleet.name.clone(),
        ip,
        token: request.token.clone(),
        requested_tags: request.tags.clone(),
        tags: request.tags.clone(),
    };
    records::write_address(cloud, &record).during(OPERATION)?;
    describe(cloud, record).during(OPERATION)
}

pub(crate) fn list(
    cloud: &LocalCloud,
    key: &FleetKey,
    filter: &LabelFilter,
) -> cloud::Result<Vec<Address>> {
    const OPERATION: &str = "ListAddresses";
    if records::find_fleet(cloud, key).during(OPERATION)?.is_none() {
        return Ok(Vec::new());
    }
    let records = records::addresses(cloud, &key.name).during(OPERATION)?.into_iter();
    let meant = records.filter(|record| filter.matches(&record.tags));
    meant.map(|record| describe(cloud, record)).collect::<Result<_, _>>().during(OPERATION)
}

pub(crate) async fn release(
    cloud: &LocalCloud,
    key: &FleetKey,
    id: &AddressId,
) -> cloud::Result<()> {
    const OPERATION: &str = "ReleaseAddress";
    let change = cloud.store.change().await.during(OPERATION)?;
    let Some(address) = records::find_address(cloud, key, id).during(OPERATION)? else {
        return Ok(());
    };
    cleanup::collect(cloud, &change).await.during(OPERATION)?;
    if let Some(machine) = holder(cloud, &address).during(OPERATION)? {
        let message = format!("machine {machine} has it");
        return Err(CloudError::new(ErrorKind::InUse, OPERATION, message)
            .object(&id.0)
            .code("InUse"));
    }
    records::remove_address(cloud, id).during(OPERATION)
}

/// The machine that has a reserved address, also one that is on its way out.
pub(crate) fn holder(
    cloud: &LocalCloud,
    address: &AddressRecord,
) -> Result<Option<String>, StateError> {
    let machines = records::machines(cloud, &address.fleet)?;
    let holder =
        machines.into_iter().find(|(_, machine)| machine.address.as_ref() == Some(&address.id));
    Ok(holder.map(|(directory, _)| directory.id().to_owned()))
}

/// Every address of a fleet that is not free.
pub(crate) fn used(cloud: &LocalCloud, fleet: &str) -> Result<BTreeSet<Ipv4Addr>, StateError> {
    let reserved = records::addresses(cloud, fleet)?.into_iter().map(|address| address.ip);
    let machines = records::machines(cloud, fleet)?;
    Ok(reserved.chain(machines.into_iter().map(|(_, machine)| machine.config.ip)).collect())
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
    let address = records::find_address(cloud, key, id)
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

fn describe(cloud: &LocalCloud, record: AddressRecord) -> Result<Address, StateError> {
    Ok(Address {
        instance: holder(cloud, &record)?.map(InstanceId),
        id: record.id,
        ip: record.ip.into(),
        public_ip: None,
        tags: record.tags,
    })
}
