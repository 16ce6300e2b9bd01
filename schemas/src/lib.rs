//! The attribute tables: one Rust definition per resource.
//!
//! A definition is a struct whose fields are the attributes. Its doc comments are the descriptions,
//! its types are the types, and `x-disagg` on each field is the attribute's row in the table: is it
//! required, what is its default, what does a change of it do, where does an import read it from.
//! From it come the Terraform schema with its defaults and validators ([`terraform`]), the change
//! classes of the router guard ([`table`]), the committed JSON Schemas beside this crate and the
//! golden `provider.json`.
//!
//! Deliberately not here: what an operation does (the provider), what a value means (`domain`).

mod changes;
mod data_sources;
mod endpoint;
mod fleet;
mod format;
mod provider_config;
mod replica_group;
mod service;
pub mod table;
mod terraform;
mod timeouts;

pub use changes::changes;
pub use data_sources::{OfferedMachine, Offers, ServiceLookup};
pub use endpoint::{Endpoint, GroupReference, Probe};
pub use fleet::{Fleet, Gpu, Ssh};
pub use provider_config::{AssumeRole, Aws, Local, ProviderConfig};
pub use replica_group::{Engine, Member, ReplicaGroup, Resources, Scaling, UpdateStrategy};
pub use service::{Cidr, Router, RouterResources, Service};
pub use terraform::schema;
pub use timeouts::Timeouts;
