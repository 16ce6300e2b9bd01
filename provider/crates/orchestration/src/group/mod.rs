//! A replica group: identical workers, which register with the router of their service.
//!
//! | to change | look in |
//! |---|---|
//! | which machines are a group's, and what about them is not as it was made | `members.rs`, `ownership.rs` |
//! | how machines are launched, and never twice | `launch.rs` |
//! | how a group is made, changed, removed, handed over | `create.rs`, `update.rs`, `delete.rs`, `handover.rs` |
//! | what an operation has come to, whatever stops it | `progress.rs` |
//! | how machines go without cutting an answer | `drain.rs`, `switch.rs`, `order.rs` |

mod access;
mod create;
mod delete;
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
pub use launch::{check_user_data, user_data};
pub use members::{Members, counted_and_leaving, drift, in_slots, of_group};
pub use ownership::drop_foreign;
pub use update::update;

use cloud::{Instance, Offer};
use domain::id::GroupId;
use domain::planner::UpdateStrategy;
use domain::scaling::Scale;
use domain::spec::GroupSpec;
use std::collections::BTreeMap;
use std::time::Duration;

/// What a group is to be.
#[derive(Clone, Debug)]
pub struct DesiredGroup {
    /// What is baked into each machine.
    pub spec: GroupSpec,
    /// How it is handled.
    pub policy: GroupPolicy,
    /// The machines that it may be made of, cheapest first: all of one shape, because one user data serves them
    /// all.
    pub offers: Vec<Offer>,
}

/// How a group is handled; nothing of it is baked into its machines.
#[derive(Clone, Debug)]
pub struct GroupPolicy {
    /// How many machines.
    pub scale: Scale,
    /// How a change is rolled out.
    pub update: UpdateStrategy,
    /// What is waited for.
    pub wait_for: WaitFor,
    /// Whether machines whose boot failed stay for inspection.
    pub keeps_failed: bool,
    /// How long machines may take to end what runs on them before they go.
    pub drain_limit: Duration,
    /// The image that new machines are made from; none takes the newest.
    pub image: Option<String>,
}

/// What is waited for before a machine counts as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// Its router sends requests to all its engines.
    Registered,
    /// The cloud says that it runs.
    Running,
}

/// What is known of a group before anything is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownGroup {
    /// The id of the machine in each slot.
    pub slots: BTreeMap<u32, String>,
    /// The image that new machines are made from.
    pub image: Option<String>,
}

/// What there is of a group.
#[derive(Clone, Debug)]
pub struct GroupRecord {
    /// Its id.
    pub id: GroupId,
    /// The machines that count, in their slots.
    pub slots: BTreeMap<u32, Instance>,
    /// Machines on their way out, which somebody still pays for.
    pub leaving: Vec<Instance>,
    /// Whether it is what it is to be: until then whoever keeps the record keeps what was true before.
    pub is_done: bool,
}
