//! A replica group: identical workers, which register with the router of their service.
//!
//! | to change | look in |
//! |---|---|
//! | what a group is to be | `desired.rs` |
//! | which machines are a group's, and what about them is not as it was made | `members.rs`, `ownership.rs` |
//! | what a group and its router can be asked and told; what workers are waited for | `access.rs` |
//! | how machines are launched, and never twice | `launch.rs` |
//! | how a group is made, changed, removed, handed over | `create.rs`, `update.rs`, `delete.rs`, `handover.rs` |
//! | what an operation has come to, whatever stops it; how it lets machines go | `progress.rs` |
//! | how machines go without cutting an answer, whoever lets them go | `drain.rs`, `switch.rs`, `order.rs` |

mod access;
mod create;
mod delete;
mod desired;
mod drain;
mod handover;
mod launch;
mod members;
mod order;
mod ownership;
mod progress;
mod switch;
mod update;

pub use create::create;
pub use delete::{Removal, delete};
pub use desired::{DesiredGroup, GroupPolicy, GroupRecord, KnownGroup, WaitFor};
pub use launch::{boot_document, check_boot_document};
pub use members::{Members, counted_and_leaving, findings, in_slots, of_group};
pub use ownership::drop_foreign;
pub use update::update;
