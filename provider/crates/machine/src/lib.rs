//! A machine, from the inside: one process that does for its units what a VM's kernel, cloud-init and
//! systemd would, in a directory that is its disk.
//!
//! It boots from the very user data that a VM would get, and honours exactly the subset of cloud-init and
//! systemd that our generator emits ([`cloud::BootDocument`] is all of it). Whoever launches a machine writes a [`MachineConfig`] into its
//! [`MachineDirectory`] and starts [`machine_main`]; from then on the directory tells how it does.
//!
//! What it deliberately does not do: know who launched it, of which fleet or service it is, or what its units
//! are for; come back by itself after it was killed. Linux only.

#![cfg(target_os = "linux")]
mod config;
pub mod containers;
mod directory;
mod environment;
pub mod files;
mod logs;
mod namespace;
pub mod processes;
mod program;
mod root;
mod secrets;
mod service;
pub mod shared_cache;
mod supervisor;
pub mod time_span;
mod unit;
mod unit_file;

pub use config::{Desired, MachineConfig};
pub use directory::{ALIVE, Life, MachineDirectory, Status, digest_of, log_tail};
pub use program::machine_main;
pub use secrets::{MissingVariable, SecretLookup, Secrets};
