//! Fleets: a name, a block of loopback addresses, and rules for traffic from outside.

use crate::LocalCloud;
use crate::blocks::{Block, Registry};
use crate::cleanup;
use crate::error::{During, absent, invalid, no_subnets};
use crate::records::{self, FleetRecord, IngressRecord, REGION, ZONE};
use cloud::{
    CloudError, ErrorKind, Fleet, FleetClaim, FleetKey, FleetRequest, Ingress, Opening, Site,
    SiteFilter,
};
use machine::files::is_file_name;
use std::collections::BTreeMap;

/// The one site, unless another one is meant.
pub(crate) fn find_sites(region: &str, filter: &SiteFilter) -> cloud::Result<Vec<Site>> {
    check_region("FindSites", region)?;
    if let Some(subnet) = &filter.subnet {
        return Err(no_subnets(subnet));
    }
    let is_meant = filter.zone.as_ref().is_none_or(|zone| zone == ZONE);
    let site = Site { zone: Some(ZONE.to_owned()), subnet: None };
    Ok(is_meant.then_some(site).into_iter().collect())
}

pub(crate) async fn create(cloud: &LocalCloud, request: &FleetRequest) -> cloud::Result<Fleet> {
    const OPERATION: &str = "CreateFleet";
    check_region(OPERATION, &request.key.region)?;
    let name = &request.key.name;
    if !is_file_name(name) {
        return Err(invalid(
            OPERATION,
            "a fleet's name is made of letters, digits, `-`, `_` and `.`",
        )
        .object(name));
    }
    if let Some(zone) = request.zone.as_deref().filter(|zone| *zone != ZONE) {
        let message = format!("the local cloud's one zone is `{ZONE}`");
        return Err(invalid(OPERATION, message).object(zone));
    }
    if let Some(subnet) = &request.subnet {
        return Err(no_subnets(subnet));
    }
    let _change = cloud.store.change().await.during(OPERATION)?;
    let existing = records::read_fleet(cloud, name).during(OPERATION)?;
    if let Some(existing) = &existing {
        let claim =
            FleetClaim { tags: &existing.tags, placement: existing.placement, subnet: None };
        if let Some(why) = claim.is_another(request) {
            return Err(CloudError::new(ErrorKind::Conflict, OPERATION, why)
                .object(name)
                .code("AlreadyExists"));
        }
    }
    // The claim and the record are made under the registry's lock, where nobody can find the one
    // without the other.
    let mut registry = Registry::open(&cloud.config.address_registry).await.during(OPERATION)?;
    let had = existing.as_ref().map(|fleet| fleet.block);
    let block = registry.claim(&cloud.store, name, had).during(OPERATION)?.ok_or_else(|| {
        CloudError::new(
            ErrorKind::QuotaExceeded,
            OPERATION,
            "every block of loopback addresses is taken",
        )
        .code("NoAddresses")
    })?;
    let record = match existing {
        Some(existing) if existing.block == block => existing,
        _ => {
            let record = FleetRecord {
                name: name.clone(),
                placement: request.placement,
                tags: request.tags.clone(),
                block,
                next_host: Block::FIRST_HOST,
                ingress: BTreeMap::new(),
            };
            records::write_fleet(cloud, &record).during(OPERATION)?;
            record
        }
    };
    Ok(describe(&record))
}

pub(crate) fn list(cloud: &LocalCloud, region: &str) -> cloud::Result<Vec<FleetKey>> {
    if region != REGION {
        return Ok(Vec::new());
    }
    let names = records::fleets(cloud).during("ListFleets")?;
    let keys = names.into_iter().map(|name| FleetKey { region: REGION.to_owned(), name });
    Ok(keys.collect())
}

pub(crate) fn get(cloud: &LocalCloud, key: &FleetKey) -> cloud::Result<Option<Fleet>> {
    Ok(records::find_fleet(cloud, key).during("GetFleet")?.as_ref().map(describe))
}

pub(crate) async fn repair(cloud: &LocalCloud, key: &FleetKey) -> cloud::Result<Fleet> {
    const OPERATION: &str = "RepairFleet";
    let change = cloud.store.change().await.during(OPERATION)?;
    let mut record = records::require_fleet(cloud, OPERATION, key)?;
    record.tags.extend(key.lasting_tags());
    records::save_fleet(cloud, &change, &record).during(OPERATION)?;
    Ok(describe(&record))
}

pub(crate) async fn delete(cloud: &LocalCloud, key: &FleetKey) -> cloud::Result<()> {
    const OPERATION: &str = "DeleteFleet";
    let change = cloud.store.change().await.during(OPERATION)?;
    if records::find_fleet(cloud, key).during(OPERATION)?.is_none() {
        return Ok(());
    }
    cleanup::collect(cloud, &change).await.during(OPERATION)?;
    let addresses = records::addresses(cloud, &key.name).during(OPERATION)?;
    let machines = records::machines(cloud, &key.name).during(OPERATION)?;
    let left: Vec<String> = (addresses.into_iter().map(|address| address.id.0))
        .chain(machines.into_iter().map(|(directory, _)| directory.id().to_owned()))
        .collect();
    if !left.is_empty() {
        let message = format!("it still has {}", left.join(", "));
        return Err(CloudError::new(ErrorKind::InUse, OPERATION, message)
            .object(key.to_string())
            .code("InUse"));
    }
    let mut registry = Registry::open(&cloud.config.address_registry).await.during(OPERATION)?;
    records::remove_fleet(cloud, &key.name).during(OPERATION)?;
    registry.release(&cloud.store, &key.name).during(OPERATION)
}

pub(crate) async fn set_ingress(
    cloud: &LocalCloud,
    key: &FleetKey,
    service: &str,
    opening: Option<&Opening>,
) -> cloud::Result<()> {
    const OPERATION: &str = "SetIngress";
    let change = cloud.store.change().await.during(OPERATION)?;
    let Some(mut fleet) = records::find_fleet(cloud, key).during(OPERATION)? else {
        return match opening {
            None => Ok(()),
            Some(_) => Err(absent(OPERATION, "fleet", &key.name)),
        };
    };
    match opening {
        None => fleet.ingress.remove(service),
        Some(Opening { port, cidrs }) => {
            let record = IngressRecord { port: *port, cidrs: cidrs.clone() };
            fleet.ingress.insert(service.to_owned(), record)
        }
    };
    records::save_fleet(cloud, &change, &fleet).during(OPERATION)
}

fn describe(record: &FleetRecord) -> Fleet {
    let ingress = record.ingress.iter().map(|(service, rule)| Ingress {
        service: service.clone(),
        opening: Opening { port: rule.port, cidrs: rule.cidrs.clone() },
    });
    let key = FleetKey { region: REGION.to_owned(), name: record.name.clone() };
    Fleet {
        zone: Some(ZONE.to_owned()),
        subnet: None,
        placement: record.placement,
        tags: record.tags.clone(),
        ingress: ingress.collect(),
        ssh: None,
        // It is made of a name and of tags.
        findings: key.tag_findings(&record.tags),
        key,
    }
}

fn check_region(operation: &'static str, region: &str) -> cloud::Result<()> {
    if region == REGION {
        return Ok(());
    }
    Err(invalid(operation, format!("the local cloud's one region is `{REGION}`")).object(region))
}
