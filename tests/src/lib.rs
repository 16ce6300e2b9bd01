//! Black-box tests: the real Terraform drives the built provider, on every cloud there is a stand-in for.
//! On the local cloud the real Dynamo, etcd and NATS run inside the machines; those of the simulated AWS
//! boot nothing, and only say that they did.
//!
//! A test is a function that takes a [`Cloud`], listed in [`tests!`] with what it needs. It makes a
//! [`Workspace`], applies configurations from [`config`], and asks the state, the plan and the machines.
//! Nothing here knows the provider's code. A missing tool is a failure.

pub mod config;
mod http;
mod machines;
mod plan;
mod site;
mod workspace;

pub use cloudsim::patient;
pub use http::{Answer, Chats, assert_chats, chat, chat_stream};
pub use machines::{Machine, wait_until};
pub use plan::Plan;
pub use site::{Aws, Cloud, Fault, Local, Site};
pub use workspace::{Run, Workspace, kill, release_directory, signal};
