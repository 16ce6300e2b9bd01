//! Elastic IPs: taken, put on interfaces, given back.
//!
//! EC2 takes no token for one: whose it is, its tags tell. Which tags those are is for
//! [`address`](crate::address) and [`egress`](crate::egress) to say. So one that was taken a moment ago,
//! and that EC2 does not list yet, would be taken again by the next attempt: what this process has done with
//! one it knows by itself for as long as that.

use crate::Region;
use crate::error::{During, is};
use crate::recent::KNOWN_AFTER;
use crate::tags::{self, Ec2Tags};
use aws_sdk_ec2::types::{Address, DomainType, Filter, ResourceType};
use cloud::{CloudError, ErrorKind, Key, tag};
use tokio::time::Instant;

/// An Elastic IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ElasticIp {
    pub(crate) allocation: String,
    pub(crate) ip: String,
    pub(crate) association: Option<Association>,
    pub(crate) tags: Ec2Tags,
}

/// What it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Association {
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
}

/// One that this process has taken or changed, and when.
#[derive(Debug)]
pub(crate) struct Known {
    elastic: ElasticIp,
    at: Instant,
}

impl ElasticIp {
    /// Whether the provider has taken it. Somebody may put one of their own on an interface.
    pub(crate) fn is_ours(&self) -> bool {
        self.tags
            .get(Key::from(tag::MANAGED_BY).as_str())
            .is_some_and(|by| by == tag::MANAGED_BY_US)
    }
}

/// Those with these tags.
pub(crate) async fn list(region: &Region, wanted: &Ec2Tags) -> cloud::Result<Vec<ElasticIp>> {
    let tagged =
        |(key, value): (&String, &String)| tags::filter(&format!("tag:{key}"), [value.as_str()]);
    let mut found = describe_addresses(region, wanted.iter().map(tagged).collect()).await?;
    let known = region.elastic_ips.lock().await;
    let is_meant = |known: &&Known| {
        wanted.iter().all(|(key, value)| known.elastic.tags.get(key) == Some(value))
    };
    for Known { elastic, at } in known.iter().filter(is_meant) {
        let is_it = |listed: &&mut ElasticIp| listed.allocation == elastic.allocation;
        match found.iter_mut().find(is_it) {
            _ if at.elapsed() >= KNOWN_AFTER => {}
            Some(listed) => {
                listed.tags.extend(elastic.tags.clone());
                listed.association = listed.association.take().or(elastic.association.clone());
            }
            None => found.push(elastic.clone()),
        }
    }
    Ok(found)
}

/// What is on an interface.
pub(crate) async fn on_interface(
    region: &Region,
    interface: &str,
) -> cloud::Result<Vec<ElasticIp>> {
    describe_addresses(region, vec![tags::filter("network-interface-id", [interface])]).await
}

pub(crate) async fn allocate(region: &Region, own: &Ec2Tags) -> cloud::Result<ElasticIp> {
    const OPERATION: &str = "AllocateAddress";
    let call = region.ec2.allocate_address().domain(DomainType::Vpc);
    let tagged = tags::specification(ResourceType::ElasticIp, own);
    let made = call.tag_specifications(tagged).send().await.during(OPERATION)?;
    let missing = || CloudError::new(ErrorKind::Other, OPERATION, "the answer has no address");
    let elastic = ElasticIp {
        allocation: made.allocation_id.ok_or_else(missing)?,
        ip: made.public_ip.ok_or_else(missing)?,
        association: None,
        tags: own.clone(),
    };
    region.recent.add([elastic.allocation.clone()]).await;
    know(region, elastic.clone()).await;
    Ok(elastic)
}

/// Puts it on an interface, unless it is on another one. One that is there already comes off, and stays
/// the account's.
pub(crate) async fn associate(
    region: &Region,
    elastic: &ElasticIp,
    interface: &str,
) -> cloud::Result<()> {
    let call = region.ec2.associate_address().allocation_id(&elastic.allocation);
    let call = call.network_interface_id(interface).allow_reassociation(false);
    let associated = call.send().await.during("AssociateAddress");
    let id = associated.map_err(|error| error.object(interface))?.association_id;
    let association = id.map(|id| Association { id, instance: None });
    know(region, ElasticIp { association, ..elastic.clone() }).await;
    Ok(())
}

/// Sets these tags and leaves every other tag alone.
pub(crate) async fn tag(region: &Region, elastic: &ElasticIp, own: &Ec2Tags) -> cloud::Result<()> {
    tags::set(region, std::slice::from_ref(&elastic.allocation), own).await?;
    let mut known = region.elastic_ips.lock().await;
    let known = known.iter_mut().find(|known| known.elastic.allocation == elastic.allocation);
    if let Some(Known { elastic, .. }) = known {
        elastic.tags.extend(own.clone());
    }
    Ok(())
}

/// Takes them off what they are on. Those that the provider has not taken stay the account's; the others
/// are given back.
pub(crate) async fn release(region: &Region, elastics: &[ElasticIp]) -> cloud::Result<()> {
    for elastic in elastics {
        if let Some(Association { id, .. }) = &elastic.association {
            let call = region.ec2.disassociate_address().association_id(id);
            match call.send().await.during("DisassociateAddress") {
                Err(error) if !is(&error, "InvalidAssociationID.NotFound") => return Err(error),
                _ => {}
            }
        }
        if !elastic.is_ours() {
            continue;
        }
        let call = region.ec2.release_address().allocation_id(&elastic.allocation);
        match call.send().await.during("ReleaseAddress") {
            // Another server has not heard yet that it came off, or it was put somewhere since.
            Err(error) if is(&error, "InvalidIPAddress.InUse") => {
                let kind = ErrorKind::Unavailable;
                return Err(CloudError { kind, ..error.object(&elastic.allocation) });
            }
            Err(error)
                if !is(&error, "InvalidAllocationID.NotFound")
                    || region.recent.is_new(&elastic.allocation).await =>
            {
                return Err(error.object(&elastic.allocation));
            }
            _ => {}
        }
        region.recent.remove(&elastic.allocation).await;
        let mut known = region.elastic_ips.lock().await;
        known.retain(|known| known.elastic.allocation != elastic.allocation);
    }
    Ok(())
}

async fn describe_addresses(
    region: &Region,
    filters: Vec<Filter>,
) -> cloud::Result<Vec<ElasticIp>> {
    let found = region.ec2.describe_addresses().set_filters(Some(filters)).send().await;
    let found = found.during("DescribeAddresses")?.addresses.unwrap_or_default();
    Ok(found.into_iter().map(describe).collect())
}

fn describe(found: Address) -> ElasticIp {
    let tags = tags::raw(found.tags());
    let instance = found.instance_id.filter(|id| !id.is_empty());
    ElasticIp {
        allocation: found.allocation_id.unwrap_or_default(),
        ip: found.public_ip.unwrap_or_default(),
        association: found.association_id.map(|id| Association { id, instance }),
        tags,
    }
}

async fn know(region: &Region, elastic: ElasticIp) {
    let mut known = region.elastic_ips.lock().await;
    known.retain(|known| known.elastic.allocation != elastic.allocation);
    known.push(Known { elastic, at: Instant::now() });
}
