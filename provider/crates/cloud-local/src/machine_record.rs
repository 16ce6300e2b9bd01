//! What the local cloud has written down about a machine: what its supervisor reads, and what only the cloud
//! knows of it.

use cloud::{AddressId, InstanceState, Tags};
use machine::files::{self, FileError};
use machine::{Desired, MachineConfig, MachineDirectory, Status};
use serde::{Deserialize, Serialize};

/// A machine on disk: what was asked for. Written by the cloud alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MachineRecord {
    /// For its supervisor.
    #[serde(flatten)]
    pub(crate) config: MachineConfig,
    pub(crate) fleet: String,
    /// The reserved address that its own is, if it is one.
    pub(crate) address: Option<AddressId>,
    pub(crate) instance_type: String,
    pub(crate) gpu: Option<String>,
    /// The launch it belongs to, its place in it, and the digest of its request.
    pub(crate) token: String,
    pub(crate) index: u32,
    pub(crate) request: String,
    /// Seconds since 1970.
    pub(crate) launched_at: u64,
    pub(crate) tags: Tags,
    /// The digest of the user data that it was launched with; records of before have none.
    #[serde(default)]
    pub(crate) user_data: Option<String>,
    /// Whether it was started again once: a launch that dies leaves nothing, a start a disk.
    #[serde(default)]
    pub(crate) has_run: bool,
    /// It is this record and nothing else: no supervisor was or will be started for it.
    #[serde(default)]
    pub(crate) record_only: bool,
}

/// How a machine's supervisor does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    NotStarted,
    Starting,
    Alive(Status),
    Dead,
    /// There is none by intention: the machine is a record only, and does what is asked at once.
    RecordOnly,
}

impl MachineRecord {
    /// The record of the machine in this directory; nothing where there is none.
    pub(crate) fn read(machine: &MachineDirectory) -> Result<Option<Self>, FileError> {
        files::read_json(&machine.config_path())
    }

    /// What the contract calls the machine's state; `None` for one that is gone for good.
    pub(crate) fn state(&self, life: &Life, cut: bool) -> Option<InstanceState> {
        match (self.config.desired, life) {
            (Desired::Up, Life::NotStarted | Life::Starting) => Some(InstanceState::Pending),
            (Desired::Up, Life::Alive(_) | Life::RecordOnly) if cut => {
                Some(InstanceState::Impaired)
            }
            (Desired::Up, Life::RecordOnly) => Some(InstanceState::Running),
            (Desired::Up, Life::Alive(status)) if status.booted => Some(InstanceState::Running),
            (Desired::Up, Life::Alive(_)) => Some(InstanceState::Pending),
            (Desired::Up, Life::Dead) => None,
            (Desired::Stopped, Life::Starting | Life::Alive(_)) => Some(InstanceState::Stopping),
            (Desired::Stopped, Life::NotStarted | Life::Dead | Life::RecordOnly) => {
                Some(InstanceState::Stopped)
            }
            (Desired::Terminated, Life::Starting | Life::Alive(_)) => {
                Some(InstanceState::Terminating)
            }
            (Desired::Terminated, Life::NotStarted | Life::Dead | Life::RecordOnly) => None,
        }
    }

    /// How the machine's supervisor does, if it is to have one.
    pub(crate) fn life(&self, machine: &MachineDirectory) -> Result<Life, FileError> {
        if self.record_only { Ok(Life::RecordOnly) } else { machine.life().map(Life::from) }
    }
}

impl From<machine::Life> for Life {
    fn from(life: machine::Life) -> Self {
        match life {
            machine::Life::NotStarted => Self::NotStarted,
            machine::Life::Starting => Self::Starting,
            machine::Life::Alive(status) => Self::Alive(status),
            machine::Life::Dead => Self::Dead,
        }
    }
}
