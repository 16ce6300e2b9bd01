//! What brings fleets, services and replica groups to what is declared, in any cloud and for any program.
//!
//! In go specs and policies ([`fleet::DesiredFleet`], [`service::DesiredService`], [`group::DesiredGroup`]) and
//! a [`Deadline`](cloud::Deadline), which also carries the user's wish to stop. Out come records
//! ([`journal::Journal`]), so that no id is lost, and typed failures ([`failure::Failure`]). What is to be done is
//! decided in `domain`; here is who asks the cloud and the router, acts, and waits.
//!
//! | to change | look in |
//! |---|---|
//! | a step of an operation | `fleet/`, `service/`, `group/`: one file per operation |
//! | how it is known that machines are ready | `readiness/` |
//! | what is read of a fleet, and how often | `snapshot.rs` |
//! | what is said of a fleet without changing it | `inventory.rs`, `status.rs`, `logs.rs` |
//! | how routers and engines are asked | `http.rs` |
//! | what failures and warnings there are, and what is recorded | `failure.rs`, `journal.rs` |
//! | what a machine was made from | `made_from.rs` |
//! | which tags and settings are not as they were made | `drift.rs` |
//! | how everything is waited for, and failures of a cloud shared | `poll.rs`, `outages.rs` |
//! | what operations of one process know of each other | `in_flight.rs`, `operations.rs`, `handovers.rs`, `refusals.rs` |
//!
//! Deliberately not here: how fleets, services and groups are declared, and words for users. Both are the program's.

mod dependents;
mod operations;
mod orchestrator;
mod outages;
mod poll;
mod refusals;

mod drift;
pub mod failure;
pub mod fleet;
pub mod group;
pub mod handovers;
pub mod http;
pub mod in_flight;
pub mod inventory;
pub mod journal;
pub mod logs;
pub mod made_from;
pub mod object;
pub mod readiness;
pub mod service;
pub mod snapshot;
pub mod status;

pub use orchestrator::{Clouds, Orchestrator};
pub use refusals::Refusals;
