//! Long-running operations: a launch that is accepted at once and decided later, as Compute Engine and Azure
//! have it. What it lacks is known only then.
//!
//! EC2 decides while it is called, so nothing but the tests below uses this yet. What is here is what a
//! second cloud needs first; it knows no kind of operation but a launch, and none is ever cancelled.

use super::{Datacentre, Lack, NewMachine};
use std::time::Duration;

/// How an operation stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Accepted, and not decided yet.
    Running,
    /// Done: the machines that it has made.
    Done(Vec<String>),
    /// Decided, and nothing was made.
    Failed(Lack),
}

/// An operation that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    machines: Vec<(String, NewMachine)>,
    decided_at: Duration,
    outcome: Operation,
}

impl Datacentre {
    /// Accepts a launch of machines, all or none, of one type in one zone; answers the operation's id.
    pub fn accept_launch(&mut self, prefix: &str, machines: Vec<NewMachine>) -> String {
        let machines = machines.into_iter().map(|machine| (self.new_id(prefix), machine)).collect();
        let decided_at = self.now() + Duration::from_secs_f64(self.settings.operation_seconds);
        let id = self.new_id("operation");
        let accepted = Accepted { machines, decided_at, outcome: Operation::Running };
        self.operations.insert(id.clone(), accepted);
        id
    }

    /// How an operation stands now, if there is such a one. Those that are due are decided in the order in
    /// which they were accepted: the earlier ones have what there is.
    pub fn operation(&mut self, id: &str) -> Option<Operation> {
        let now = self.now();
        let is_due = |accepted: &Accepted| {
            accepted.outcome == Operation::Running && accepted.decided_at <= now
        };
        let due = self.operations.iter().filter(|(_, accepted)| is_due(accepted));
        for id in due.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.decide(&id);
        }
        self.operations.get(id).map(|accepted| accepted.outcome.clone())
    }

    fn decide(&mut self, id: &str) {
        let Some(accepted) = self.operations.get_mut(id) else { return };
        let machines = std::mem::take(&mut accepted.machines);
        let count = u32::try_from(machines.len()).unwrap_or(u32::MAX);
        let room = machines.first().map_or(Ok(()), |(_, first)| {
            self.check_capacity(&first.zone, &first.instance_type, &first.tags, count)
        });
        let outcome = match room {
            Err(lack) => Operation::Failed(lack),
            Ok(()) => {
                let ids = machines.into_iter().map(|(id, machine)| {
                    self.start(&id, machine);
                    id
                });
                Operation::Done(ids.collect())
            }
        };
        if let Some(accepted) = self.operations.get_mut(id) {
            accepted.outcome = outcome;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::Settings;

    const SECOND: Duration = Duration::from_secs(1);

    fn launch(count: usize) -> Vec<NewMachine> {
        let machine = NewMachine {
            zone: "a".to_owned(),
            instance_type: "small".to_owned(),
            ..NewMachine::default()
        };
        vec![machine; count]
    }

    fn datacentre() -> Datacentre {
        Datacentre::new(Settings { operation_seconds: 100.0, ..Settings::default() })
    }

    #[test]
    fn it_is_decided_after_it_was_accepted() {
        let mut datacentre = datacentre();
        let id = datacentre.accept_launch("vm", launch(2));
        assert_eq!(datacentre.operation(&id), Some(Operation::Running));
        assert!(datacentre.living().is_empty());
        datacentre.advance(100 * SECOND);
        let Some(Operation::Done(made)) = datacentre.operation(&id) else {
            panic!("{:?}", datacentre.operation(&id));
        };
        assert_eq!(made.len(), 2);
        assert_eq!(datacentre.living().len(), 2);
        assert_eq!(datacentre.operation(&id), Some(Operation::Done(made)), "it is decided once");
        assert_eq!(datacentre.living().len(), 2);
        assert_eq!(datacentre.operation("operation-none"), None);
    }

    #[test]
    fn what_it_lacks_is_known_after_it_was_accepted() {
        let mut datacentre = datacentre();
        datacentre.limit("a", "small", Some(2));
        let [first, second] = [2, 1].map(|count| datacentre.accept_launch("vm", launch(count)));
        datacentre.advance(100 * SECOND);
        // Whoever asks first: the earlier one has what there is.
        assert_eq!(datacentre.operation(&second), Some(Operation::Failed(Lack::Capacity)));
        assert!(matches!(datacentre.operation(&first), Some(Operation::Done(_))));
        datacentre.settings_mut().most_machines = Some(2);
        datacentre.limit("a", "small", None);
        let third = datacentre.accept_launch("vm", launch(1));
        assert_eq!(datacentre.operation(&third), Some(Operation::Running));
        datacentre.advance(100 * SECOND);
        assert_eq!(datacentre.operation(&third), Some(Operation::Failed(Lack::Quota)));
        assert_eq!(datacentre.living().len(), 2, "all or none");
    }
}
