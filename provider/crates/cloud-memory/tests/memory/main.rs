//! The cloud in memory, judged like any other; and what it can do beside, for tests.

mod conformance;
mod consistency;
mod faults;
mod harness;
mod machines;
