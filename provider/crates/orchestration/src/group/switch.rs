//! A roll to something else that workers have to agree on: old and new ones serve side by side, in a namespace
//! each. When machines may go is decided by the planner; here is what is read, and waited for.

use super::access::Group;
use super::progress::Progress;
use crate::failure::{Failure, Result};
use crate::journal::Warning;
use crate::readiness;
use crate::snapshot::Snapshot;
use cloud::{Cloud, Deadline, Instance, Label, Tags, tag};
use domain::engine::{self, NAMESPACE};
use domain::planner::{Leaving, Partner, Removal, Verdict};
use domain::spec::WorkerRole;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;

impl Group {
    /// The namespace in which its workers register; none when they are not Dynamo's.
    pub(crate) fn namespace(&self) -> Option<String> {
        engine::namespace(&self.spec, &self.facts.model)
    }

    /// The tag that says so.
    pub(crate) fn namespace_tag(&self) -> Tags {
        let namespace = self.namespace().into_iter();
        namespace.map(|namespace| (tag::NAMESPACE, namespace)).collect()
    }

    /// Workers of the other half of the work, of this service.
    fn partners<'a>(&self, listed: &'a [Instance]) -> impl Iterator<Item = &'a Instance> {
        let role = self.spec.role.counterpart();
        let service = self.id.service.label();
        listed.iter().filter(move |machine| {
            let has =
                |label: Label, value: &str| machine.tags.get(label).is_some_and(|tag| tag == value);
            role.is_some_and(|role| has(tag::ROLE, role.as_str()))
                && has(tag::SERVICE, &service)
                && machine.state.is_up()
        })
    }
}

/// Waits until these machines of a roll may go without a request that finds no worker.
pub(crate) async fn until_they_may_leave(
    deadline: &Deadline,
    progress: &mut Progress<'_>,
    leaving: &[Removal],
) -> Result<()> {
    let (group, operations) = (progress.group, progress.orchestrator.operations());
    let (Some(ours), Some(partner)) = (group.namespace(), group.spec.role.counterpart()) else {
        return Ok(());
    };
    let leaves = |slot: &u32| leaving.iter().any(|removal| removal.slot == *slot);
    let (gone, left): (Vec<_>, Vec<_>) = progress.slots.iter().partition(|(slot, _)| leaves(slot));
    let namespaces = |machines: &[(&u32, &Instance)]| -> BTreeSet<String> {
        machines.iter().map(|(_, machine)| namespace_of(machine)).collect()
    };
    let (gone, left) = (namespaces(&gone), namespaces(&left));
    let seen = |listed: &[Instance], served: &BTreeSet<IpAddr>| Leaving {
        role: group.spec.role,
        into: &ours,
        gone: gone.clone(),
        left: left.clone(),
        partners: group.partners(listed).map(|machine| as_partner(machine, served)).collect(),
        courses: operations.courses(&group.id.service, partner),
        has_ghosts: served.iter().any(|ip| listed.iter().all(|machine| machine.ip != Some(*ip))),
    };
    progress.going.takes_the_last(seen(&[], &BTreeSet::new()).takes_the_last());
    let what = format!("workers beside replica group {} in the namespace {ours}", group.id);
    let (begun, mut goes_alone) = (Instant::now(), None);
    readiness::others(deadline, &group.router, &what, |listed, served| {
        let is_patient = begun.elapsed() < patience(group);
        match seen(listed, served).verdict() {
            Verdict::Go => Ok(None),
            Verdict::Wait(missing) => Ok(Some(missing)),
            Verdict::WaitForABeginning(missing) if is_patient => Ok(Some(missing)),
            // New ones of both serve, and nobody is there who would take the old prefill first.
            Verdict::WaitForABeginning(missing)
                if group.spec.role == WorkerRole::Decode && serves(listed, served, &ours) =>
            {
                goes_alone = Some(missing);
                Ok(None)
            }
            Verdict::WaitForABeginning(missing) | Verdict::NeverComes(missing) => {
                Err(alone(group, partner, &ours, &missing))
            }
            Verdict::WaitForGhosts if begun.elapsed() < LONGEST_LEASE => {
                Ok(Some("the router still knows workers that are gone".to_owned()))
            }
            Verdict::WaitForGhosts => Ok(None),
        }
    })
    .await?;
    if let Some(missing) = goes_alone {
        let group = group.id.clone();
        progress.journal.warned(Warning::WentBeforePrefill { group, missing });
    }
    Ok(())
}

fn as_partner(machine: &Instance, served: &BTreeSet<IpAddr>) -> Partner {
    Partner {
        group: machine.tags.get(tag::GROUP).cloned().unwrap_or_default(),
        namespace: namespace_of(machine),
        serves: machine.ip.is_some_and(|ip| served.contains(&ip)),
    }
}

/// Whether both halves of the work are done in this namespace.
fn serves(listed: &[Instance], served: &BTreeSet<IpAddr>, namespace: &str) -> bool {
    let has = |role: WorkerRole| {
        listed.iter().any(|machine| {
            machine.tags.get(tag::ROLE).is_some_and(|tag| tag == role.as_str())
                && namespace_of(machine) == namespace
                && machine.ip.is_some_and(|ip| served.contains(&ip))
        })
    };
    has(WorkerRole::Prefill) && has(WorkerRole::Decode)
}

/// Says of a group that was made just now that no request comes to it; `snapshot` is what there was when it began.
pub(crate) fn warn_if_alone(group: &Group, snapshot: &Snapshot) -> Option<Warning> {
    let ours = group.namespace()?;
    let partners: Vec<&Instance> = group.partners(&snapshot.instances).collect();
    let role = partners.first()?.tags.get(tag::ROLE)?;
    let is_alone = partners.iter().all(|machine| namespace_of(machine) != ours);
    let role = role.parse().ok()?;
    is_alone.then(|| Warning::Alone { group: group.id.clone(), role, namespace: ours })
}

/// Where the engines of a machine register.
fn namespace_of(machine: &Instance) -> String {
    machine.tags.get(tag::NAMESPACE).map_or(NAMESPACE, String::as_str).to_owned()
}

/// Within this time another group that changes in the same run has begun to.
fn patience(group: &Group) -> Duration {
    let is_this_computer = group.router.cloud.profile().is_this_computer;
    Duration::from_secs(if is_this_computer { 60 } else { 10 * 60 })
}

fn alone(group: &Group, role: WorkerRole, namespace: &str, missing: &str) -> Failure {
    Failure::NoCounterpart {
        group: group.id.clone(),
        role,
        namespace: namespace.to_owned(),
        missing: missing.to_owned(),
    }
}

/// A worker that has died is registered for as long as its lease lasts.
const LONGEST_LEASE: Duration = Duration::from_secs(60);
