//! What applies do, in a cloud in memory and on paused time: whole operations, whatever dies and whenever.
//!
//! `harness.rs` has a program that applies and what it keeps; `words.rs` puts what comes of it into a line. A test
//! says what is declared, what goes wrong or is to be different in the cloud, and what there has to be in the end.

mod claims;
mod deaths;
mod drains;
mod endpoints;
mod groups;
mod harness;
mod routers;
mod services;
mod snapshots;
mod words;
mod workers;
