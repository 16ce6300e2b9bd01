//! A roll to something else that workers have to agree on: old and new ones serve side by side, in a namespace
//! each, and prefill and decode only together. So a machine goes when the new namespace has both, and the
//! last prefill worker of the old one when its decode workers have gone. Each group is rolled by an operation
//! of its own; this is where they wait for each other.

use super::workers::GroupAccess;
use crate::error::{Failure, Result};
use crate::readiness::{self, Pace};
use crate::session::FleetView;
use cloud::{Instance, Tags, tag};
use domain::engine::{self, NAMESPACE};
use domain::planner::Removal;
use domain::spec::WorkerRole;
use plugin::{AttributePath, Ctx, Diagnostic};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

impl GroupAccess {
    /// The namespace in which its workers register; none when they are not Dynamo's.
    pub(super) fn namespace(&self) -> Option<String> {
        engine::namespace(&self.spec, &self.facts.model)
    }

    /// The tag that says so.
    pub(super) fn namespace_tag(&self) -> Tags {
        let namespace = self.namespace().into_iter();
        namespace.map(|namespace| (tag::NAMESPACE.to_owned(), namespace)).collect()
    }

    /// Workers of the other half of the work, of this service.
    fn partners<'a>(&self, listed: &'a [Instance]) -> impl Iterator<Item = &'a Instance> {
        let role = match self.spec.role {
            WorkerRole::Prefill => Some(WorkerRole::Decode),
            WorkerRole::Decode => Some(WorkerRole::Prefill),
            WorkerRole::Worker => None,
        };
        let service = self.id().service.tag_value();
        listed.iter().filter(move |machine| {
            let has =
                |key: &str, value: &str| machine.tags.get(key).is_some_and(|tag| tag == value);
            role.is_some_and(|role| has(tag::ROLE, role.as_str()))
                && has(tag::SERVICE, &service)
                && machine.state.is_up()
        })
    }
}

/// Waits until these machines of a roll may go without a request that finds nobody. `slots` are all that the
/// group has.
pub(super) async fn until_they_may_leave(
    ctx: &Ctx,
    group: &GroupAccess,
    slots: &BTreeMap<u32, Instance>,
    leaving: &[Removal],
) -> Result<()> {
    let Some(ours) = group.namespace() else { return Ok(()) };
    let leaves = |slot: &u32| leaving.iter().any(|removal| removal.slot == *slot);
    let (gone, left): (Vec<_>, Vec<_>) = slots.iter().partition(|(slot, _)| leaves(slot));
    let of = |machines: &[(&u32, &Instance)]| -> BTreeSet<String> {
        machines.iter().map(|(_, machine)| namespace_of(machine)).collect()
    };
    let before: BTreeSet<String> =
        of(&gone).into_iter().filter(|namespace| *namespace != ours).collect();
    // Without a successor it was the user's word that these go first.
    if before.is_empty() || !of(&left).contains(&ours) {
        return Ok(());
    }
    let is_last = of(&left).is_disjoint(&before);
    let waits_for_decode = group.spec.role == WorkerRole::Prefill && is_last;
    let what = format!("workers beside replica group {} in the namespace {ours}", group.id());
    let begun = Instant::now();
    readiness::others(ctx, &group.router, &what, |listed, served| {
        let partners: Vec<&Instance> = group.partners(listed).collect();
        if partners.is_empty() {
            return Ok(None);
        }
        let role = partners[0].tags.get(tag::ROLE).map_or("", String::as_str);
        let mut of_ours =
            partners.iter().filter(|machine| namespace_of(machine) == ours).peekable();
        if of_ours.peek().is_none() && begun.elapsed() >= patience(group) {
            return Err(alone(group, role, &ours));
        }
        if !of_ours.any(|machine| machine.ip.is_some_and(|ip| served.contains(&ip))) {
            return Ok(Some(format!("no {role} worker of the same kind serves yet")));
        }
        let old = partners.iter().filter(|machine| before.contains(&namespace_of(machine))).count();
        let is_needed = waits_for_decode && old > 0;
        Ok(is_needed.then(|| {
            format!(
                "the last {} worker of before is needed by {old} {role} workers of before",
                group.spec.role
            )
        }))
    })
    .await
}

/// Says of a group that was made just now that no request comes to it; `view` is what there was when it began.
pub(super) fn warn_if_alone(group: &GroupAccess, view: &FleetView) -> Option<Diagnostic> {
    let ours = group.namespace()?;
    let partners: Vec<&Instance> = group.partners(&view.instances).collect();
    let role = partners.first()?.tags.get(tag::ROLE)?;
    let is_alone = partners.iter().all(|machine| namespace_of(machine) != ours);
    is_alone.then(|| {
        Diagnostic::warning(
            format!("Workers of replica group {} get no request yet", group.id()),
            format!(
                "They differ from the {role} workers of the service in what both have to agree on (model, context \
                 length, KV block size, chat template), and serve when there are {role} workers of the same \
                 kind: theirs is the namespace {ours}."
            ),
        )
    })
}

/// Where the engines of a machine register.
fn namespace_of(machine: &Instance) -> String {
    machine.tags.get(tag::NAMESPACE).map_or(NAMESPACE, String::as_str).to_owned()
}

/// Within this time another group that changes in the same apply has launched its first machine.
fn patience(group: &GroupAccess) -> Duration {
    Duration::from_secs(if Pace::new(&*group.router.cloud).lags() { 10 * 60 } else { 60 })
}

fn alone(group: &GroupAccess, role: &str, namespace: &str) -> Failure {
    Failure::Invalid {
        summary: format!("No {role} workers beside the new ones of replica group {}", group.id()),
        detail: format!(
            "The new machines differ from those of before in what prefill and decode have to agree on, and no \
             {role} group of the service changes with them (into the namespace {namespace}), so they can serve \
             nobody. Old and new ones run. Change all groups of the service in one apply, without `-target` and \
             without a `depends_on` between them."
        ),
        attribute: Some(AttributePath::root("engine")),
    }
}
