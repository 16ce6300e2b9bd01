//! Everything that can end an operation, as data. The words for the user are in `diagnose.rs`.

use cloud::{CloudError, CloudName, LaunchError};
use domain::console::BootFailure;
use plugin::{AttributePath, ConvertError, Interrupted};

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
    Launch { cloud: CloudName, doing: String, error: LaunchError },
    /// The boot of the router, or of every worker, failed.
    Boot { what: String, machines: Vec<FailedMachine>, kept: bool },
    /// A roll ended before all machines were replaced.
    RollStopped {
        group: String,
        /// Machines that it had removed.
        removed: usize,
        /// Machines that still run what they ran before.
        left: usize,
        /// Machines that run what is wanted now, or are on their way to it.
        new: usize,
        cause: Box<Failure>,
    },
    /// The operation's time was over, or the user stopped it.
    Interrupted { waiting_for: String, seen: String, why: Interrupted, kept: bool },
    /// It belongs to another state, or to the old object under `create_before_destroy`.
    AlreadyExists { what: String, address: &'static str, import: String },
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

impl Failure {
    /// An import id that is none.
    pub(crate) fn import_id(detail: String) -> Self {
        Self::Invalid {
            summary: "Invalid import id".to_owned(),
            detail,
            attribute: Some(AttributePath::root("id")),
        }
    }
}

/// A machine whose boot failed.
#[derive(Clone, Debug)]
pub(crate) struct FailedMachine {
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) reason: MachineFailure,
}

/// What is known of a failed boot.
#[derive(Clone, Debug)]
pub(crate) enum MachineFailure {
    /// Its boot said so, with its last lines.
    Reported(BootFailure),
    /// The cloud has it no longer.
    Gone,
    /// It did not register in time; the last lines of its console.
    Silent(Vec<String>),
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
