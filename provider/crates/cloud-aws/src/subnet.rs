//! The subnet of a fleet: the one that is asked for, or else the default one of its zone; and the way
//! that leads out of it.

use crate::Region;
use crate::error::{During, refused};
use crate::tags::filter;
use aws_sdk_ec2::types::{Route, RouteState, RouteTableAssociation, Subnet as Ec2Subnet};
use cloud::{CloudError, ErrorKind, RequestPart};

/// A subnet and its VPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc: String,
}

/// A subnet by its id, and its zone.
pub(crate) async fn find(region: &Region, id: &str) -> cloud::Result<(Subnet, String)> {
    const OPERATION: &str = "DescribeSubnets";
    let answer = region.ec2.describe_subnets().subnet_ids(id).send().await.during(OPERATION);
    let answer = answer.map_err(|error| error.object(id))?;
    let found = answer.subnets.unwrap_or_default().into_iter().next().ok_or_else(|| {
        refused(OPERATION, "InvalidSubnetID.NotFound", "the region has no such subnet").object(id)
    })?;
    let zone = found.availability_zone.clone().unwrap_or_default();
    Ok((of(found), zone))
}

/// The default subnet of a zone.
pub(crate) async fn default_of(region: &Region, zone: &str) -> cloud::Result<Subnet> {
    const OPERATION: &str = "DescribeSubnets";
    let call = region.ec2.describe_subnets().filters(filter("default-for-az", ["true"]));
    let answer =
        call.filters(filter("availability-zone", [zone])).send().await.during(OPERATION)?;
    let subnet = answer.subnets.unwrap_or_default().into_iter().next().ok_or_else(|| {
        let message = "the account has no default subnet in this zone, or the region no such zone: give the \
                       fleet another `zone`, or a `subnet`";
        let error = CloudError::new(ErrorKind::InvalidRequest, OPERATION, message);
        error.object(zone).part(RequestPart::Zone)
    })?;
    Ok(of(subnet))
}

/// The way out of a subnet: what its route table, or else the main one of its VPC, does with whatever
/// is in no network of its own. Asked for once in a run.
pub(crate) async fn way_out(region: &Region, subnet: &Subnet) -> cloud::Result<WayOut> {
    const OPERATION: &str = "DescribeRouteTables";
    let mut known = region.ways_out.lock().await;
    if let Some(way) = known.get(&subnet.id) {
        return Ok(*way);
    }
    let call = region.ec2.describe_route_tables();
    let call = call.filters(filter("vpc-id", [subnet.vpc.as_str()]));
    let tables = call.send().await.during(OPERATION)?.route_tables.unwrap_or_default();
    let with = |is_meant: &dyn Fn(&RouteTableAssociation) -> bool| {
        tables.iter().find(|table| table.associations().iter().any(is_meant))
    };
    let own = with(&|association| association.subnet_id() == Some(subnet.id.as_str()));
    let found = own.or_else(|| with(&|association| association.main() == Some(true)));
    let way = found.into_iter().flat_map(|table| table.routes()).map(way_of).max();
    let way = way.unwrap_or(WayOut::None);
    known.insert(subnet.id.clone(), way);
    Ok(way)
}

/// How what is in a subnet reaches the internet. A better way is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WayOut {
    /// Not at all.
    None,
    /// Some of AWS's services alone, by their endpoints.
    Endpoints,
    /// By a public address of its own, through an internet gateway.
    Gateway,
    /// Without one: NAT, a transit gateway, an appliance.
    Nat,
}

fn way_of(route: &Route) -> WayOut {
    if route.gateway_id().is_some_and(|id| id.starts_with("vpce-")) {
        return WayOut::Endpoints;
    }
    let leads_anywhere = route.destination_cidr_block() == Some("0.0.0.0/0");
    if !leads_anywhere || route.state() == Some(&RouteState::Blackhole) {
        return WayOut::None;
    }
    match route.gateway_id() {
        Some(id) if id.starts_with("igw-") => WayOut::Gateway,
        // The instance or interface of an appliance, a NAT or transit gateway, a peering.
        _ => WayOut::Nat,
    }
}

fn of(found: Ec2Subnet) -> Subnet {
    Subnet { id: found.subnet_id.unwrap_or_default(), vpc: found.vpc_id.unwrap_or_default() }
}
