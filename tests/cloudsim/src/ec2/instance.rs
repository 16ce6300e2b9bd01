//! Instances: what a machine is to EC2 beside its life.

use super::interface::Interface;
use super::launch::Launch;
use super::refusal::{Refusal, not_found_as};
use super::region::Region;
use crate::datacentre::{End, Machine, MachineState, Refused};

/// What EC2 knows of a machine.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    /// What it was launched as.
    pub(super) launch: Launch,
    /// The launch's token.
    pub(super) token: String,
    /// Its reservation: EC2's word for one launch.
    pub(super) reservation: String,
    /// Its metadata service, which changes.
    pub(super) metadata: MetadataOptions,
}

/// How a machine's metadata service answers. Whether it shows tags is the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MetadataOptions {
    /// `required` or `optional`.
    pub(super) tokens: String,
    /// `enabled` or `disabled`.
    pub(super) endpoint: String,
    /// Hops of an answer to PUT.
    pub(super) hops: u32,
}

impl MetadataOptions {
    pub(super) fn of(launch: &Launch) -> Self {
        let said = |name: &str| launch.more.get(&format!("MetadataOptions.{name}")).cloned();
        Self {
            tokens: said("HttpTokens").unwrap_or_else(|| "optional".to_owned()),
            endpoint: said("HttpEndpoint").unwrap_or_else(|| "enabled".to_owned()),
            hops: said("HttpPutResponseHopLimit").and_then(|hops| hops.parse().ok()).unwrap_or(1),
        }
    }
}

impl Instance {
    /// The key pair that it was launched with.
    pub(super) fn key_pair(&self) -> Option<&String> {
        self.launch.more.get("KeyName")
    }

    /// Whether it may be taken back at any time.
    pub(super) fn is_spot(&self) -> bool {
        let market = self.launch.more.get("InstanceMarketOptions.MarketType");
        market.is_some_and(|market| market == "spot")
    }
}

/// EC2's code and name of a state.
pub(super) fn code_and_name(state: MachineState) -> (u32, &'static str) {
    match state {
        MachineState::Pending => (0, "pending"),
        MachineState::Running => (16, "running"),
        MachineState::Ending => (32, "shutting-down"),
        MachineState::Ended => (48, "terminated"),
        MachineState::Stopping => (64, "stopping"),
        MachineState::Stopped => (80, "stopped"),
    }
}

impl Region {
    pub(super) fn instance(&self, id: &str) -> Result<(&Machine, &Instance), Refusal> {
        let both = self.machines.get(id).zip(self.instances.get(id));
        both.ok_or_else(|| not_found_as("i", id))
    }

    pub(super) fn instance_state(&self, id: &str) -> Result<MachineState, Refusal> {
        self.state_of(id).map_err(|refused| Refusal::of_machine(id, refused))
    }

    /// Terminates them all, or none when one is unknown.
    pub(super) fn terminate(&mut self, ids: &[String]) -> Result<(), Refusal> {
        self.end_all(ids, &End::ByUser)
    }

    /// The same for any reason.
    pub(super) fn end_all(&mut self, ids: &[String], why: &End) -> Result<(), Refusal> {
        let unknown = ids.iter().find(|id| !self.machines.contains_key(*id));
        if let Some(id) = unknown {
            return Err(Refusal::of_machine(id, Refused::Unknown));
        }
        for id in ids {
            self.end(id, why.clone()).map_err(|refused| Refusal::of_machine(id, refused))?;
        }
        self.tidy();
        Ok(())
    }

    /// The first interface of a machine.
    pub(super) fn primary(&self, machine: &str) -> Option<&Interface> {
        self.interfaces.values().find(|interface| {
            let on = interface.attachment.as_ref();
            on.is_some_and(|on| on.machine == machine && (on.device, on.card) == (0, 0))
        })
    }
}
