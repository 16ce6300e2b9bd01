//! Real machines of the local cloud: processes that run small shell scripts.

#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

mod boot;
mod conformance;
mod crashes;
mod faults;
mod gpus;
mod harness;
mod neighbours;
mod processes;
