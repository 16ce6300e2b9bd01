//! Datacentres in memory behind the clouds' own APIs, to test a provider that knows nothing of them.
//!
//! The core ([`datacentre`]) has a clock, zones with capacity, machines with a life, faults and lag, and knows
//! no cloud. [`ec2`] stands above it: EC2's objects and its query API, as far as the provider uses it. It
//! is right where other test servers are wrong: tokens are idempotent in their zone, what is in use
//! cannot be deleted, cards have interfaces of their own, and a zone may be full. Another cloud stands beside
//! `ec2` and implements [`server::Api`].
//!
//! What it deliberately is not: a substitute for the contract. Requests and answers are held against
//! the vendor's own description of the API by other tests.

pub mod datacentre;
pub mod ec2;
#[cfg(test)]
mod layers;
mod patience;
pub mod server;

pub use datacentre::{Datacentre, Fault};
pub use patience::{patience, patient};
pub use server::Server;
