//! What this process does with the groups of services right now, and has done a while ago: operations on groups that
//! depend on each other wait for each other here, and know when there is nothing to wait for. Whoever runs them runs
//! each by itself, and tells none of the others.

use cloud::{Deadline, Interrupted};
use domain::id::{GroupId, ServiceId};
use domain::planner::Course;
use domain::spec::WorkerRole;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The operations of one process.
#[derive(Debug, Default)]
pub(crate) struct Operations(watch::Sender<Vec<Operation>>);

/// One operation on a group.
#[derive(Debug)]
struct Operation {
    number: usize,
    group: GroupId,
    role: WorkerRole,
    goal: Goal,
    /// All that it has left to do is to take its last old machines.
    takes_the_last: bool,
    /// Since when its machines get no request any more, or it has ended otherwise.
    ended: Option<Instant>,
}

/// What becomes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// It has machines at the end.
    Machines,
    /// It has none.
    NoMachines,
}

/// An operation that is going on, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Running {
    number: usize,
    operations: watch::Sender<Vec<Operation>>,
}

impl Running {
    /// Says whether all that is left to do is to take the last old machines, for which it waits.
    pub(crate) fn takes_the_last(&self, takes_the_last: bool) {
        self.change(|own| own.takes_the_last = takes_the_last);
    }

    fn change(&self, change: impl FnOnce(&mut Operation)) {
        self.operations.send_modify(|operations| {
            let own = operations.iter_mut().find(|operation| operation.number == self.number);
            if let Some(own) = own {
                change(own);
            }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.change(|own| {
            own.ended.get_or_insert_with(Instant::now);
        });
    }
}

impl Operations {
    /// Says that an operation on a group begins.
    pub(crate) fn begin(&self, group: &GroupId, role: WorkerRole, goal: Goal) -> Running {
        let mut number = 0;
        self.0.send_modify(|operations| {
            forget_what_is_over(operations);
            operations
                .retain(|one| !(one.ended.is_some() && one.group == *group && one.role == role));
            number = operations.last().map_or(0, |last| last.number + 1);
            let (group, takes_the_last, ended) = (group.clone(), false, None);
            operations.push(Operation { number, group, role, goal, takes_the_last, ended });
        });
        Running { number, operations: self.0.clone() }
    }

    /// How far those have got that work on groups of this role, by the groups' names. One that has ended just
    /// now is said to run still, because lists of the cloud may be older.
    pub(crate) fn courses(
        &self,
        service: &ServiceId,
        role: WorkerRole,
    ) -> BTreeMap<String, Course> {
        let operations = self.0.borrow();
        let meant = operations
            .iter()
            .filter(|operation| operation.group.service == *service && operation.role == role);
        // The latest of a group counts: a replacement is two that go on side by side.
        meant.map(|operation| (operation.group.name.clone(), operation.course())).collect()
    }

    /// Waits until no operation of this process leaves a group of this role without machines any more.
    pub(crate) async fn after_removals(
        &self,
        deadline: &Deadline,
        service: &ServiceId,
        role: WorkerRole,
    ) -> Result<(), Interrupted> {
        let mut operations = self.0.subscribe();
        let is_over = |operation: &Operation| {
            operation.group.service != *service
                || operation.role != role
                || operation.goal != Goal::NoMachines
                || operation.ended.is_some()
        };
        // The sender is ours: it outlives the wait.
        deadline
            .checked(operations.wait_for(|operations| operations.iter().all(is_over)))
            .await
            .map(drop)
    }
}

impl Operation {
    fn course(&self) -> Course {
        match self.ended {
            Some(ended) if ended.elapsed() >= SEEN_WITHIN => Course::Ended,
            None if self.takes_the_last => Course::TakesTheLast,
            Some(_) | None => Course::Running,
        }
    }
}

/// Forgets the operations on a service of which none goes on and the last ended long ago. As long as one goes on, it
/// has to know which have ended.
fn forget_what_is_over(operations: &mut Vec<Operation>) {
    let is_over = |one: &Operation| one.ended.is_some_and(|ended| ended.elapsed() >= ONE_RUN);
    let services = |one: &Operation| one.group.service.clone();
    let told: BTreeSet<ServiceId> =
        operations.iter().filter(|one| !is_over(one)).map(services).collect();
    operations.retain(|one| told.contains(&one.group.service));
}

/// Operations on a service that begin within this time after the last one belong together with it.
const ONE_RUN: Duration = Duration::from_secs(60 * 60);

/// Lists of a cloud are shared for a moment, and show what an operation has done after it.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_util::sync::CancellationToken;

    fn group(name: &str) -> GroupId {
        format!("local/local/lab/tiny@3f9a1c2e/{name}").parse().expect("an id")
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_going_on_is_over_when_it_can_be_seen() {
        let operations = Operations::default();
        let group = group("decode");
        let course = || {
            let courses = operations.courses(&group.service, WorkerRole::Decode);
            courses.get("decode").copied()
        };
        assert_eq!(course(), None);
        let _of_another = operations.begin(&group, WorkerRole::Prefill, Goal::Machines);
        assert_eq!(course(), None);
        let first = operations.begin(&group, WorkerRole::Decode, Goal::NoMachines);
        drop(first);
        tokio::time::advance(SEEN_WITHIN).await;
        assert_eq!(course(), Some(Course::Ended));
        let second = operations.begin(&group, WorkerRole::Decode, Goal::Machines);
        assert_eq!(course(), Some(Course::Running));
        second.takes_the_last(true);
        assert_eq!(course(), Some(Course::TakesTheLast));
        drop(second);
        assert_eq!(course(), Some(Course::Running), "no list can show it yet");
        tokio::time::advance(SEEN_WITHIN).await;
        assert_eq!(course(), Some(Course::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_is_forgotten() {
        let operations = Operations::default();
        let names = || -> Vec<String> {
            operations.0.borrow().iter().map(|one| one.group.to_string()).collect()
        };
        let (prefill, decode) = (group("prefill"), group("decode"));
        // Again and again the same one.
        for _ in 0..3 {
            drop(operations.begin(&prefill, WorkerRole::Prefill, Goal::Machines));
        }
        assert_eq!(names(), [prefill.to_string()]);
        // As long as anything of the service goes on, all that has ended is known.
        let running = operations.begin(&decode, WorkerRole::Decode, Goal::Machines);
        tokio::time::advance(2 * ONE_RUN).await;
        let other: GroupId = "local/local/lab/other@00000000/decode".parse().expect("an id");
        drop(operations.begin(&other, WorkerRole::Decode, Goal::Machines));
        assert_eq!(names(), [&prefill, &decode, &other].map(ToString::to_string));
        let courses = operations.courses(&prefill.service, WorkerRole::Prefill);
        assert_eq!(courses.get("prefill"), Some(&Course::Ended));
        running.takes_the_last(true);
        drop(running);
        // And for a while after that.
        tokio::time::advance(ONE_RUN / 2).await;
        drop(operations.begin(&other, WorkerRole::Decode, Goal::Machines));
        assert_eq!(names().len(), 3);
        tokio::time::advance(ONE_RUN / 2).await;
        let last = operations.begin(&decode, WorkerRole::Decode, Goal::Machines);
        assert_eq!(names(), [&other, &decode].map(ToString::to_string));
        let courses = operations.courses(&prefill.service, WorkerRole::Prefill);
        assert_eq!(courses.get("prefill"), None);
        // Each is told what is its own.
        last.takes_the_last(true);
        let courses = operations.courses(&decode.service, WorkerRole::Decode);
        assert_eq!(courses.get("decode"), Some(&Course::TakesTheLast));
    }

    #[tokio::test(start_paused = true)]
    async fn a_removal_waits_for_those_of_the_other_role() {
        let operations = Operations::default();
        let deadline = Deadline::after(Duration::from_secs(60), CancellationToken::new());
        let group = group("prefill");
        let after = || operations.after_removals(&deadline, &group.service, WorkerRole::Prefill);
        assert_eq!(after().await, Ok(()), "there is none");
        let removal = operations.begin(&group, WorkerRole::Prefill, Goal::NoMachines);
        let _roll = operations.begin(&group, WorkerRole::Prefill, Goal::Machines);
        let end = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(removal);
        };
        let begun = Instant::now();
        let (waited, ()) = futures::future::join(after(), end).await;
        assert_eq!((waited, begun.elapsed()), (Ok(()), Duration::from_secs(20)));
        let _endless = operations.begin(&group, WorkerRole::Prefill, Goal::NoMachines);
        assert_eq!(after().await, Err(Interrupted::Deadline));
    }
}
