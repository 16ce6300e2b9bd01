//! The Terraform provider: its resources, and the thin shell around the pure core.
//!
//! What a plan or a boot means is decided in `domain`; what a cloud does, in its own crate; how
//! Terraform is spoken to, in `plugin`. Here the three meet.

mod addresses;
mod clouds;
mod commands;
mod data_sources;
mod deadline;
mod diagnose;
mod error;
mod functions;
mod provider;
mod resources;
mod session;
mod siblings;

pub use commands::command_main;
pub use provider::Disagg;
