//! A service: exactly one router at a reserved address.
//!
//! | to change | look in |
//! |---|---|
//! | what there is of a service | `find.rs` |
//! | what about it is not as it was made | `findings.rs` |
//! | under which id it is made, when two runs make one | `claim.rs` |
//! | how it is made | `create.rs`, `router.rs`, `wait.rs` |
//! | its address, its rule and its way from outside | `address.rs` |
//! | how a router comes back | `recovery.rs` |
//! | how it goes | `delete.rs`, `removal.rs` |

mod address;
mod claim;
mod create;
mod delete;
mod find;
mod findings;
mod recovery;
mod removal;
mod router;
mod tags;
mod wait;

pub use address::{change_endpoint, set_ingress};
pub use create::create;
pub use delete::delete;
pub use find::{FoundService, find_by_id, find_by_name};
pub use findings::drift;
pub use recovery::recover;
pub use removal::unowned;
pub use router::{access, endpoint, user_data};
pub use wait::WaitFor;

pub(crate) use removal::{remove_old_unowned, remove_unowned};
pub(crate) use router::mark_live;

use cloud::{Address, Instance};
use domain::id::ServiceId;
use domain::spec::RouterSpec;

/// What a service is to be.
#[derive(Clone, Debug)]
pub struct DesiredService {
    /// What its router is made from. The uid counts for nothing while it is being created.
    pub spec: RouterSpec,
    /// How it is handled.
    pub policy: ServicePolicy,
}

/// How a service is handled; nothing of it is baked into its router.
#[derive(Clone, Debug)]
pub struct ServicePolicy {
    /// Whether it is reached from outside at an address of its own; none where its subnet decides.
    pub public: Option<bool>,
    /// The blocks that may reach it.
    pub ingress: Vec<String>,
    /// What is waited for before there is a service.
    pub wait_for: WaitFor,
    /// Whether a router whose boot failed stays for inspection.
    pub keeps_failed: bool,
    /// The image that the router was made from, for one in its place.
    pub image: Option<String>,
}

/// What there is of a service that is being made.
#[derive(Clone, Debug)]
pub struct ServiceRecord {
    /// Its id.
    pub id: ServiceId,
    /// Its reserved address.
    pub address: Address,
    /// Its router, as soon as it is launched.
    pub router: Option<Instance>,
    /// Whether the router was seen ready; none while nobody has looked.
    pub live: Option<bool>,
}

impl DesiredService {
    /// The same under this id.
    pub(crate) fn of(&self, id: &ServiceId) -> Self {
        let spec = RouterSpec { uid: id.uid.clone(), ..self.spec.clone() };
        Self { spec, policy: self.policy.clone() }
    }
}
