//! Draining a worker: what its router is told so that it chooses it no longer, and when nothing runs on
//! it any more.
//!
//! A worker is registered by two keys in the router's etcd: its model card, by which the router chooses
//! it, and its instance, by which the router reaches it. The card goes first: a request that is on its way
//! when the instance goes is cancelled.

mod limit;
mod load;
mod registry;

pub use limit::{InvalidLimit, parse_limit};
pub use load::{Load, UnreadableMetrics};
pub use registry::{Registered, Request, UnreadableRegistry, read_registry};
