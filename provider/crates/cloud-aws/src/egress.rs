//! The way out of machines with `egress = "elastic_ip"`.
//!
//! EC2 puts an Elastic IP on a machine that runs and on no other, and it has no token for one. So they are
//! taken before the launch, because a quota may refuse them, and are tagged with its token; a machine that
//! runs is given one of its launch, which carries the machine's id from then on and goes with it. What a
//! process that died has left is told by these two tags, and given back by the next call that looks.

use crate::elastic_ip::{self, ElasticIp};
use crate::error::is;
use crate::{Region, instance, tags};
use aws_sdk_ec2::types::{Instance as Ec2Instance, InstanceNetworkInterface, InstanceStateName};
use cloud::{Egress, FleetKey, InstanceId, InstanceState, LaunchRequest, TagFilter, Tags, tag};
use std::time::{Duration, SystemTime};

/// Takes as many as the launch has machines, all or none; those that an earlier attempt has taken count.
pub(crate) async fn hold(region: &Region, request: &LaunchRequest) -> cloud::Result<()> {
    let of_fleet = of_fleet(region, &request.fleet).await?;
    let left = left_over(region, &request.fleet, &of_fleet).await?;
    elastic_ip::release(region, &left).await?;
    let is_held = |elastic: &&ElasticIp| {
        elastic.tags.get(tags::TOKEN) == Some(&request.token) && !left.contains(elastic)
    };
    let held = of_fleet.iter().filter(is_held).count();
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
            && (is_of(elastic, id) || !elastic.tags.contains_key(tags::INSTANCE))
    };
    let mut free = of_launch(region, key, token).await?;
    free.retain(is_free);
    let owner = Tags::from([(tags::INSTANCE.to_owned(), id.to_owned())]);
    for elastic in free {
        elastic_ip::tag(region, &elastic, &owner).await?;
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
    let is_theirs = |elastic: &ElasticIp| ids.iter().any(|id| is_of(elastic, &id.0));
    let (theirs, others): (Vec<_>, Vec<_>) =
        of_fleet(region, key).await?.into_iter().partition(is_theirs);
    elastic_ip::release(region, &theirs).await?;
    elastic_ip::release(region, &left_over(region, key, &others).await?).await
}

/// Gives back all that is left in a fleet without machines.
pub(crate) async fn release_all(region: &Region, key: &FleetKey) -> cloud::Result<()> {
    elastic_ip::release(region, &of_fleet(region, key).await?).await
}

/// Those that no machine is ever going to have: their machine has ended, or their launch has, long ago.
async fn left_over(
    region: &Region,
    key: &FleetKey,
    of_fleet: &[ElasticIp],
) -> cloud::Result<Vec<ElasticIp>> {
    let free = of_fleet.iter().filter(|elastic| elastic.association.is_none());
    let owners = free.clone().filter_map(|elastic| elastic.tags.get(tags::INSTANCE));
    let owners: Vec<InstanceId> = owners.map(|owner| InstanceId(owner.clone())).collect();
    // One whose machine runs is on its way to it.
    let living = match owners.is_empty() {
        true => Vec::new(),
        false => instance::find(region, key, &owners).await?,
    };
    let lives = |elastic: &ElasticIp| {
        let mut living =
            living.iter().filter(|machine| machine.state != InstanceState::Terminating);
        living.any(|machine| is_of(elastic, &machine.id.0))
    };
    let is_left = |elastic: &&ElasticIp| match elastic.tags.contains_key(tags::INSTANCE) {
        true => !lives(elastic),
        false => held_for(elastic) > LONGEST_LAUNCH,
    };
    Ok(free.filter(is_left).cloned().collect())
}

fn is_of(elastic: &ElasticIp, machine: &str) -> bool {
    elastic.tags.get(tags::INSTANCE).is_some_and(|owner| owner == machine)
}

fn held_for(elastic: &ElasticIp) -> Duration {
    let held_at = elastic.tags.get(tags::HELD_AT).and_then(|at| at.parse().ok());
    now().saturating_sub(Duration::from_secs(held_at.unwrap_or_default()))
}

async fn of_launch(region: &Region, key: &FleetKey, token: &str) -> cloud::Result<Vec<ElasticIp>> {
    of_workers(region, key, TagFilter::all().and(tags::TOKEN, token)).await
}

async fn of_fleet(region: &Region, key: &FleetKey) -> cloud::Result<Vec<ElasticIp>> {
    of_workers(region, key, TagFilter::all()).await
}

async fn of_workers(
    region: &Region,
    key: &FleetKey,
    filter: TagFilter,
) -> cloud::Result<Vec<ElasticIp>> {
    let mut found = elastic_ip::list(region, &filter.and(tag::FLEET, key.name.as_str())).await?;
    // Those of routers are held by their addresses.
    found.retain(|elastic| elastic.tags.contains_key(tags::HELD_AT));
    Ok(found)
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
