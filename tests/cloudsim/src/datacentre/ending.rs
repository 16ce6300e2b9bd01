//! Why machines end, and machines that end before they run.

use super::machine::Order;
use super::{Datacentre, Machine, MachineState, Tags};

/// Why a machine was switched off or has ended. What each is called is the cloud's business.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody has told it to.
    ByUser,
    /// The cloud wants it back, which it was let have for less.
    TakenBack,
    /// The cloud has lost it.
    Lost,
    /// In the cloud's own code.
    Own(String),
}

/// Machines that are going to end before they run.
#[derive(Debug)]
pub(super) struct Ending {
    key: String,
    value: String,
    left: u32,
    code: String,
}

impl Datacentre {
    /// Makes the next machines that are launched with a tag end by themselves, as many as `count`: they are
    /// pending for as long as others boot, and have then ended, for a reason in the cloud's own code.
    pub fn end_after_pending(&mut self, key: &str, value: &str, count: u32, code: &str) {
        self.endings.push(Ending {
            key: key.to_owned(),
            value: value.to_owned(),
            left: count,
            code: code.to_owned(),
        });
    }

    /// What a machine with these tags is told to do at its launch, and the reason if it is going to end.
    pub(super) fn first_order(&mut self, tags: &Tags) -> (Order, Option<End>) {
        let now = self.now();
        let is_meant =
            |ending: &&mut Ending| ending.left > 0 && tags.get(&ending.key) == Some(&ending.value);
        match self.endings.iter_mut().find(is_meant) {
            Some(ending) => {
                ending.left -= 1;
                (Order::Fail(now), Some(End::Own(ending.code.clone())))
            }
            None => (Order::Run(now), None),
        }
    }
}

impl Machine {
    /// Why it is in a state: none while it is to run, also when it is known how that will end.
    pub(crate) fn end_in(&self, state: MachineState) -> Option<&End> {
        match state {
            MachineState::Pending | MachineState::Running => None,
            _ => self.end.as_ref(),
        }
    }
}
