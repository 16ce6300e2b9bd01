//! Everything that can end an operation, as data. No words for users: those are the program's.

use crate::object::Object;
use cloud::{CloudError, CloudName, InstanceId, Interrupted, LaunchError};
use domain::boot_document::BootDocumentError;
use domain::catalogue::NoOffer;
use domain::console::{BootFailure, MachineState, Refusal};
use domain::gpu::GpuRequest;
use domain::id::{FleetId, GroupId, ServiceId};
use domain::spec::WorkerRole;
use std::net::IpAddr;

/// What an operation comes to.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why an operation ended.
#[derive(Debug)]
pub enum Failure {
    /// A call to the cloud.
    Cloud {
        /// The cloud.
        cloud: CloudName,
        /// What was being done, as in `reserve the router's address of service glm`.
        doing: String,
        /// What the cloud says.
        error: CloudError,
    },
    /// This program has no such cloud.
    NoCloud(CloudName),
    /// No offer could be launched.
    Launch {
        /// The cloud.
        cloud: CloudName,
        /// What was being done, as in `launch 2 machines of replica group …`.
        doing: String,
        /// What was tried, in what order.
        error: LaunchError,
    },
    /// The boot of the router, or of every worker, failed.
    Boot {
        /// Whose, as in `the router`.
        what: String,
        /// The machines.
        machines: Vec<FailedMachine>,
        /// What has become of them.
        fate: Fate,
    },
    /// A roll ended before all machines were replaced.
    RollStopped {
        /// The group.
        group: GroupId,
        /// What it has done.
        machines: RollCount,
        /// Who goes first in it.
        order: RollOrder,
        /// Why it ended.
        cause: Box<Failure>,
    },
    /// The operation's time was over, or the user stopped it.
    Interrupted {
        /// For what, as in `the router at 10.0.0.1`.
        waiting_for: String,
        /// What was seen last.
        seen: String,
        /// Which of the two.
        why: Interrupted,
        /// Whether something was made that is kept.
        kept: bool,
    },
    /// The operation's time was over, or the user stopped it, before a service answered.
    Unanswered {
        /// The model that was asked.
        model: String,
        /// Where.
        url: String,
        /// What was seen last.
        seen: EndpointSeen,
        /// The variable of a proxy that leads the router's requests to its workers elsewhere.
        proxy: Option<String>,
        /// Which of the two.
        why: Interrupted,
    },
    /// It exists, and whoever asks for it does not have it.
    AlreadyExists(Object),
    /// Two operations of this program make it at this moment.
    MadeTwice(Object),
    /// What it needs does not exist.
    Missing(Missing),
    /// Something still uses it.
    StillUsed {
        /// What was to be removed.
        what: Object,
        /// Who uses it, in words.
        by: Vec<String>,
    },
    /// It is not as it was made, and nothing can put it back in place.
    Unrepairable {
        /// What.
        what: Object,
        /// What about it.
        findings: Vec<String>,
        /// Why not.
        why: Unrepairable,
    },
    /// Nothing was launched for a group, because its router has not been seen ready.
    RouterNotReady {
        /// The group.
        group: GroupId,
        /// The router's machine.
        router: InstanceId,
        /// Its address.
        ip: IpAddr,
        /// What was seen of it last.
        seen: String,
    },
    /// No machine of the cloud is what the router has to be.
    NoOffer {
        /// The service.
        service: ServiceId,
        /// What there is.
        error: NoOffer,
    },
    /// How a group's machines are to be bought contradicts the reservation that they are to be taken out of.
    Purchase(GroupId),
    /// There is no user data for a machine.
    BootDocument {
        /// Whose: a service's router, or a group's workers.
        what: Object,
        /// Why not.
        error: BootDocumentError,
    },
    /// New machines of a roll differ from the old ones in what both halves of the work have to agree on, and no
    /// group of the other half changes with them.
    NoCounterpart {
        /// The group.
        group: GroupId,
        /// The role of the other half.
        role: WorkerRole,
        /// Where the new machines register.
        namespace: String,
        /// What is missing, in words.
        missing: String,
    },
    /// No zone for a fleet.
    NoZone(NoZone),
    /// What the program itself must never do.
    Bug(String),
}

/// What was seen of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSeen {
    /// Nothing yet.
    Nothing,
    /// It answers something else, or no longer; what, in words.
    Answer(String),
    /// No connection from here; what is in the way.
    NoWayIn(String),
}

/// What is not there.
#[derive(Debug)]
pub enum Missing {
    /// The fleet of a service.
    Fleet(FleetId),
    /// The service of a group.
    Service(ServiceId),
    /// What a service's address says about it.
    Facts {
        /// The service.
        service: ServiceId,
        /// Why it cannot be read.
        error: String,
    },
    /// The router's machine of a group's service.
    Router(ServiceId),
}

/// Why something cannot be put back in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrepairable {
    /// A fleet is not what its cloud can make of it again.
    Fleet,
    /// A service's reserved address is gone, and its workers were told it at their boot.
    AddressGone,
    /// A router was made from something else than is known.
    MadeFromAnother,
    /// A router's settings take another router.
    SettingsNeedAnother,
    /// A machine that is not known of a group carries its tags, and does not say what it was made for.
    Unreadable,
}

/// Why a fleet has no zone.
#[derive(Debug)]
pub enum NoZone {
    /// The subnet is in another one than is asked for.
    SubnetOfAnother {
        /// The subnet's.
        found: String,
        /// The one that is asked for.
        wanted: String,
    },
    /// No machine of the cloud has this GPU.
    NoOffer {
        /// Which of the fleet's GPUs, from 0.
        index: usize,
        /// The GPU.
        gpu: GpuRequest,
        /// What there is.
        error: NoOffer,
    },
    /// No zone offers it, together with those before it.
    NotOffered {
        /// Which of the fleet's GPUs, from 0.
        index: usize,
        /// The GPU.
        gpu: GpuRequest,
        /// The region.
        region: String,
        /// The zone that is asked for, if any.
        wanted: Option<String>,
        /// Zones that offer it.
        others: Vec<String>,
    },
}

impl Failure {
    /// Whether the end of the operation has cut off a call, or the user has stopped the run. What the cloud
    /// would have said is not known.
    pub fn is_cut_off(&self) -> bool {
        match self {
            Self::Cloud { error, .. } => error.kind.is_cut_off(),
            Self::Launch { error, .. } => error.kind().is_cut_off(),
            Self::Interrupted { why, .. } | Self::Unanswered { why, .. } => {
                *why == Interrupted::Cancelled
            }
            _ => false,
        }
    }
}

/// What a roll that was stopped has done, and what it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollCount {
    /// Old machines that it has removed.
    pub removed: usize,
    /// Machines on their way out: they take no requests, and are there until what runs on them has ended.
    pub draining: usize,
    /// Machines that run what they ran before.
    pub old: usize,
    /// Machines that run what is wanted now.
    pub new: usize,
    /// Machines of what is wanted now that were not seen to their end: they boot, or are kept for inspection.
    pub unfinished: usize,
}

/// Who goes first in a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollOrder {
    /// Machines go before there are others for them.
    OldFirst,
    /// Others are there before a machine goes, as it was said.
    NewFirst,
    /// The same, because no other machine serves, and nobody has said that this one may go.
    NewForTheLast,
}

/// What has become of the machines of a failed boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nobody has touched them: they are not this operation's.
    Untouched,
    /// They, or what waited for them, were removed.
    Removed,
    /// They are left for inspection, as it was wished for.
    Kept,
    /// They were to be removed, and could not be.
    NotRemoved,
    /// Nothing has failed on them: they are only late, and waited for by the next operation.
    Late,
}

impl Fate {
    /// Of a removal that was tried.
    pub fn of_removal(is_removed: bool) -> Self {
        if is_removed { Self::Removed } else { Self::NotRemoved }
    }
}

/// A machine whose boot failed.
#[derive(Clone, Debug)]
pub struct FailedMachine {
    /// Its id in the cloud.
    pub id: String,
    /// Its address, in words.
    pub address: String,
    /// Why.
    pub reason: MachineFailure,
}

impl FailedMachine {
    /// One that the cloud has no longer, at the address that it had, if any.
    pub fn gone(id: &InstanceId, address: Option<IpAddr>) -> Self {
        Self::new(id, address, MachineFailure::Gone(None))
    }

    /// Whether nothing has failed but the patience for it.
    pub fn is_late(&self) -> bool {
        matches!(self.reason, MachineFailure::Silent { .. })
    }

    /// One at this address, if it has any.
    pub fn new(id: &InstanceId, address: Option<IpAddr>, reason: MachineFailure) -> Self {
        let address = address.map_or_else(|| "no address".to_owned(), |ip| ip.to_string());
        Self { id: id.to_string(), address, reason }
    }
}

/// What is known of a failed boot.
#[derive(Clone, Debug)]
pub enum MachineFailure {
    /// Its boot said so, with its last lines.
    Reported(BootFailure),
    /// The cloud has it no longer, and may say why.
    Gone(Option<String>),
    /// Its router is healthy and does not let it in at this `IP:PORT`.
    RouterUnreachable(String),
    /// It is registered and healthy, and its router does not want it.
    Refused(Refusal),
    /// It did not register in time; the last state that it told, and the last lines of its console.
    Silent {
        /// What it said last of itself.
        state: Option<MachineState>,
        /// The last lines of its console.
        lines: Vec<String>,
    },
}

/// Says what was being done when a call to the cloud failed.
pub(crate) trait Doing<T> {
    fn doing(self, cloud: CloudName, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for cloud::Result<T> {
    fn doing(self, cloud: CloudName, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::Cloud { cloud, doing: doing(), error })
    }
}
