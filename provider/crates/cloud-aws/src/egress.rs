//! The way out of machines with `egress = "elastic_ip"`.
//!
//! EC2 puts an Elastic IP on a machine that runs and on no other, and it has no token for one. So they are
//! taken before the launch, because a quota may refuse them, and are tagged with its token; a machine that
//! runs is given one of its launch, which carries the machine's id from then on and goes with it. What a
//! process that died has left is told by these two tags, and given back by the next call that looks.

use crate::error::is;
use crate::{Region, elastic_ip, elastic_ip::ElasticIp, tags};
use aws_sdk_ec2::types::{
    Filter, Instance as Ec2Instance, InstanceNetworkInterface, InstanceStateName,
};
use cloud::{Egress, FleetKey, InstanceId, LaunchRequest, TagFilter, Tags};
use std::time::{Duration, SystemTime};

/// Takes as many as the launch has machines, all or none; those that an earlier attempt has taken count.
pub(crate) async fn hold(region: &Region, request: &LaunchRequest) -> cloud::Result<()> {
    let of_fleet = of_workers(region, &request.fleet, &TagFilter::all()).await?;
    let (left, kept): (Vec<_>, Vec<_>) = of_fleet.into_iter().partition(is_left_over);
    elastic_ip::release(region, &left).await?;
    let is_of_launch = |elastic: &&ElasticIp| elastic.tags.get(tags::TOKEN) == Some(&request.token);
    let held = kept.iter().filter(is_of_launch).count();
    let mut own = request.tags.clone();
    own.extend(tags_of(&request.token));
    for _ in held..request.count as usize {
        if let Err(error) = elastic_ip::allocate(region, &own).await {
            release_held(region, request).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Gives back what was taken for a launch that came to nothing. Why it came to nothing is more to be told
/// than a failure of this, after which a later call gives it back.
pub(crate) async fn release_held(region: &Region, request: &LaunchRequest) {
    let release = async {
        let mut held = of_launch(region, &request.fleet, &request.token).await?;
        held.retain(|elastic| elastic.association.is_none());
        elastic_ip::release(region, &held).await
    };
    if let Err(error) = release.await {
        tracing::warn!(%error, "Elastic IPs of a launch that failed are left for a later call");
    }
}

/// What is missing about a machine's way out.
pub(crate) fn finding(instance: &Ec2Instance) -> Option<&'static str> {
    let wants = instance.tags().iter().any(|tag| {
        tag.key() == Some(tags::EGRESS) && tag.value() == Some(Egress::ElasticIp.as_str())
    });
    let state = instance.state().and_then(|state| state.name());
    let runs = state == Some(&InstanceStateName::Running);
    let has_one = primary(instance)
        .and_then(|interface| interface.association())
        .and_then(|association| association.ip_owner_id())
        .is_some_and(|owner| owner != "amazon");
    (wants && runs && !has_one).then_some("it has no Elastic IP, and no way to the internet")
}

/// Gives a machine that runs the one that it lacks: of its launch, else a new one.
pub(crate) async fn repair(
    region: &Region,
    key: &FleetKey,
    instance: &Ec2Instance,
) -> cloud::Result<()> {
    let Some(interface) = primary(instance).and_then(|found| found.network_interface_id()) else {
        return Ok(());
    };
    let (id, token) =
        (instance.instance_id().unwrap_or_default(), instance.client_token().unwrap_or_default());
    let is_free = |elastic: &ElasticIp| {
        elastic.association.is_none()
            && elastic.tags.get(tags::INSTANCE).is_none_or(|owner| owner == id)
    };
    let mut free = of_launch(region, key, token).await?;
    free.retain(is_free);
    let owner = Tags::from([(tags::INSTANCE.to_owned(), id.to_owned())]);
    for elastic in free {
        let allocation = std::slice::from_ref(&elastic.allocation);
        crate::instance::set_tags(region, allocation, &owner).await?;
        match elastic_ip::associate(region, &elastic, interface).await {
            // Another run has taken it for another machine.
            Err(error) if is(&error, "Resource.AlreadyAssociated") => {}
            associated => return associated,
        }
    }
    let mut own = tags::from_ec2(instance.tags());
    own.extend(tags_of(token));
    own.extend(owner);
    let elastic = elastic_ip::allocate(region, &own).await?;
    elastic_ip::associate(region, &elastic, interface).await
}

/// Gives back those of machines that go.
pub(crate) async fn release(
    region: &Region,
    key: &FleetKey,
    ids: &[InstanceId],
) -> cloud::Result<()> {
    let of_fleet = of_workers(region, key, &TagFilter::all()).await?;
    let is_theirs = |elastic: &ElasticIp| {
        let owner = elastic.tags.get(tags::INSTANCE);
        owner.is_some_and(|owner| ids.iter().any(|id| id.0 == *owner)) || is_left_over(elastic)
    };
    let theirs: Vec<ElasticIp> = of_fleet.into_iter().filter(is_theirs).collect();
    elastic_ip::release(region, &theirs).await
}

/// Gives back all that is left in a fleet without machines.
pub(crate) async fn release_all(region: &Region, key: &FleetKey) -> cloud::Result<()> {
    elastic_ip::release(region, &of_workers(region, key, &TagFilter::all()).await?).await
}

/// No machine is ever going to have it: taken off by the end of its machine, or taken by a launch that ended long ago.
fn is_left_over(elastic: &ElasticIp) -> bool {
    let held_at = elastic.tags.get(tags::HELD_AT).and_then(|at| at.parse().ok());
    let age = now().saturating_sub(Duration::from_secs(held_at.unwrap_or_default()));
    elastic.association.is_none()
        && (elastic.tags.contains_key(tags::INSTANCE) || age > LONGEST_LAUNCH)
}

async fn of_launch(region: &Region, key: &FleetKey, token: &str) -> cloud::Result<Vec<ElasticIp>> {
    of_workers(region, key, &TagFilter::all().and(tags::TOKEN, token)).await
}

async fn of_workers(
    region: &Region,
    key: &FleetKey,
    filter: &TagFilter,
) -> cloud::Result<Vec<ElasticIp>> {
    let mut filters: Vec<Filter> = tags::filters(key, filter);
    filters.push(tags::filter("tag-key", [tags::HELD_AT]));
    elastic_ip::list(region, filters).await
}

fn tags_of(token: &str) -> Tags {
    Tags::from([
        (tags::TOKEN.to_owned(), token.to_owned()),
        (tags::HELD_AT.to_owned(), now().as_secs().to_string()),
    ])
}

/// The interface with the machine's address.
fn primary(instance: &Ec2Instance) -> Option<&InstanceNetworkInterface> {
    instance.network_interfaces().iter().find(|interface| {
        let at = interface.attachment();
        at.is_some_and(|at| {
            at.device_index() == Some(0) && at.network_card_index().unwrap_or(0) == 0
        })
    })
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// No launch holds an Elastic IP for longer before its machine has it.
const LONGEST_LAUNCH: Duration = Duration::from_secs(60 * 60);
