//! Elastic IPs: taken, put on interfaces, given back.
//!
//! EC2 takes no token for one: whose it is, its tags tell. Which tags those are is for
//! [`address`](crate::address) and [`egress`](crate::egress) to say.

use crate::Region;
use crate::error::{During, is};
use crate::tags;
use aws_sdk_ec2::types::{Address, DomainType, Filter, ResourceType};
use cloud::{CloudError, ErrorKind, Tags};

/// An Elastic IP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ElasticIp {
    pub(crate) allocation: String,
    pub(crate) ip: String,
    pub(crate) association: Option<String>,
    pub(crate) tags: Tags,
}

pub(crate) async fn list(region: &Region, filters: Vec<Filter>) -> cloud::Result<Vec<ElasticIp>> {
    const OPERATION: &str = "DescribeAddresses";
    let found = region.ec2.describe_addresses().set_filters(Some(filters)).send().await;
    let found = found.during(OPERATION)?.addresses.unwrap_or_default();
    Ok(found.into_iter().map(describe).collect())
}

pub(crate) async fn allocate(region: &Region, own: &Tags) -> cloud::Result<ElasticIp> {
    const OPERATION: &str = "AllocateAddress";
    let call = region.ec2.allocate_address().domain(DomainType::Vpc);
    let tagged = tags::specification(ResourceType::ElasticIp, &tags::named(own));
    let made = call.tag_specifications(tagged).send().await.during(OPERATION)?;
    let missing = || CloudError::new(ErrorKind::Other, OPERATION, "the answer has no address");
    Ok(ElasticIp {
        allocation: made.allocation_id.ok_or_else(missing)?,
        ip: made.public_ip.ok_or_else(missing)?,
        association: None,
        tags: own.clone(),
    })
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
    associated.map(drop).map_err(|error| error.object(interface))
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
    }
    Ok(())
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
