//! From an operation's frame to the end of its calls to a cloud.

use cloud::{Deadline, Interrupted};
use plugin::Ctx;

/// The end of an operation, for its calls.
pub(crate) fn deadline(ctx: &Ctx) -> Deadline {
    Deadline {
        at: ctx.deadline,
        cancel: ctx.cancel.clone(),
        called: ctx.limit(),
        over: Interrupted::Deadline,
    }
}
