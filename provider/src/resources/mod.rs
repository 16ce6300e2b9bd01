//! The resources, one folder each: `mod.rs` (the `Resource`), `plan.rs` (pure), `lifecycle.rs`
//! (what is done, by `orchestration`), and where there is much to convert `model.rs`.

mod attributes;
mod concealment;
pub(crate) mod endpoint;
mod features;
pub(crate) mod fleet;
mod identity;
pub(crate) mod replica_group;
pub(crate) mod service;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod outage_tests;
