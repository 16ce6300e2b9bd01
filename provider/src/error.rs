//! Everything that can end an operation, as data. The words for the user are in `diagnose.rs`.

use cloud::{CloudError, CloudName, InstanceId, LaunchError, RequestPart};
use domain::console::{BootFailure, MachineState, Refusal};
use plugin::{AttributePath, ConvertError, Interrupted};
use std::net::IpAddr;

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why an operation ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A call to the cloud.
    Cloud {
        cloud: CloudName,
        /// What was being done, as in `reserve the router's address of service glm`.
        doing: String,
        error: CloudError,
        attribute: Option<AttributePath>,
    },
    /// No offer could be launched.
    Launch { cloud: CloudName, doing: String, error: LaunchError, attribute: Option<AttributePath> },
    /// The boot of the router, or of every worker, failed.
    Boot { what: String, machines: Vec<FailedMachine>, fate: Fate },
    /// A roll ended before all machines were replaced.
    RollStopped { group: String, machines: RollCount, order: RollOrder, cause: Box<Failure> },
    /// The operation's time was over, or the user stopped it.
    Interrupted { waiting_for: String, seen: String, why: Interrupted, kept: bool },
    /// It belongs to another state, or to the old object under `create_before_destroy`.
    AlreadyExists { what: String, address: &'static str, import: String },
    /// This run removes it at one address in Terraform, and makes it or has it at another.
    TwoAddresses { what: String, kind: &'static str },
    /// What it needs does not exist.
    Missing { what: String, attribute: Option<AttributePath>, hint: String },
    /// Something still uses it.
    StillUsed { what: String, by: Vec<String>, hint: String },
    /// It is not as it was made, and no apply can put it back in place.
    Unrepairable { what: String, findings: Vec<String>, way_out: String },
    /// A value that only now turns out to be wrong.
    Invalid { summary: String, detail: String, attribute: Option<AttributePath> },
    /// A state that no release of ours has written.
    Unreadable { what: String, detail: String },
    /// What the provider itself must never do.
    Bug(String),
}

/// The attributes of a resource that stand behind the parts of a request.
pub(crate) type AttributesOf = [(RequestPart, &'static str)];

impl Failure {
    /// Points to the attribute that the cloud finds fault with, if it has told.
    pub(crate) fn at_fault(mut self, attributes: &AttributesOf) -> Self {
        let of_part = |part: Option<RequestPart>| {
            let (_, name) = attributes.iter().find(|(known, _)| Some(*known) == part)?;
            Some(AttributePath::root(name))
        };
        match &mut self {
            Self::Cloud { error, attribute: attribute @ None, .. } => {
                *attribute = of_part(error.part)
            }
            Self::Launch { error, attribute: attribute @ None, .. } => {
                // The last attempt is the one that ended the walk.
                *attribute = of_part(error.attempts.last().and_then(|(_, error)| error.part));
            }
            Self::RollStopped { cause, .. } => {
                let inner = std::mem::replace(&mut **cause, Self::Bug(String::new()));
                **cause = inner.at_fault(attributes);
            }
            _ => {}
        }
        self
    }

    /// Whether the end of the operation has cut off a call, or the user has stopped the run. What the cloud
    /// would have said is not known.
    pub(crate) fn is_cut_off(&self) -> bool {
        match self {
            Self::Cloud { error, .. } => error.kind.is_cut_off(),
            Self::Launch { error, .. } => error.kind().is_cut_off(),
            Self::Interrupted { why, .. } => *why == Interrupted::Cancelled,
            _ => false,
        }
    }

    /// An import id that is none.
    pub(crate) fn import_id(detail: String) -> Self {
        Self::Invalid {
            summary: "Invalid import id".to_owned(),
            detail,
            attribute: Some(AttributePath::root("id")),
        }
    }
}

/// What a roll that was stopped has done, and what it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RollCount {
    /// Machines of before that it has removed.
    pub(crate) removed: usize,
    /// Machines on their way out: they take no requests, and are there until what runs on them has ended.
    pub(crate) draining: usize,
    /// Machines that run what they ran before.
    pub(crate) old: usize,
    /// Machines that run what is wanted now.
    pub(crate) new: usize,
    /// Machines of what is wanted now that were not seen to their end: they boot, or are kept for a look.
    pub(crate) unfinished: usize,
}

/// Who goes first in a roll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RollOrder {
    /// Machines go before there are others for them.
    OldFirst,
    /// Others are there before a machine goes, as it was said.
    NewFirst,
    /// The same, because no other machine serves, and nobody has said that this one may go.
    NewForTheLast,
}

/// What has become of the machines of a failed boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nobody has touched them: they are not this operation's.
    Untouched,
    /// They, or what waited for them, were removed.
    Removed,
    /// They are left for a look, as it was wished for.
    Kept,
    /// They were to be removed, and could not be.
    NotRemoved,
    /// Nothing has failed on them: they are only late, and waited for by the next apply.
    Late,
}

impl Fate {
    /// Of a removal that was tried.
    pub(crate) fn of_removal(is_removed: bool) -> Self {
        if is_removed { Self::Removed } else { Self::NotRemoved }
    }
}

/// A machine whose boot failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedMachine {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) reason: MachineFailure,
}

impl FailedMachine {
    /// One that the cloud has no longer, at the address that it had, if any.
    pub(crate) fn gone(id: &InstanceId, address: Option<IpAddr>) -> Self {
        Self::new(id, address, MachineFailure::Gone(None))
    }

    /// Whether nothing has failed but the patience for it.
    pub(crate) fn is_late(&self) -> bool {
        matches!(self.reason, MachineFailure::Silent { .. })
    }

    pub(crate) fn new(id: &InstanceId, address: Option<IpAddr>, reason: MachineFailure) -> Self {
        let address = address.map_or_else(|| "no address".to_owned(), |ip| ip.to_string());
        Self { id: id.to_string(), address, reason }
    }
}

/// What is known of a failed boot.
#[derive(Clone, Debug)]
pub(crate) enum MachineFailure {
    /// Its boot said so, with its last lines.
    Reported(BootFailure),
    /// The cloud has it no longer, and may say why.
    Gone(Option<String>),
    /// Its router is healthy and does not let it in at this `IP:PORT`.
    Stranded(String),
    /// It is registered and healthy, and its router does not want it.
    Refused(Refusal),
    /// It did not register in time; the last state that it told, and the last lines of its console.
    Silent { state: Option<MachineState>, lines: Vec<String> },
}

impl From<ConvertError> for Failure {
    fn from(error: ConvertError) -> Self {
        Self::Bug(error.to_string())
    }
}

/// Says what was being done when a call to the cloud failed.
pub(crate) trait Doing<T> {
    fn doing(self, cloud: CloudName, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for cloud::Result<T> {
    fn doing(self, cloud: CloudName, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Failure::Cloud { cloud, doing: doing(), error, attribute: None })
    }
}
