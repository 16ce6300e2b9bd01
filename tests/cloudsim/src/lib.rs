//! A datacentre in memory behind the clouds' own APIs, to test a provider that knows nothing of it.
//!
//! One model ([`Datacentre`]) has zones with capacity, machines with a life, interfaces, addresses,
//! placement, tags and quotas; `ec2` speaks EC2's query API over it, as far as the provider uses it. It
//! is right where other test servers are wrong: tokens are idempotent in their zone, what is in use
//! cannot be deleted, cards have interfaces of their own, and a zone may be full.
//!
//! What it deliberately is not: a substitute for the contract. Requests and answers are held against
//! the vendor's own description of the API by other tests.

pub mod datacentre;
mod ec2;
mod server;

pub use datacentre::{Datacentre, Fault, Settings};
pub use server::Server;
