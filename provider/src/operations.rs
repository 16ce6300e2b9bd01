//! What this process does with the groups of services right now, and has done: operations on groups that
//! depend on each other wait for each other here, and know when there is nothing to wait for. Terraform runs
//! each by itself, and tells none of the others.

use domain::id::{GroupId, ServiceId};
use domain::spec::WorkerRole;
use plugin::{Ctx, Interrupted};
use std::collections::BTreeSet;
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
    /// All that it has left to do is to take its last machines of before.
    takes_the_last: bool,
    /// Since when its machines get no request any more, or it has ended otherwise.
    ended: Option<Instant>,
}

/// What becomes of the workers of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// They register in this namespace.
    Namespace(Option<String>),
    /// They go.
    Removal,
}

/// What can be said of an operation that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It is going on.
    Running,
    /// It has ended, and what it has done can be seen by now.
    Ended,
    /// It has not begun, or there is none, or it has just ended.
    Unknown,
}

/// An operation that is going on, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Running {
    number: usize,
    operations: watch::Sender<Vec<Operation>>,
}

impl Running {
    /// Says whether all that is left to do is to take the last machines of before, for which it waits.
    pub(crate) fn takes_the_last(&self, takes_the_last: bool) {
        self.operations.send_modify(|operations| {
            let own = operations.iter_mut().find(|operation| operation.number == self.number);
            if let Some(own) = own {
                own.takes_the_last = takes_the_last;
            }
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.operations.send_modify(|operations| {
            let own = operations.iter_mut().find(|operation| operation.number == self.number);
            if let Some(own) = own {
                own.ended.get_or_insert_with(Instant::now);
            }
        });
    }
}

impl Operations {
    /// Says that an operation on a group begins.
    pub(crate) fn begin(&self, group: &GroupId, role: WorkerRole, goal: Goal) -> Running {
        let mut number = 0;
        self.0.send_modify(|operations| {
            number = operations.len();
            let (group, takes_the_last, ended) = (group.clone(), false, None);
            operations.push(Operation { number, group, role, goal, takes_the_last, ended });
        });
        Running { number, operations: self.0.clone() }
    }

    /// How those are getting on that bring workers of this role into this namespace.
    pub(crate) fn course(&self, service: &ServiceId, role: WorkerRole, goal: &Goal) -> Course {
        let operations = self.0.borrow();
        let meant = operations.iter().filter(|operation| operation.is(service, role, goal));
        let ends: Vec<Option<Instant>> = meant.map(|operation| operation.ended).collect();
        if ends.contains(&None) {
            Course::Running
        } else if ends.into_iter().flatten().max().is_some_and(|end| end.elapsed() >= SEEN_WITHIN) {
            Course::Ended
        } else {
            Course::Unknown
        }
    }

    /// The names of the groups that only wait to take their last machines of before.
    pub(crate) fn taking_the_last(
        &self,
        service: &ServiceId,
        role: WorkerRole,
        goal: &Goal,
    ) -> BTreeSet<String> {
        let operations = self.0.borrow();
        let meant = operations.iter().filter(|operation| operation.is(service, role, goal));
        let waiting =
            meant.filter(|operation| operation.takes_the_last && operation.ended.is_none());
        waiting.map(|operation| operation.group.name.clone()).collect()
    }

    /// Waits until no removal of a group of this role goes on in this process.
    pub(crate) async fn after_removals(
        &self,
        ctx: &Ctx,
        service: &ServiceId,
        role: WorkerRole,
    ) -> Result<(), Interrupted> {
        let mut operations = self.0.subscribe();
        let is_over = |operations: &Vec<Operation>| {
            operations
                .iter()
                .all(|one| !one.is(service, role, &Goal::Removal) || one.ended.is_some())
        };
        // The sender is ours: it outlives the wait.
        ctx.checked(operations.wait_for(is_over)).await.map(drop)
    }
}

impl Operation {
    fn is(&self, service: &ServiceId, role: WorkerRole, goal: &Goal) -> bool {
        self.group.service == *service && self.role == role && self.goal == *goal
    }
}

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
        let goal = Goal::Namespace(Some("dynamo-1".to_owned()));
        let course = || operations.course(&group.service, WorkerRole::Decode, &goal);
        assert_eq!(course(), Course::Unknown);
        let elsewhere = operations.begin(&group, WorkerRole::Decode, Goal::Namespace(None));
        assert_eq!(course(), Course::Unknown, "another namespace");
        let first = operations.begin(&group, WorkerRole::Decode, goal.clone());
        let second = operations.begin(&group, WorkerRole::Decode, goal.clone());
        drop(first);
        tokio::time::advance(SEEN_WITHIN).await;
        assert_eq!(course(), Course::Running);
        drop(second);
        assert_eq!(course(), Course::Unknown);
        tokio::time::advance(SEEN_WITHIN).await;
        assert_eq!(course(), Course::Ended);
        drop(elsewhere);
    }

    #[tokio::test(start_paused = true)]
    async fn a_removal_waits_for_those_of_the_other_role() {
        let operations = Operations::default();
        let ctx = Ctx::new(Duration::from_secs(60), CancellationToken::new());
        let group = group("prefill");
        let after = || operations.after_removals(&ctx, &group.service, WorkerRole::Prefill);
        assert_eq!(after().await, Ok(()), "there is none");
        let removal = operations.begin(&group, WorkerRole::Prefill, Goal::Removal);
        let _roll = operations.begin(&group, WorkerRole::Prefill, Goal::Namespace(None));
        let end = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(removal);
        };
        let begun = Instant::now();
        let (waited, ()) = futures::future::join(after(), end).await;
        assert_eq!((waited, begun.elapsed()), (Ok(()), Duration::from_secs(20)));
        let _endless = operations.begin(&group, WorkerRole::Prefill, Goal::Removal);
        assert_eq!(after().await, Err(Interrupted::Deadline));
    }
}
