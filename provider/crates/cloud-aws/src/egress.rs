//! The way out of machines with `egress = "public_ip"`.
//!
//! EC2 puts an Elastic IP on a machine that runs and on no other, and it has no token for one. So they are
//! taken before the launch, because a quota may refuse them, and are tagged with its token; a machine that
//! runs is given one of its launch, which carries the machine's id from then on and goes with it. What a
//! process that died has left is told by these two tags, and given back by the next call that looks: one that
//! was given and is on nothing, or one that was taken long ago and never given.
//!
//! A fleet that never had any is not asked for them: before the first is taken, the security group is tagged.

use crate::elastic_ip::{self, ElasticIp};
use crate::error::is;
use crate::tags::{self, Ec2Tags};
use crate::{Region, security_group};
use aws_sdk_ec2::types::{Instance as Ec2Instance, InstanceNetworkInterface, InstanceStateName};
use cloud::{Egress, FleetKey, InstanceId, Key, LaunchRequest, tag};
use std::time::Duration;

/// Takes as many as the launch has machines, all or none; those that an earlier attempt has taken count.
pub(crate) async fn hold(region: &Region, request: &LaunchRequest) -> cloud::Result<()> {
    let token = request.token_of_offer();
    mark(region, &request.fleet).await?;
    let of_fleet = of_fleet(region, &request.fleet).await?;
    let now = region.clock.now();
    let (left, kept): (Vec<_>, Vec<_>) =
        of_fleet.into_iter().partition(|elastic| is_left_over(elastic, now));
    release_in_passing(region, &left).await;
    let is_of_launch = |elastic: &&ElasticIp| elastic.tags.get(tags::TOKEN) == Some(&token);
    let held = kept.iter().filter(is_of_launch).count();
    let mut own = tags::named(&request.tags);
    own.extend(tags_of(region, &request.fleet, &token));
    for _ in held..request.count as usize {
        if let Err(error) = elastic_ip::allocate(region, &own).await {
            release_held(region, request).await;
            return Err(error);
        }
    }
    Ok(())
}

/// Notes that the fleet has Elastic IPs: where another process sees it, and here.
async fn mark(region: &Region, key: &FleetKey) -> cloud::Result<()> {
    let facts = security_group::facts(region, key).await?;
    if !facts.has_elastic_ips {
        let mark = Ec2Tags::from([(tags::EGRESS.to_owned(), Egress::PublicIp.as_str().to_owned())]);
        tags::set(region, &[facts.group_id], &mark).await?;
        note(region, key).await;
    }
    Ok(())
}

/// Whoever looks at a machine that wants one, launched by whomever, notes it as well.
pub(crate) async fn note(region: &Region, key: &FleetKey) {
    if let Some(facts) = region.fleets.lock().await.get_mut(&key.name) {
        facts.has_elastic_ips = true;
    }
}

/// Whether a machine was launched to have one.
pub(crate) fn is_wanted(instance: &Ec2Instance) -> bool {
    instance.tags().iter().any(|tag| {
        tag.key() == Some(tags::EGRESS) && tag.value() == Some(Egress::PublicIp.as_str())
    })
}

/// Gives back what was taken for a launch that came to nothing.
pub(crate) async fn release_held(region: &Region, request: &LaunchRequest) {
    match of_launch(region, &request.fleet, &request.token_of_offer()).await {
        Ok(mut held) => {
            held.retain(|elastic| elastic.association.is_none());
            release_in_passing(region, &held).await;
        }
        Err(error) => tracing::warn!(%error, "Elastic IPs of a launch are left for a later call"),
    }
}

/// What is missing about a machine's way out.
pub(crate) fn finding(instance: &Ec2Instance) -> Option<&'static str> {
    let state = instance.state().and_then(|state| state.name());
    let runs = state == Some(&InstanceStateName::Running);
    let has_one = primary(instance)
        .and_then(|interface| interface.association())
        .and_then(|association| association.ip_owner_id())
        .is_some_and(|owner| owner != "amazon");
    (is_wanted(instance) && runs && !has_one)
        .then_some("it has no Elastic IP, and no way to the internet")
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
    let owner = Ec2Tags::from([(tags::INSTANCE.to_owned(), id.to_owned())]);
    let of_launch = of_launch(region, key, token).await?;
    if of_launch.iter().any(|elastic| is_on(elastic, id)) {
        // What told that it has none has not heard yet.
        return Ok(());
    }
    let is_free = |elastic: &&ElasticIp| {
        elastic.association.is_none()
            && (was_given_to(elastic, id) || !elastic.tags.contains_key(tags::INSTANCE))
    };
    for elastic in of_launch.iter().filter(is_free) {
        match elastic_ip::associate(region, elastic, interface).await {
            // Another run has taken it for another machine.
            Err(error) if is(&error, "Resource.AlreadyAssociated") => {}
            associated => {
                associated?;
                return elastic_ip::tag(region, elastic, &owner).await;
            }
        }
    }
    // Another run may have given it one in the meantime.
    if !elastic_ip::on_interface(region, interface).await?.is_empty() {
        return Ok(());
    }
    let mut own = tags::named(&tags::from_ec2(instance.tags()));
    own.extend(tags_of(region, key, token));
    own.extend(owner);
    let elastic = elastic_ip::allocate(region, &own).await?;
    elastic_ip::associate(region, &elastic, interface).await
}

/// Gives back those of machines that go. A fleet of which nothing is known any more may have some.
pub(crate) async fn release(
    region: &Region,
    key: &FleetKey,
    ids: &[InstanceId],
) -> cloud::Result<()> {
    let facts = security_group::facts_if_any(region, key).await?;
    if facts.is_some_and(|facts| !facts.has_elastic_ips) {
        return Ok(());
    }
    let is_theirs = |elastic: &ElasticIp| {
        let is_free = elastic.association.is_none();
        ids.iter().any(|id| is_on(elastic, &id.0) || (is_free && was_given_to(elastic, &id.0)))
    };
    let (theirs, mut others): (Vec<_>, Vec<_>) =
        of_fleet(region, key).await?.into_iter().partition(is_theirs);
    elastic_ip::release(region, &theirs).await?;
    let now = region.clock.now();
    others.retain(|elastic| is_left_over(elastic, now));
    release_in_passing(region, &others).await;
    Ok(())
}

/// What this call is about is more to be told than a failure of this, after which a later call tries again.
async fn release_in_passing(region: &Region, elastics: &[ElasticIp]) {
    if let Err(error) = elastic_ip::release(region, elastics).await {
        tracing::warn!(%error, "Elastic IPs that nothing uses are left for a later call");
    }
}

/// No machine is ever going to have it: it came off the one that it was given to, or its launch ended long
/// ago.
fn is_left_over(elastic: &ElasticIp, now: u64) -> bool {
    let held_at = elastic.tags.get(tags::HELD_AT).and_then(|at| at.parse().ok());
    let age = now.saturating_sub(held_at.unwrap_or_default());
    elastic.association.is_none()
        && (elastic.tags.contains_key(tags::INSTANCE) || age > LONGEST_LAUNCH.as_secs())
}

fn is_on(elastic: &ElasticIp, machine: &str) -> bool {
    let association = elastic.association.as_ref();
    // What this process has put there says no machine, and is tagged with it.
    association.is_some_and(|on| match &on.instance {
        Some(instance) => instance == machine,
        None => was_given_to(elastic, machine),
    })
}

fn was_given_to(elastic: &ElasticIp, machine: &str) -> bool {
    elastic.tags.get(tags::INSTANCE).is_some_and(|owner| owner == machine)
}

async fn of_launch(region: &Region, key: &FleetKey, token: &str) -> cloud::Result<Vec<ElasticIp>> {
    of_workers(region, key, Ec2Tags::from([(tags::TOKEN.to_owned(), token.to_owned())])).await
}

async fn of_fleet(region: &Region, key: &FleetKey) -> cloud::Result<Vec<ElasticIp>> {
    of_workers(region, key, Ec2Tags::new()).await
}

async fn of_workers(
    region: &Region,
    key: &FleetKey,
    mut wanted: Ec2Tags,
) -> cloud::Result<Vec<ElasticIp>> {
    wanted.insert(Key::from(tag::FLEET).as_str().to_owned(), key.name.clone());
    let mut found = elastic_ip::list(region, &wanted).await?;
    // Those of routers are held by their addresses.
    found.retain(|elastic| elastic.tags.contains_key(tags::HELD_AT));
    Ok(found)
}

/// By which it is found again, whatever has become of its machine's tags.
fn tags_of(region: &Region, key: &FleetKey, token: &str) -> Ec2Tags {
    [
        (Key::from(tag::MANAGED_BY).as_str(), tag::MANAGED_BY_US.to_owned()),
        (Key::from(tag::FLEET).as_str(), key.name.clone()),
        (tags::TOKEN, token.to_owned()),
        (tags::HELD_AT, region.clock.now().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
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

/// No launch holds an Elastic IP for longer before its machine has it.
const LONGEST_LAUNCH: Duration = Duration::from_secs(60 * 60);
