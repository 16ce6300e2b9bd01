//! What a group is to be, what is known of it before, and what there is of it.

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
    /// Machines on their way out, which are still paid for.
    pub leaving: Vec<Instance>,
    /// The image that new machines are made from, where one is pinned.
    pub image: Option<String>,
    /// Whether it is what it is to be: until then whoever keeps the record keeps what was true before.
    pub is_done: bool,
}
