//! From what there is to what is wanted, in steps: counts and slots of a replica group, the router's
//! recovery. Pure: whoever carries the steps out looks and acts, and decides nothing.

mod creation;
mod group;
mod roll;
mod router;
mod slots;
mod switch;

pub use creation::{Creation, Found, plan_creation};
pub use group::{Count, GroupPlan, Member, Removal, Step, plan_group};
pub use roll::{Batch, UpdateStrategy, next_batch};
pub use router::{RouterObserved, RouterStep, plan_router};
pub use slots::assign_slots;
pub use switch::{Course, Leaving, Partner, Verdict};
