//! A service: exactly one router at a reserved address.
//!
//! | to change | look in |
//! |---|---|
//! | what a service is to be | `desired.rs` |
//! | what there is of a service | `find.rs` |
//! | what about it is not as it was made | `findings.rs` |
//! | under which id it is made, when two runs make one | `claim.rs` |
//! | how it is made, and how long that may take | `create.rs`, `router.rs`, `wait.rs`, `creations.rs` |
//! | the tags of its router and its address | `tags.rs` |
//! | how it is brought to what is declared | `update.rs` |
//! | its address, its rule and its way from outside | `address.rs` |
//! | how a router comes back | `recovery.rs` |
//! | how it goes | `delete.rs`, `removal.rs` |

mod address;
mod claim;
mod create;
mod creations;
mod delete;
mod desired;
mod find;
mod findings;
mod recovery;
mod removal;
mod router;
mod tags;
mod update;
mod wait;

pub use create::create;
pub use delete::delete;
pub use desired::{DesiredService, ServicePolicy, ServiceRecord};
pub use find::{FoundService, all, find_by_id, find_by_name};
pub use findings::{findings, moved, router_findings};
pub use removal::unowned;
pub use router::{access, boot_document, endpoint};
pub use update::{ServiceChange, ServiceProgress, update};
pub use wait::WaitFor;

pub(crate) use creations::announce;
pub(crate) use find::ROUTER;
pub(crate) use removal::{remove_old_unowned, remove_unowned};
pub(crate) use router::mark_live;
