//! Elastic IPs: taken, put on interfaces, given back.
//!
//! EC2 takes no token for one: whose it is, its tags tell. Which tags those are is for
//! [`address`](crate::address) and [`egress`](crate::egress) to say. So one that was taken a moment ago,
//! and that EC2 does not list yet, would be taken again by the next attempt: what this process has taken it
//! knows by itself for as long as that.

use crate::error::{During, is};
use crate::{KNOWN_AFTER, Region, instance, tags};
use aws_sdk_ec2::types::{Address, DomainType, Filter, ResourceType};
use cloud::{CloudError, ErrorKind, TagFilter, Tags};
use tokio::time::Instant;

/// An Elastic IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ElasticIp {
    pub(crate) allocation: String,
    pub(crate) ip: String,
    pub(crate) association: Option<String>,
    pub(crate) tags: Tags,
}

/// One that this process has taken, and when.
#[derive(Debug)]
pub(crate) struct Taken {
    elastic: ElasticIp,
    at: Instant,
}

/// Those with these tags.
pub(crate) async fn list(region: &Region, filter: &TagFilter) -> cloud::Result<Vec<ElasticIp>> {
    let tagged =
        |(key, value): (&String, &String)| tags::filter(&format!("tag:{key}"), [value.as_str()]);
    let mut found = describe_addresses(region, filter.0.iter().map(tagged).collect()).await?;
    let taken = region.elastic_ips.lock().await;
    for Taken { elastic, at } in taken.iter().filter(|taken| filter.matches(&taken.elastic.tags)) {
        let is_listed = found.iter().any(|listed| listed.allocation == elastic.allocation);
        if !is_listed && at.elapsed() < KNOWN_AFTER {
            found.push(elastic.clone());
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

pub(crate) async fn allocate(region: &Region, own: &Tags) -> cloud::Result<ElasticIp> {
    const OPERATION: &str = "AllocateAddress";
    let call = region.ec2.allocate_address().domain(DomainType::Vpc);
    let tagged = tags::specification(ResourceType::ElasticIp, &tags::named(own));
    let made = call.tag_specifications(tagged).send().await.during(OPERATION)?;
    let missing = || CloudError::new(ErrorKind::Other, OPERATION, "the answer has no address");
    let elastic = ElasticIp {
        allocation: made.allocation_id.ok_or_else(missing)?,
        ip: made.public_ip.ok_or_else(missing)?,
        association: None,
        tags: own.clone(),
    };
    let taken = Taken { elastic: elastic.clone(), at: Instant::now() };
    region.elastic_ips.lock().await.push(taken);
    Ok(elastic)
}

/// Sets these tags and leaves every other tag alone.
pub(crate) async fn tag(region: &Region, elastic: &ElasticIp, own: &Tags) -> cloud::Result<()> {
    instance::set_tags(region, std::slice::from_ref(&elastic.allocation), own).await?;
    update(region, elastic, |taken| taken.tags.extend(own.clone())).await;
    Ok(())
}

/// Puts it on an interface, unless it is on another one.
pub(crate) async fn associate(
    region: &Region,
    elastic: &ElasticIp,
    interface: &str,
) -> cloud::Result<()> {
    let call = region.ec2.associate_address().allocation_id(&elastic.allocation);
    let call = call.network_interface_id(interface).allow_reassociation(false);
    let associated = call.send().await.during("AssociateAddress");
    let association = associated.map_err(|error| error.object(interface))?.association_id;
    update(region, elastic, |taken| taken.association = association).await;
    Ok(())
}

/// Takes them off what they are on, and gives them back.
pub(crate) async fn release(region: &Region, elastics: &[ElasticIp]) -> cloud::Result<()> {
    for elastic in elastics {
        if let Some(association) = &elastic.association {
            let call = region.ec2.disassociate_address().association_id(association);
            match call.send().await.during("DisassociateAddress") {
                Err(error) if !is(&error, "InvalidAssociationID.NotFound") => return Err(error),
                _ => {}
            }
        }
        let call = region.ec2.release_address().allocation_id(&elastic.allocation);
        match call.send().await.during("ReleaseAddress") {
            Err(error) if !is(&error, "InvalidAllocationID.NotFound") => return Err(error),
            _ => {}
        }
        let mut taken = region.elastic_ips.lock().await;
        taken.retain(|taken| taken.elastic.allocation != elastic.allocation);
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

async fn update(region: &Region, elastic: &ElasticIp, change: impl FnOnce(&mut ElasticIp)) {
    let mut taken = region.elastic_ips.lock().await;
    let known = taken.iter_mut().find(|taken| taken.elastic.allocation == elastic.allocation);
    if let Some(Taken { elastic, .. }) = known {
        change(elastic);
    }
}

fn describe(found: Address) -> ElasticIp {
    let tags = tags::from_ec2(found.tags());
    ElasticIp {
        allocation: found.allocation_id.unwrap_or_default(),
        ip: found.public_ip.unwrap_or_default(),
        association: found.association_id,
        tags,
    }
}
