//! What brings fleets, services and replica groups to what is declared, in any cloud and for any program.
//!
//! In go specs and policies ([`fleet::DesiredFleet`], [`service::DesiredService`], [`group::DesiredGroup`]) and
//! a [`Deadline`](cloud::Deadline), which also carries the user's wish to stop. Out come records
//! ([`journal::Journal`]), so that no id is lost, and typed failures ([`failure::Failure`]). What is to be done is
//! decided in `domain`; here is who asks the cloud and the router, acts, and waits.
//!
//! | to change | look in |
//! |---|---|
//! | a step of an apply | `fleet/`, `service/`, `group/`: one file per operation |
//! | how it is known that machines are ready | `readiness/` |
//! | what is read of a fleet, and how often | `snapshot.rs` |
//! | what is said of a fleet without changing it | `status.rs`, `logs.rs` |
//! | how routers and engines are asked | `http.rs` |
//! | what operations of one process know of each other | `in_flight.rs`, `operations.rs`, `handovers.rs` |
//!
//! Deliberately not here: anything of Terraform, and words for users. They are the program's.

mod dependents;
mod operations;
mod orchestrator;
mod outages;
mod poll;

mod drift;
pub mod failure;
pub mod fleet;
pub mod group;
pub mod handovers;
pub mod http;
pub mod in_flight;
pub mod journal;
pub mod logs;
pub mod made_from;
pub mod object;
pub mod readiness;
pub mod service;
pub mod snapshot;
pub mod status;

pub use orchestrator::{Clouds, Orchestrator, Refusals};
