//! The subnet of a fleet: the default one of its zone.

use crate::Region;
use crate::error::During;
use crate::tags::filter;
use cloud::{CloudError, ErrorKind};

/// A subnet and its VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc: String,
}

/// The default subnet of a zone.
pub(crate) async fn default_of(region: &Region, zone: &str) -> cloud::Result<Subnet> {
    const OPERATION: &str = "DescribeSubnets";
    let call = region.ec2.describe_subnets().filters(filter("default-for-az", ["true"]));
    let answer =
        call.filters(filter("availability-zone", [zone])).send().await.during(OPERATION)?;
    let subnet = answer.subnets.unwrap_or_default().into_iter().next().ok_or_else(|| {
        let message = "the account has no default subnet in this zone";
        CloudError::new(ErrorKind::InvalidRequest, OPERATION, message).object(zone)
    })?;
    Ok(Subnet { id: subnet.subnet_id.unwrap_or_default(), vpc: subnet.vpc_id.unwrap_or_default() })
}

/// Whether what is in a subnet and has a public address is reached from the internet: whether its
/// route table, or else the main one of its VPC, leads to an internet gateway.
pub(crate) async fn is_public(region: &Region, subnet: &Subnet) -> cloud::Result<bool> {
    const OPERATION: &str = "DescribeRouteTables";
    let tables = |name: &str, value: &str| {
        let call = region.ec2.describe_route_tables();
        call.filters(filter("vpc-id", [subnet.vpc.as_str()])).filters(filter(name, [value])).send()
    };
    let own = tables("association.subnet-id", &subnet.id).await.during(OPERATION)?;
    let mut tables_found = own.route_tables.unwrap_or_default();
    if tables_found.is_empty() {
        let main = tables("association.main", "true").await.during(OPERATION)?;
        tables_found = main.route_tables.unwrap_or_default();
    }
    let mut routes = tables_found.iter().flat_map(|table| table.routes());
    Ok(routes.any(|route| route.gateway_id().is_some_and(|id| id.starts_with("igw-"))))
}
