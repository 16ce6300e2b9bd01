//! Launching machines: one RunInstances for all of them, all or none.

use crate::error::{During, is, refused};
use crate::image::Image;
use crate::instance_type::InstanceType;
use crate::interfaces::{Interface, layout};
use crate::security_group::{self, FleetFacts};
use crate::subnet::{self, WayOut};
use crate::{Region, drift, egress, image, instance, instance_type, tags, user_data};
use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, CapacityReservationSpecification, CapacityReservationTarget,
    EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest,
    InstanceMetadataTagsState, InstanceNetworkInterfaceSpecification, InstanceType as Ec2Type,
    MarketType, Placement, ResourceType, SpotInstanceType, SpotMarketOptions, VolumeType,
};
use cloud::{
    CloudError, CloudName, Egress, ErrorKind, Instance, Interconnect, LaunchRequest, Purchase,
    RequestPart,
};

const OPERATION: &str = "RunInstances";
/// The provider's own verdict, and no call's.
const ROUTES: &str = "The check of the subnet's routes";

pub(crate) async fn launch(
    region: &Region,
    request: &LaunchRequest,
) -> cloud::Result<Vec<Instance>> {
    let call = prepare(region, request).await?;
    if request.egress == Egress::PublicIp {
        // A profile that is not known yet is asked for again and again: nothing is taken for it.
        if request.identity.is_some() {
            dry_run(call.clone().set_client_token(None), request).await?;
        }
        egress::hold(region, request).await?;
    }
    let launched = run(region, request, call).await;
    let is_final = launched.as_ref().is_err_and(|error| !error.kind.retryable());
    if is_final && request.egress == Egress::PublicIp {
        egress::release_held(region, request).await;
    }
    launched
}

async fn run(
    region: &Region,
    request: &LaunchRequest,
    call: RunInstancesFluentBuilder,
) -> cloud::Result<Vec<Instance>> {
    let launched = call.send().await.during(OPERATION).map_err(|error| about(error, request))?;
    let launched: Vec<Instance> = launched
        .instances()
        .iter()
        .map(|launched| instance::describe(launched, None))
        .collect::<cloud::Result<_>>()?;
    region.recent.add(launched.iter().map(|launched| launched.id.0.clone())).await;
    Ok(launched)
}

/// EC2 checks parameters and permissions of a dry run, and says so as an error.
pub(crate) async fn check(region: &Region, request: &LaunchRequest) -> cloud::Result<()> {
    dry_run(prepare(region, request).await?, request).await
}

async fn dry_run(call: RunInstancesFluentBuilder, request: &LaunchRequest) -> cloud::Result<()> {
    match call.dry_run(true).send().await.during(OPERATION) {
        Ok(_) => Ok(()),
        Err(error) if is(&error, "DryRunOperation") => Ok(()),
        Err(error) => Err(about(error, request)),
    }
}

async fn prepare(
    region: &Region,
    request: &LaunchRequest,
) -> cloud::Result<RunInstancesFluentBuilder> {
    request.check(OPERATION, CloudName::Aws.profile().user_data_bytes)?;
    let facts = security_group::facts(region, &request.fleet).await?;
    let name = &request.offer.instance_type;
    let kind = instance_type::find(region, name).await?;
    let group = facts.placement_group.clone().filter(|_| request.placed);
    if group.is_some() && !kind.clusters {
        let message = "machines of this type cannot be in a cluster placement group";
        return Err(refused(OPERATION, "InvalidParameterCombination", message).object(name));
    }
    if group.is_some() && matches!(request.purchase, Purchase::Reserved { .. }) {
        let message = "what a reservation holds is where it is, and a placement group would ask for \
                       another place: give the fleet `placement = \"zone\"`";
        return Err(refused(OPERATION, "InvalidParameterCombination", message)
            .object(name)
            .part(RequestPart::Reservation));
    }
    let image = match &request.image {
        Some(id) => image::find(region, id).await?,
        None => image::newest(region, &kind.architecture, kind.has_gpus).await?,
    };
    let interfaces = interfaces(region, request, &kind, &facts).await?;
    let count = i32::try_from(request.count).unwrap_or(i32::MAX);
    let placement =
        Placement::builder().availability_zone(&facts.zone).set_group_name(group).build();
    let mut named = tags::named(&request.tags);
    if request.egress == Egress::PublicIp {
        named.insert(tags::EGRESS.to_owned(), request.egress.as_str().to_owned());
    }
    if !request.placed {
        named.insert(tags::UNPLACED.to_owned(), "true".to_owned());
    }
    let specification = |kind| tags::specification(kind, &named);
    let profile = request.identity.as_ref().map(|identity| {
        let profile = IamInstanceProfileSpecification::builder();
        match identity.starts_with("arn:") {
            true => profile.arn(identity).build(),
            false => profile.name(identity).build(),
        }
    });
    let call = region
        .ec2
        .run_instances()
        .image_id(&image.id)
        .instance_type(Ec2Type::from(name.as_str()))
        .min_count(count)
        .max_count(count)
        .client_token(request.token_of_offer())
        .user_data(user_data::encode(&request.document))
        .placement(placement)
        .set_network_interfaces(Some(interfaces))
        .block_device_mappings(root_disk(&image, request.disk_gb))
        .metadata_options(metadata_options())
        .set_iam_instance_profile(profile)
        .set_key_name(facts.key_name.clone())
        .set_instance_market_options(market_options(&request.purchase))
        .set_capacity_reservation_specification(reservation(&request.purchase))
        .tag_specifications(specification(ResourceType::Instance))
        .tag_specifications(specification(ResourceType::Volume));
    Ok(call)
}

async fn interfaces(
    region: &Region,
    request: &LaunchRequest,
    kind: &InstanceType,
    facts: &FleetFacts,
) -> cloud::Result<Vec<InstanceNetworkInterfaceSpecification>> {
    let specification = InstanceNetworkInterfaceSpecification::builder;
    if let Some(address) = &request.address {
        let reserved = specification().network_interface_id(&address.0).device_index(0);
        return Ok(vec![reserved.delete_on_termination(false).build()]);
    }
    let with_efa = request.offer.interconnect == Interconnect::Efa;
    let layout = layout(kind.network, with_efa);
    let way_out = subnet::way_out(region, &facts.subnet).await?;
    check_way_out(request, facts, layout.len(), way_out)?;
    // EC2 gives one to a machine with a single interface only.
    let public =
        layout.len() == 1 && way_out == WayOut::Gateway && request.egress == Egress::Subnet;
    let of = |interface: Interface| {
        let index = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        specification()
            .network_card_index(index(interface.card))
            .device_index(index(interface.device))
            .interface_type(interface.kind.as_str())
            .subnet_id(&facts.subnet.id)
            .groups(&facts.group_id)
            .set_associate_public_ip_address(public.then_some(true))
            // Left behind, it would hold the security group for good.
            .delete_on_termination(true)
            .build()
    };
    Ok(layout.into_iter().map(of).collect())
}

/// A machine that cannot install its engine is paid for until its boot gives up. An image of the user's
/// own may have everything on it.
fn check_way_out(
    request: &LaunchRequest,
    facts: &FleetFacts,
    interfaces: usize,
    way_out: WayOut,
) -> cloud::Result<()> {
    let name = &request.offer.instance_type;
    let subnet = &facts.subnet.id;
    if request.egress == Egress::PublicIp && way_out != WayOut::Gateway {
        let message = format!(
            "an Elastic IP leads out by an internet gateway, and this subnet's routes lead to none \
             (subnet {subnet}). Leave `egress` out, or give the fleet a public `subnet`"
        );
        return Err(CloudError::new(ErrorKind::InvalidRequest, ROUTES, message)
            .object(name)
            .part(RequestPart::Egress));
    }
    if request.image.is_some() || request.egress == Egress::PublicIp {
        return Ok(());
    }
    let message = match way_out {
        WayOut::Nat | WayOut::Endpoints => return Ok(()),
        WayOut::Gateway if interfaces == 1 => return Ok(()),
        WayOut::Gateway => format!(
            "machines of this type have {interfaces} network interfaces, to which EC2 gives no public \
             address, and the subnet's only way out is an internet gateway; they could install nothing"
        ),
        WayOut::None => {
            "the subnet has no route to the internet and to no endpoint; a machine in it \
                         could install nothing"
                .to_owned()
        }
    };
    let message = format!(
        "{message}. Give the fleet a `subnet` with a NAT gateway in this zone, or the machines \
         `egress = \"public_ip\"` or an `image` that has everything on it (subnet {subnet})"
    );
    Err(CloudError::new(ErrorKind::InvalidRequest, ROUTES, message)
        .object(name)
        .part(RequestPart::Egress))
}

fn market_options(purchase: &Purchase) -> Option<InstanceMarketOptionsRequest> {
    let options = InstanceMarketOptionsRequest::builder();
    match purchase {
        Purchase::OnDemand | Purchase::Reserved { prepaid: false, .. } => None,
        Purchase::Spot => {
            // One that comes back by itself after an interruption would be unowned.
            let spot = SpotMarketOptions::builder()
                .spot_instance_type(SpotInstanceType::OneTime)
                .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
                .build();
            Some(options.market_type(MarketType::Spot).spot_options(spot).build())
        }
        Purchase::Reserved { prepaid: true, .. } => {
            Some(options.market_type(MarketType::CapacityBlock).build())
        }
    }
}

fn reservation(purchase: &Purchase) -> Option<CapacityReservationSpecification> {
    let Purchase::Reserved { id, .. } = purchase else { return None };
    let target = CapacityReservationTarget::builder().capacity_reservation_id(id).build();
    let specification = CapacityReservationSpecification::builder();
    Some(specification.capacity_reservation_target(target).build())
}

fn root_disk(image: &Image, gigabytes: u32) -> BlockDeviceMapping {
    let disk = EbsBlockDevice::builder()
        .volume_size(i32::try_from(gigabytes).unwrap_or(i32::MAX))
        .volume_type(VolumeType::Gp3)
        .encrypted(true)
        .delete_on_termination(true)
        .build();
    BlockDeviceMapping::builder().device_name(&image.root_device).ebs(disk).build()
}

/// Tokens are required.
fn metadata_options() -> InstanceMetadataOptionsRequest {
    InstanceMetadataOptionsRequest::builder()
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .http_tokens(HttpTokensState::Required)
        .http_put_response_hop_limit(drift::METADATA_HOPS)
        .instance_metadata_tags(InstanceMetadataTagsState::Enabled)
        .build()
}

/// A new instance profile takes some seconds to be known everywhere, and one that there is not reads the
/// same: it is not visible yet, so that whoever called calls again for a while.
fn about(error: CloudError, request: &LaunchRequest) -> CloudError {
    let kind = match is_unknown_profile(&error) {
        true => ErrorKind::NotVisibleYet,
        false => error.kind,
    };
    CloudError { kind, ..error }.object(&request.offer.instance_type)
}

fn is_unknown_profile(error: &CloudError) -> bool {
    error.kind == ErrorKind::InvalidRequest
        && error.message.to_lowercase().contains("invalid iam instance profile")
}
