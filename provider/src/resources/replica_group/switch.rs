//! A roll to something else that workers have to agree on: old and new ones serve side by side, in a namespace
//! each, and prefill and decode only together. So a machine goes when the new namespace has both; and the last
//! of the old one go together, prefill first. Each group is rolled by an operation of its own; this is where
//! they wait for each other.

use super::progress::Progress;
use super::workers::GroupAccess;
use crate::error::{Failure, Result};
use crate::operations::{Course, Goal, Running};
use crate::readiness::{self, Pace};
use crate::session::{FleetView, Session};
use cloud::{Instance, Tags, tag};
use domain::engine::{self, NAMESPACE};
use domain::planner::Removal;
use domain::spec::WorkerRole;
use plugin::{AttributePath, Ctx, Diagnostic};
use std::collections::BTreeSet;
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

    /// Says where its workers are going, for as long as what comes back is held.
    pub(super) fn going(&self, session: &Session) -> Running {
        let goal = Goal::Namespace(self.namespace());
        session.operations().begin(&self.id, self.spec.role, goal)
    }

    /// Who does the other half of the work.
    fn partner(&self) -> Option<WorkerRole> {
        match self.spec.role {
            WorkerRole::Prefill => Some(WorkerRole::Decode),
            WorkerRole::Decode => Some(WorkerRole::Prefill),
            WorkerRole::Worker => None,
        }
    }

    /// Workers of the other half of the work, of this service.
    fn partners<'a>(&self, listed: &'a [Instance]) -> impl Iterator<Item = &'a Instance> {
        let role = self.partner();
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

/// Waits until these machines of a roll may go without a request that finds nobody.
pub(super) async fn until_they_may_leave(
    ctx: &Ctx,
    progress: &Progress<'_>,
    leaving: &[Removal],
) -> Result<()> {
    let Progress { group, slots, going, .. } = progress;
    going.takes_the_last(false);
    let (Some(ours), Some(partner)) = (group.namespace(), group.partner()) else { return Ok(()) };
    let leaves = |slot: &u32| leaving.iter().any(|removal| removal.slot == *slot);
    let (gone, left): (Vec<_>, Vec<_>) = slots.iter().partition(|(slot, _)| leaves(slot));
    let of = |machines: &[(&u32, &Instance)]| -> BTreeSet<String> {
        machines.iter().map(|(_, machine)| namespace_of(machine)).collect()
    };
    let before: BTreeSet<String> =
        of(&gone).into_iter().filter(|namespace| *namespace != ours).collect();
    if before.is_empty() {
        return Ok(());
    }
    // Without a successor it was the user's word that these go first; only that others change too has to be seen.
    let has_successor = of(&left).contains(&ours);
    let is_last = of(&left).is_disjoint(&before);
    going.takes_the_last(is_last && has_successor);
    let what = format!("workers beside replica group {} in the namespace {ours}", group.id());
    let goal = Goal::Namespace(Some(ours.clone()));
    let operations = progress.session.operations();
    let begun = Instant::now();
    readiness::others(ctx, &group.router, &what, |listed, served| {
        let partners: Vec<&Instance> = group.partners(listed).collect();
        if partners.is_empty() {
            return Ok(None);
        }
        let serves = |machine: &&Instance| {
            namespace_of(machine) == ours && machine.ip.is_some_and(|ip| served.contains(&ip))
        };
        let old = partners.iter().filter(|machine| before.contains(&namespace_of(machine)));
        let course = operations.course(&group.id.service, partner, &goal);
        let missing = if !partners.iter().any(serves) {
            if !has_successor && course == Course::Running {
                return Ok(None);
            }
            format!("no {partner} worker of the same kind serves")
        } else if !is_last || !has_successor {
            return Ok(None);
        } else {
            // Prefill goes first: without it the router sends nothing new to the namespace of before, and what is
            // being prefilled still finds its decode. And not before all others have been replaced, which would
            // have to serve alone.
            let waiting = operations.taking_the_last(&group.id.service, partner, &goal);
            let is_ready = |machine: &&&Instance| {
                partner == WorkerRole::Decode
                    && machine.tags.get(tag::GROUP).is_some_and(|group| waiting.contains(group))
            };
            match old.filter(|machine| !is_ready(machine)).count() {
                0 => return Ok(None),
                count => format!("{count} {partner} workers of before are still needed"),
            }
        };
        let is_coming = match course {
            Course::Running => true,
            Course::Ended => false,
            Course::Unknown => begun.elapsed() < patience(group),
        };
        if is_coming { Ok(Some(missing)) } else { Err(alone(group, partner, &ours, &missing)) }
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

/// Within this time another group that changes in the same apply has begun to.
fn patience(group: &GroupAccess) -> Duration {
    Duration::from_secs(if Pace::new(&*group.router.cloud).lags() { 10 * 60 } else { 60 })
}

fn alone(group: &GroupAccess, partner: WorkerRole, namespace: &str, missing: &str) -> Failure {
    Failure::Invalid {
        summary: format!(
            "No {partner} workers beside the new ones of replica group {}",
            group.id()
        ),
        detail: format!(
            "The new machines differ from those of before in what prefill and decode have to agree on, and no \
             roll of a {partner} group into the same namespace ({namespace}) is going on: {missing}. Old and new \
             machines run. Change all groups of the service in one apply, without `-target` and without a \
             `depends_on` between them; where the roll of the {partner} group has stopped, mend its cause and \
             apply again."
        ),
        attribute: Some(AttributePath::root("engine")),
    }
}
