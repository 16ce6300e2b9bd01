//! Real machines of the local cloud: processes that run small shell scripts.

#![expect(clippy::unwrap_used, reason = "a test says what failed by panicking")]

mod conformance;
mod harness;
