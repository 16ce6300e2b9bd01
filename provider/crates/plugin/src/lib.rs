//! Terraform plugin protocol 6: write a provider in Rust.
//!
//! This crate speaks with Terraform and keeps its rules; it knows nothing of clouds, and no other
//! crate of this workspace.
//!
//! # A resource from nothing
//!
//! 1. **The model**: a struct with a field for each attribute, an [`Attr`] where the value can be
//!    null or unknown, with serde's `Serialize` and `Deserialize`.
//! 2. **The [`Schema`]**: the same attributes with their types and who gives them. A unit test asks
//!    [`Schema::problems`], which must be empty.
//! 3. **The [`Resource`]**: `plan` is pure and shapes what will be; `create`, `read`, `update`,
//!    `delete` and `import` work, and save into [`State`] as they learn.
//! 4. **The list**: `resource(MyResource)` in [`Provider::resources`].
//! 5. **A test**: [`testing::Harness`] drives it as Terraform would, without Terraform.
//!
//! A [`DataSource`] is made the same way, with `read` alone; a [`Function`] has arguments instead of
//! a model. Each has its list in [`Provider`].
//!
//! `tests/example.rs` of this crate is a whole provider with one resource and its test,
//! `tests/lookups.rs` has a function and a data source, `tests/upgrade.rs` a state of before.
//!
//! # What is kept for you
//!
//! - The handshake, mutual TLS with exactly the host that started us, logging, the end.
//! - Defaults, validators at every depth, unknown values, write-only values, `timeouts`.
//! - The order of a plan (see `plan.rs`), and private data through plan, replacement and apply.
//! - A plan or a result that Terraform would reject is said as a provider bug, with the
//!   attribute's name, and never sent as if it were right.
//!
//! # What a handler must know
//!
//! - What is saved last goes back with an error too. In a creation, nothing saved means that
//!   nothing was made, and something saved with an error is *tainted*: the next plan replaces it.
//! - Every known value that was planned must come back as it was.
//! - A handler that changes something is never dropped: where it waits, it asks [`Ctx::checked`]. A read
//!   or an import that goes on after its end is.

mod attr;
mod author_checks;
mod convert;
mod ctx;
mod data_source;
mod diagnostics;
mod ephemeral;
mod erased;
mod function;
mod handshake;
mod host;
mod identity;
mod listener;
mod log;
mod msgpack;
mod parent;
mod path;
mod plan;
mod private;
pub mod proto;
mod provider;
mod resource;
mod rpc;
mod schema;
mod serve;
mod service;
pub mod testing;
mod timeouts;
mod tls;
mod transport;
mod value;
mod wire;

pub use attr::Attr;
pub use convert::{ConvertError, from_value, to_value};
pub use ctx::{Ctx, Interrupted, Timeouts};
pub use data_source::{DataSource, DynDataSource, data_source};
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use ephemeral::{DynEphemeralResource, EphemeralResource, Opened, ephemeral_resource};
pub use erased::{ApplyRequest, DynResource, Outcome, resource};
pub use function::{DynFunction, Function, FunctionError, Parameter, Signature, function};
pub use identity::IdentityPart;
pub use path::{AttributePath, Step};
pub use plan::{PlanRequest, PlanResponse};
pub use private::Private;
pub use provider::Provider;
pub use resource::{Change, Resource, State};
pub use schema::{
    Attribute, AttributeKind, Invalid, Mode, Nesting, PlanModifier, Schema, Type, Validator,
};
pub use serve::{Serve, serve};
pub use value::{HasUnknown, Number, Unknown, Value};
