//! Machines as EC2 lists them, and what is done to one that exists.

use crate::error::{During, is};
use crate::fleet::FleetFacts;
use crate::{Region, egress, fleet, settings, tags};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{
    Filter, Instance as Ec2Instance, InstanceAttributeName, InstanceStateName,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use cloud::{
    CloudError, Console, ErrorKind, FleetKey, Instance, InstanceId, InstanceState, ObjectId,
    TagFilter, Tags,
};
use std::collections::{BTreeMap, BTreeSet};

/// One call for every thousand machines; what is terminated stays listed for an hour and is left out.
pub(crate) async fn list(
    region: &Region,
    key: &FleetKey,
    filter: &TagFilter,
) -> cloud::Result<Vec<Instance>> {
    listed(region, key, tags::filters(key, filter)).await
}

/// By their ids as a filter, which does not mind one that is gone.
pub(crate) async fn find(
    region: &Region,
    key: &FleetKey,
    ids: &[InstanceId],
) -> cloud::Result<Vec<Instance>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(MOST_VALUES) {
        let ids = tags::filter("instance-id", chunk.iter().map(|id| id.0.as_str()));
        found.extend(listed(region, key, vec![ids]).await?);
    }
    Ok(found)
}

async fn listed(
    region: &Region,
    key: &FleetKey,
    mut filters: Vec<Filter>,
) -> cloud::Result<Vec<Instance>> {
    const OPERATION: &str = "DescribeInstances";
    filters.push(tags::filter("instance-state-name", LISTED));
    let mut found = Vec::new();
    let facts = fleet::facts_if_any(region, key).await?;
    let call = region.ec2.describe_instances().set_filters(Some(filters)).max_results(1000);
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        for reservation in page.during(OPERATION)?.reservations() {
            for instance in reservation.instances() {
                found.push(describe(instance, facts.as_ref())?);
            }
        }
    }
    Ok(found)
}

/// A machine as the contract knows it; what was changed about it is told by the facts of its fleet.
pub(crate) fn describe(
    instance: &Ec2Instance,
    facts: Option<&FleetFacts>,
) -> cloud::Result<Instance> {
    const OPERATION: &str = "DescribeInstances";
    let id = instance.instance_id().unwrap_or_default();
    let state = instance.state().and_then(|state| state.name());
    let state = state.and_then(state_of).ok_or_else(|| {
        let message = format!("`{state:?}` is not a state of an instance");
        CloudError::new(ErrorKind::Other, OPERATION, message).object(id)
    })?;
    let ip = instance.private_ip_address().map(str::parse).transpose().map_err(|_| {
        CloudError::new(ErrorKind::Other, OPERATION, "its address cannot be read").object(id)
    })?;
    let placement = instance.placement();
    let launched_at = instance.launch_time().map(DateTime::secs).unwrap_or_default();
    Ok(Instance {
        id: InstanceId(id.to_owned()),
        state,
        ip,
        instance_type: instance
            .instance_type()
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        zone: placement.and_then(|found| found.availability_zone()).unwrap_or_default().to_owned(),
        image: instance.image_id().map(str::to_owned),
        launched_at: u64::try_from(launched_at).unwrap_or_default(),
        tags: tags::from_ec2(instance.tags()),
        // One that is on its way out has lost its interfaces already.
        findings: match (state, facts) {
            (InstanceState::Terminating, _) | (_, None) => Vec::new(),
            (_, Some(facts)) => settings::findings(instance, facts),
        },
    })
}

pub(crate) async fn start(region: &Region, id: &InstanceId) -> cloud::Result<()> {
    const OPERATION: &str = "StartInstances";
    let started = region.ec2.start_instances().instance_ids(&id.0).send().await;
    match started.during(OPERATION).map_err(|error| error.object(&id.0)) {
        // On its way to stopped: it can be started in a moment.
        Err(error) if is(&error, "IncorrectInstanceState") => {
            Err(CloudError { kind: ErrorKind::Unavailable, ..error })
        }
        started => started.map(drop),
    }
}

pub(crate) async fn reboot(region: &Region, id: &InstanceId) -> cloud::Result<()> {
    let rebooted = region.ec2.reboot_instances().instance_ids(&id.0).send().await;
    rebooted.during("RebootInstances").map(drop).map_err(|error| error.object(&id.0))
}

/// One id that is not known fails the whole call: the others are then asked for one by one, and all are
/// asked for before one that cannot go is told of.
pub(crate) async fn terminate(
    region: &Region,
    key: &FleetKey,
    ids: &[InstanceId],
) -> cloud::Result<()> {
    let mut terminated = Ok(());
    for chunk in ids.chunks(MOST_TERMINATED) {
        match terminate_all(region, chunk).await {
            Err(error) if is_gone(&error) => {
                for id in chunk {
                    terminated = terminated.and(terminate_one(region, id).await);
                }
            }
            all => terminated = terminated.and(all),
        }
    }
    terminated.and(egress::release(region, key, ids).await)
}

/// One that was launched a moment ago is not gone, and would be paid for: that it is not known yet is an
/// error.
async fn terminate_one(region: &Region, id: &InstanceId) -> cloud::Result<()> {
    match terminate_all(region, std::slice::from_ref(id)).await {
        Err(error) if is_gone(&error) && !region.made.is_new(&id.0).await => Ok(()),
        terminated => terminated,
    }
}

/// Those of these machines, anybody's, that are not on their way out.
pub(crate) async fn living(
    region: &Region,
    ids: &[InstanceId],
) -> cloud::Result<BTreeSet<InstanceId>> {
    let states = tags::filter("instance-state-name", LIVING);
    let found = of_anybody(region, ids, &[states]).await?;
    Ok(found.iter().filter_map(|one| one.instance_id()).map(|id| InstanceId(id.into())).collect())
}

/// Why each of these has ended by itself, in EC2's words; it tells for an hour.
pub(crate) async fn why_ended(
    region: &Region,
    ids: &[InstanceId],
) -> cloud::Result<BTreeMap<InstanceId, String>> {
    let mut reasons = BTreeMap::new();
    for instance in of_anybody(region, ids, &[]).await? {
        let reason = instance.state_reason().and_then(|reason| reason.message());
        if let (Some(id), Some(reason)) = (instance.instance_id(), reason) {
            reasons.insert(InstanceId(id.to_owned()), reason.to_owned());
        }
    }
    Ok(reasons)
}

/// Whatever EC2 still tells of these ids, in whatever state and fleet.
async fn of_anybody(
    region: &Region,
    ids: &[InstanceId],
    filters: &[Filter],
) -> cloud::Result<Vec<Ec2Instance>> {
    let mut found = Vec::new();
    for chunk in ids.chunks(MOST_VALUES) {
        let mut filters = filters.to_vec();
        filters.push(tags::filter("instance-id", chunk.iter().map(|id| id.0.as_str())));
        let call = region.ec2.describe_instances().set_filters(Some(filters)).max_results(1000);
        let answer = call.send().await.during("DescribeInstances")?;
        let reservations = answer.reservations.unwrap_or_default().into_iter();
        found.extend(reservations.flat_map(|found| found.instances.unwrap_or_default()));
    }
    Ok(found)
}

async fn terminate_all(region: &Region, ids: &[InstanceId]) -> cloud::Result<()> {
    const OPERATION: &str = "TerminateInstances";
    let names: Vec<String> = ids.iter().map(|id| id.0.clone()).collect();
    let object = names.join(", ");
    let call = region.ec2.terminate_instances().set_instance_ids(Some(names));
    call.send().await.during(OPERATION).map_err(|error| error.object(object))?;
    for id in ids {
        region.made.remove(&id.0).await;
    }
    Ok(())
}

pub(crate) async fn console(region: &Region, id: &InstanceId) -> cloud::Result<Console> {
    const OPERATION: &str = "GetConsoleOutput";
    let answer = region.ec2.get_console_output().instance_id(&id.0).latest(true).send().await;
    let output = match answer.during(OPERATION).map_err(|error| error.object(&id.0)) {
        Err(error) if is_gone(&error) => return Ok(Console { text: String::new() }),
        answer => answer?.output.unwrap_or_default(),
    };
    let bytes = BASE64_STANDARD.decode(output.trim()).map_err(|error| {
        CloudError::new(ErrorKind::Other, OPERATION, "the output is not base64")
            .object(&id.0)
            .source(error)
    })?;
    Ok(Console { text: String::from_utf8_lossy(&bytes).into_owned() })
}

pub(crate) async fn user_data(region: &Region, id: &InstanceId) -> cloud::Result<Option<Vec<u8>>> {
    const OPERATION: &str = "DescribeInstanceAttribute";
    let call = region.ec2.describe_instance_attribute().instance_id(&id.0);
    let answer = call.attribute(InstanceAttributeName::UserData).send().await;
    let value = match answer.during(OPERATION).map_err(|error| error.object(&id.0)) {
        Err(error) if is_gone(&error) => return Ok(None),
        answer => answer?.user_data.and_then(|value| value.value),
    };
    let Some(value) = value else { return Ok(None) };
    BASE64_STANDARD.decode(value).map(Some).map_err(|error| {
        CloudError::new(ErrorKind::Other, OPERATION, "the user data is not base64")
            .object(&id.0)
            .source(error)
    })
}

pub(crate) async fn tag(
    region: &Region,
    key: &FleetKey,
    objects: &[ObjectId],
    tags: &Tags,
) -> cloud::Result<()> {
    let mut ids = Vec::new();
    for object in objects {
        ids.push(match object {
            ObjectId::Fleet => fleet::facts(region, key).await?.group_id,
            ObjectId::Address(id) => id.0.clone(),
            ObjectId::Instance(id) => id.0.clone(),
        });
    }
    set_tags(region, &ids, tags).await
}

pub(crate) async fn set_tags(region: &Region, ids: &[String], tags: &Tags) -> cloud::Result<()> {
    const OPERATION: &str = "CreateTags";
    for chunk in ids.chunks(MOST_TAGGED) {
        let call = region.ec2.create_tags().set_resources(Some(chunk.to_vec()));
        let tagged = call.set_tags(Some(tags::to_ec2(tags))).send().await;
        tagged.during(OPERATION).map_err(|error| error.object(chunk.join(", ")))?;
    }
    Ok(())
}

fn state_of(name: &InstanceStateName) -> Option<InstanceState> {
    Some(match name {
        InstanceStateName::Pending => InstanceState::Pending,
        InstanceStateName::Running => InstanceState::Running,
        InstanceStateName::Stopping => InstanceState::Stopping,
        InstanceStateName::Stopped => InstanceState::Stopped,
        InstanceStateName::ShuttingDown | InstanceStateName::Terminated => {
            InstanceState::Terminating
        }
        _ => return None,
    })
}

/// Gone, or an id that never was one.
fn is_gone(error: &CloudError) -> bool {
    is(error, "InvalidInstanceID.NotFound") || is(error, "InvalidInstanceID.Malformed")
}

const LIVING: [&str; 4] = ["pending", "running", "stopping", "stopped"];
const LISTED: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// Values that EC2 takes in one filter.
const MOST_VALUES: usize = 200;
/// Ids that EC2 takes in one TerminateInstances.
const MOST_TERMINATED: usize = 1000;
/// Objects that EC2 takes in one CreateTags.
const MOST_TAGGED: usize = 1000;
