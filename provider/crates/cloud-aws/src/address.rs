//! A reserved address: a network interface that outlives the machine on it, so that a new router comes
//! back at the old address. Where its subnet leads to the internet, an Elastic IP is on it: EC2 gives no
//! public address to an interface that was made before its machine.

use crate::error::{During, is};
use crate::security_group::{self, FleetFacts};
use crate::subnet::{self, WayOut};
use crate::tags::{self, Ec2Tags};
use crate::{Region, elastic_ip};
use aws_sdk_ec2::types::{NetworkInterface, ResourceType};
use cloud::{
    Address, AddressId, AddressRequest, CloudError, ErrorKind, FleetKey, InstanceId, LabelFilter,
};
use sha2::{Digest, Sha256};

pub(crate) async fn reserve(region: &Region, request: &AddressRequest) -> cloud::Result<Address> {
    let facts = security_group::facts(region, &request.fleet).await?;
    let of_token = Ec2Tags::from([(tags::TOKEN.to_owned(), request.token.clone())]);
    let found = find(region, &request.fleet, &of_token).await?.into_iter().next();
    let (interface, is_new) = match found {
        Some(interface) => (interface, false),
        None => create_interface(region, request, &facts).await?,
    };
    let mut address = describe(&interface)?;
    address.tags = request.tags.clone();
    let public = match request.public {
        Some(public) => public,
        None => subnet::way_out(region, &facts.subnet).await? == WayOut::Gateway,
    };
    match (public, address.public_ip) {
        (true, None) => {
            address.public_ip = Some(make_public(region, request, &address.id.0, is_new).await?);
        }
        (false, Some(_)) => {
            release_elastic_of(region, &address.id.0).await?;
            address.public_ip = None;
        }
        (true, Some(_)) | (false, None) => {}
    }
    Ok(address)
}

pub(crate) async fn list(
    region: &Region,
    key: &FleetKey,
    filter: &LabelFilter,
) -> cloud::Result<Vec<Address>> {
    let found = find(region, key, &tags::wanted(filter)).await?;
    found.iter().map(describe).collect()
}

/// Gives the Elastic IP back first: an interface that is gone says no longer which one was its own.
pub(crate) async fn release(region: &Region, id: &AddressId) -> cloud::Result<()> {
    const OPERATION: &str = "DeleteNetworkInterface";
    release_elastic_of(region, &id.0).await?;
    let call = region.ec2.delete_network_interface().network_interface_id(&id.0);
    match call.send().await.during(OPERATION).map_err(|error| error.object(&id.0)) {
        Err(error)
            if is(&error, "InvalidNetworkInterfaceID.NotFound")
                && !region.recent.is_new(&id.0).await =>
        {
            Ok(())
        }
        // A name of the client's own is as unknown as one that is gone.
        Err(error) if is(&error, "InvalidNetworkInterfaceId.Malformed") => Ok(()),
        // In use: a machine is still on it, or on its way out.
        Err(error) if is(&error, "InvalidParameterValue") => {
            Err(CloudError { kind: ErrorKind::InUse, ..error })
        }
        released => {
            released?;
            region.recent.remove(&id.0).await;
            Ok(())
        }
    }
}

/// The interface, and whether this process had it from no earlier call: then nothing was made for it.
async fn create_interface(
    region: &Region,
    request: &AddressRequest,
    facts: &FleetFacts,
) -> cloud::Result<(NetworkInterface, bool)> {
    const OPERATION: &str = "CreateNetworkInterface";
    let mut own = tags::named(&request.tags);
    own.insert(tags::TOKEN.to_owned(), request.token.clone());
    let call = region.ec2.create_network_interface();
    let call = call.subnet_id(&facts.subnet.id).groups(&facts.group_id);
    let created = call
        .description(format!("Router of a service in fleet {}", request.fleet.name))
        .client_token(client_token(&request.fleet, &request.token))
        .tag_specifications(tags::specification(ResourceType::NetworkInterface, &own))
        .send()
        .await
        .during(OPERATION)?;
    let missing = || CloudError::new(ErrorKind::Other, OPERATION, "the answer has no interface");
    let interface = created.network_interface.ok_or_else(missing)?;
    let id = interface.network_interface_id().unwrap_or_default();
    let is_new = !region.recent.is_new(id).await;
    region.recent.add([id.to_owned()]).await;
    Ok((interface, is_new))
}

/// Puts an Elastic IP on the interface: one that an earlier call made and could not tell of, or a new
/// one. There is none for an address that is new. Two calls at once may both make one, and EC2 keeps the
/// one that came off.
async fn make_public(
    region: &Region,
    request: &AddressRequest,
    interface: &str,
    is_new: bool,
) -> cloud::Result<std::net::IpAddr> {
    let made = match is_new {
        true => Vec::new(),
        false => elastic_ip::list(region, &of_interface(interface)).await?,
    };
    let (on_it, mut free): (Vec<_>, Vec<_>) =
        made.into_iter().partition(|elastic| elastic.association.is_some());
    let elastic = match on_it.into_iter().next() {
        Some(elastic) => elastic,
        None => {
            let elastic = match free.pop() {
                Some(elastic) => elastic,
                None => {
                    let mut own = tags::named(&request.tags);
                    own.insert(INTERFACE.to_owned(), interface.to_owned());
                    elastic_ip::allocate(region, &own).await?
                }
            };
            elastic_ip::associate(region, &elastic, interface).await?;
            elastic
        }
    };
    elastic_ip::release(region, &free).await?;
    parse("AllocateAddress", Some(&elastic.ip))
}

/// Takes off what is on an interface, and gives back what was made for it.
async fn release_elastic_of(region: &Region, interface: &str) -> cloud::Result<()> {
    let mut elastics = elastic_ip::list(region, &of_interface(interface)).await?;
    let known: Vec<String> = elastics.iter().map(|elastic| elastic.allocation.clone()).collect();
    let on_it = elastic_ip::on_interface(region, interface).await?.into_iter();
    elastics.extend(on_it.filter(|elastic| !known.contains(&elastic.allocation)));
    elastic_ip::release(region, &elastics).await
}

fn of_interface(interface: &str) -> Ec2Tags {
    Ec2Tags::from([(INTERFACE.to_owned(), interface.to_owned())])
}

async fn find(
    region: &Region,
    key: &FleetKey,
    wanted: &Ec2Tags,
) -> cloud::Result<Vec<NetworkInterface>> {
    const OPERATION: &str = "DescribeNetworkInterfaces";
    let mut found = Vec::new();
    let call = region.ec2.describe_network_interfaces();
    let call = call.set_filters(Some(tags::filters(key, wanted))).max_results(1000);
    let mut pages = call.into_paginator().items().send();
    while let Some(interface) = pages.next().await {
        found.push(interface.during(OPERATION)?);
    }
    Ok(found)
}

fn describe(interface: &NetworkInterface) -> cloud::Result<Address> {
    const OPERATION: &str = "DescribeNetworkInterfaces";
    let public = interface.association().and_then(|association| association.public_ip());
    let attached = interface.attachment().and_then(|attachment| attachment.instance_id());
    Ok(Address {
        id: AddressId(interface.network_interface_id().unwrap_or_default().to_owned()),
        ip: parse(OPERATION, interface.private_ip_address())?,
        public_ip: public.map(|ip| parse(OPERATION, Some(ip))).transpose()?,
        instance: attached.map(|id| InstanceId(id.to_owned())),
        tags: tags::from_ec2(interface.tag_set()),
    })
}

fn parse(operation: &'static str, text: Option<&str>) -> cloud::Result<std::net::IpAddr> {
    let text = text.unwrap_or_default();
    text.parse().map_err(|_| {
        CloudError::new(ErrorKind::Other, operation, format!("`{text}` is not an address"))
    })
}

/// EC2 takes 64 characters.
fn client_token(fleet: &FleetKey, token: &str) -> String {
    let digest = Sha256::digest(format!("{}\n{token}", fleet.name).as_bytes());
    hex::encode(&digest[..16])
}

/// The interface that an Elastic IP was made for.
const INTERFACE: &str = "disagg:interface";
