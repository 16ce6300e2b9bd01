//! What goes wrong on demand.

use serde::Deserialize;

/// Something that goes wrong with the next calls of one operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// `RunInstances`.
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

fn once() -> u32 {
    1
}
