//! Machines as EC2 lists them, and switching one on again.

use crate::error::{During, is};
use crate::security_group::{self, FleetFacts};
use crate::{Region, drift, egress, tags};
use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{Filter, Instance as Ec2Instance, InstanceStateName};
use cloud::{CloudError, ErrorKind, FleetKey, Instance, InstanceId, InstanceState, LabelFilter};
use std::collections::{BTreeMap, BTreeSet};

/// One call for every thousand machines; what is terminated stays listed for an hour and is left out.
pub(crate) async fn list(
    region: &Region,
    key: &FleetKey,
    filter: &LabelFilter,
) -> cloud::Result<Vec<Instance>> {
    listed(region, key, tags::filters(key, &tags::wanted(filter))).await
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
    let facts = security_group::facts_if_any(region, key).await?;
    let call = region.ec2.describe_instances().set_filters(Some(filters)).max_results(1000);
    let mut pages = call.into_paginator().send();
    while let Some(page) = pages.next().await {
        for reservation in page.during(OPERATION)?.reservations() {
            for instance in reservation.instances() {
                if egress::is_wanted(instance) {
                    egress::note(region, key).await;
                }
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
    let launched_at = instance.launch_time().map(DateTime::secs).unwrap_or_default();
    Ok(Instance {
        id: InstanceId(id.to_owned()),
        state,
        ip,
        instance_type: instance
            .instance_type()
            .map(|kind| kind.as_str().to_owned())
            .unwrap_or_default(),
        image: instance.image_id().map(str::to_owned),
        launched_at: u64::try_from(launched_at).unwrap_or_default(),
        tags: tags::from_ec2(instance.tags()),
        // One that is on its way out has lost its interfaces already.
        findings: match (state, facts) {
            (InstanceState::Terminating, _) | (_, None) => Vec::new(),
            (_, Some(facts)) => drift::findings(instance, facts),
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

const LIVING: [&str; 4] = ["pending", "running", "stopping", "stopped"];
const LISTED: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

/// Values that EC2 takes in one filter.
const MOST_VALUES: usize = 200;
