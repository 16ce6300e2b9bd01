//! What a cloud must do for us, and nothing about how.
//!
//! The doc comments of [`Cloud`] are the contract; the conformance suite is that contract as a
//! program. This crate knows no Terraform, no engine and no vendor SDK, and it depends on no other
//! crate of this workspace.

mod backoff;
mod boot_document;
mod changes;
mod claim;
mod cloud_config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod deadline;
mod error;
mod exhausted;
mod gzip;
mod launch;
mod launch_request;
mod managed;
mod offer;
mod profile;
#[cfg(any(test, feature = "conformance"))]
pub mod scripted;
mod tags;
mod types;
mod visibility;

pub use backoff::Backoff;
pub use boot_document::{BootDocument, BootFile, SPEC_PATH};
pub use changes::{Changes, FleetPart};
pub use claim::FleetClaim;
pub use cloud_config::{ForeignDocument, TooLarge, is_printable};
pub use deadline::{Deadline, Interrupted};
pub use error::{CloudError, ErrorKind, RequestPart, Result, with_causes};
pub use launch::{LaunchError, check_over_offers, launch_over_offers};
pub use launch_request::{Egress, LaunchRequest, Purchase, UnknownEgress, is_token_for};
pub use managed::{Calls, Managed};
pub use offer::{Interconnect, Offer};
pub use profile::{
    CloudName, Feature, OfferSource, Places, Polling, Profile, Propagation, UnknownCloud,
};
pub use tags::{Key, Label, LabelFilter, Note, Phase, Tags, tag};
pub use types::{
    Address, AddressId, AddressRequest, Console, Finding, Fleet, FleetKey, FleetRequest, Ingress,
    Instance, InstanceId, InstanceState, ObjectId, Opening, PlacementStrategy, Site, SiteFilter,
    SshAccess, SshKey,
};
pub use visibility::until_visible;

use async_trait::async_trait;
use std::{collections::BTreeMap, fmt::Debug, time::SystemTime};

/// One cloud, in one account and region.
///
/// Rules for every method:
/// - **Idempotent.** A repeat with the same request has the effect of one call, also when the first
///   call's answer was lost. Requests that create carry a `token`: same token, same object.
/// - **A call returns when the cloud has decided**: what is asked for is had, or it is refused. Where a cloud
///   accepts first and decides later, the call asks until it has. What lacks capacity or quota is refused by the
///   call, on every cloud, so that [`launch_over_offers`] can go on to the next offer. How long that may take is
///   the operation's to say, and [`Managed`]'s to end.
/// - **None waits for more.** An instance may come back without being up, an instance that is being terminated
///   is still listed. Waiting is the caller's ([`Cloud::list_instances`] is made to be polled: one call for a whole
///   fleet).
/// - **Absent is not an error.** Reads answer `None` or an empty list; deletes answer `Ok`.
/// - **Errors tell the truth.** [`ErrorKind`] is decided by the cloud's code, never guessed; what
///   the cloud said (code, message, request id) is carried along.
/// - **May be cut off.** [`Managed`] drops a call when its operation ends, at any `await`; that has the effect of
///   a lost answer, and nothing else: the same request again goes on with what the first one began.
/// - **No secrets** in errors, in `Debug` or in tracing.
#[async_trait]
pub trait Cloud: Debug + Send + Sync {
    /// Which cloud this is.
    fn name(&self) -> CloudName;

    /// What it is, as far as that can be told without asking it.
    fn profile(&self) -> &'static Profile {
        self.name().profile()
    }

    /// The cloud's own time, as its latest answer told it: what is old is not judged by the clock of the computer
    /// that asks, unless that is the cloud. Seconds since 1970, as in [`Instance::launched_at`].
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    /// The sites of the region that the filter means, in no order that says anything; none is no error.
    /// `InvalidRequest` when the region has no subnet of that name, `Unsupported` when the cloud has none at
    /// all.
    async fn find_sites(&self, region: &str, filter: &SiteFilter) -> Result<Vec<Site>>;

    /// Claims the fleet's name in its region and makes its placement and network. The same request
    /// again returns the same fleet, also when a first call died half-way: what is missing is made.
    /// A name that is claimed by a fleet with phase `ready`, or one that is made otherwise, is `Conflict`.
    async fn create_fleet(&self, request: &FleetRequest) -> Result<Fleet>;

    /// The fleets that there are in the region, whatever their phase, ordered by name.
    async fn list_fleets(&self, region: &str) -> Result<Vec<FleetKey>>;

    /// The fleet as the cloud has it now.
    async fn get_fleet(&self, key: &FleetKey) -> Result<Option<Fleet>>;

    /// Puts back what was changed by hand about the fleet itself, as far as that can be done in
    /// place, whatever its phase; `findings` of the answer say what is left.
    async fn repair_fleet(&self, key: &FleetKey) -> Result<Fleet>;

    /// Removes placement and network. `InUse` while an address or an instance is left in it, with
    /// their names in the message.
    async fn delete_fleet(&self, key: &FleetKey) -> Result<()>;

    /// Reserves an internal address in the fleet, before there is an instance to hold it.
    async fn reserve_address(&self, request: &AddressRequest) -> Result<Address>;

    /// Every reserved address of the fleet whose labels match.
    async fn list_addresses(&self, fleet: &FleetKey, filter: &LabelFilter) -> Result<Vec<Address>>;

    /// Gives the address back. `InUse` while an instance that is not terminated holds it.
    async fn release_address(&self, fleet: &FleetKey, id: &AddressId) -> Result<()>;

    /// Launches `count` identical instances, all or none: when the cloud cannot give them all, what
    /// it gave is removed before the error is returned, also what it gave before it refused the rest. The same
    /// token again returns the same
    /// instances while they live; with another request it is `Conflict`, and when they are gone it may
    /// be `TokenSpent`, because some clouds remember a token for good.
    async fn launch(&self, request: &LaunchRequest) -> Result<Vec<Instance>>;

    /// Whether the cloud would take this launch: what it tells without making anything, by the errors
    /// of [`Cloud::launch`]. It promises no capacity.
    async fn check_launch(&self, request: &LaunchRequest) -> Result<()>;

    /// Every instance of the fleet whose labels match, also those that are stopped or on their way
    /// out. Instances that are gone for good are left out. Pages are followed to the end.
    async fn list_instances(&self, fleet: &FleetKey, filter: &LabelFilter)
    -> Result<Vec<Instance>>;

    /// The instances of these ids, whatever has become of their tags: what [`Cloud::list_instances`] does
    /// not list may still be there, and be paid for. Those that are gone are left out.
    async fn find_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<Vec<Instance>>;

    /// Starts an instance that is stopped: same address, same disk.
    async fn start_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()>;

    /// Reboots an instance that runs but does not work: same address, same disk.
    async fn reboot_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()>;

    /// Puts back what was changed by hand about an instance, as far as that can be done while it runs, and
    /// gives it what it could not have before it ran.
    async fn repair_instance(&self, fleet: &FleetKey, id: &InstanceId) -> Result<()>;

    /// Starts to remove the instances. The operating system is asked to stop first, so that units
    /// get SIGTERM and drain; what does not stop in the cloud's own time is cut off.
    async fn terminate_instances(&self, fleet: &FleetKey, ids: &[InstanceId]) -> Result<()>;

    /// Why those of these instances have ended that are gone, in the cloud's own words; nothing about one that
    /// runs, or that the cloud has forgotten.
    async fn why_ended(
        &self,
        fleet: &FleetKey,
        ids: &[InstanceId],
    ) -> Result<BTreeMap<InstanceId, String>>;

    /// What the instance wrote to its serial console, at least the last 64 KB as far as the cloud
    /// keeps them. May lag behind.
    async fn console(&self, fleet: &FleetKey, id: &InstanceId) -> Result<Console>;

    /// The document that the instance was launched with; nothing when there is no such instance. A cloud that
    /// does not show what it was given keeps a copy that it can read. `Unreadable` when the instance is there
    /// and was launched with something else, or with nothing.
    async fn boot_document(
        &self,
        fleet: &FleetKey,
        id: &InstanceId,
    ) -> Result<Option<BootDocument>>;

    /// Makes the rule for traffic from outside to this service, named by its label, exactly this one, or closes it.
    /// The rules as they are come with [`Cloud::get_fleet`].
    async fn set_ingress(
        &self,
        fleet: &FleetKey,
        service: &str,
        opening: Option<&Opening>,
    ) -> Result<()>;

    /// Makes the access of people exactly this one, or takes it away. Instances that exist keep their keys.
    /// `InvalidRequest` when the region has no such key, `Unsupported` when the cloud has none at all.
    async fn set_ssh(&self, fleet: &FleetKey, access: Option<&SshAccess>) -> Result<()>;

    /// Writes these labels and notes on these objects and leaves every other one alone.
    async fn tag(&self, fleet: &FleetKey, objects: &[ObjectId], tags: &Tags) -> Result<()>;
}
