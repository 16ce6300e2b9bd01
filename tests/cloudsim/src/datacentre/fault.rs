//! What goes wrong on demand.

use super::Datacentre;
use serde::Deserialize;

/// Something that goes wrong with the next calls of one operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// In the cloud's own words.
    pub operation: String,
    /// What goes wrong.
    pub effect: Effect,
    /// With how many calls.
    #[serde(default = "once")]
    pub times: u32,
}

/// What goes wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// It is refused.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The code.
        code: String,
    },
    /// It has no effect, and the connection is cut.
    CutBefore,
    /// It has its effect, and the answer is cut.
    CutAfter,
}

impl Datacentre {
    /// Something that will go wrong.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// What goes wrong with this call, if anything does; a fault is used up by as many calls as it says.
    pub(crate) fn fault(&mut self, operation: &str) -> Option<Effect> {
        let index = self.faults.iter().position(|fault| fault.operation == operation)?;
        let effect = self.faults[index].effect.clone();
        self.faults[index].times = self.faults[index].times.saturating_sub(1);
        if self.faults[index].times == 0 {
            self.faults.remove(index);
        }
        Some(effect)
    }
}

fn once() -> u32 {
    1
}
