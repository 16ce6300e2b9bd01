//! Black-box tests: the real Terraform drives the built provider on the local cloud, with the real
//! Dynamo, etcd and NATS inside the machines.
//!
//! With `DISAGG_TEST_CLOUD=aws` the same tests run on a simulated AWS, whose machines boot nothing and
//! only say that they did.
//!
//! A test makes a [`Workspace`], applies configurations from [`config`], and asks the state, the
//! plan and the machines. Nothing here knows the provider's code. A missing tool is a failure.

mod aws;
pub mod config;
mod guests;
mod http;
mod machines;
mod place;
mod plan;
mod workspace;

pub use aws::Aws;
pub use cloudsim::patient;
pub use http::{Answer, Chats, assert_chats, chat, chat_stream};
pub use machines::{Machine, wait_until};
pub use place::{Place, path, serves};
pub use plan::Plan;
pub use workspace::{Run, Workspace, kill, release_directory, signal};
