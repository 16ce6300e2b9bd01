//! What EC2 refuses a request with.

use crate::datacentre::{Lack, Refused};

/// A code and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// EC2's code.
    pub(super) code: String,
    /// EC2's message, near enough.
    pub(super) message: String,
}

impl Refusal {
    /// The client's fault.
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.to_owned(), message: message.into() }
    }

    /// The cloud's own, which EC2 sends with a server's status.
    pub(super) fn server(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(code, message) }
    }

    /// Of a machine that does not do what it is told.
    pub(super) fn of_machine(id: &str, refused: Refused) -> Self {
        match refused {
            Refused::Unknown => not_found_as("i", id),
            Refused::In(state) => {
                let (_, name) = super::instance::code_and_name(state);
                let message = format!(
                    "The instance '{id}' is not in a state from which it can be changed: {name}."
                );
                Self::new("IncorrectInstanceState", message)
            }
        }
    }

    /// Of a launch of such machines in a zone.
    pub(super) fn of_launch(instance_type: &str, zone: &str, lack: Lack) -> Self {
        match lack {
            Lack::Quota => Self::new(
                "VcpuLimitExceeded",
                "You have requested more vCPU capacity than your current vCPU limit allows.",
            ),
            Lack::Capacity => Self::server(
                500,
                "InsufficientInstanceCapacity",
                format!(
                    "We currently do not have sufficient {instance_type} capacity in the Availability \
                     Zone you requested ({zone})."
                ),
            ),
        }
    }
}

/// What an id is refused with that nothing has, by the kind of thing that it looks like.
pub(super) fn not_found(id: &str) -> Refusal {
    not_found_as(id.split('-').next().unwrap_or_default(), id)
}

/// The same for a call that means one kind of thing, by the prefix of its ids.
pub(super) fn not_found_as(prefix: &str, id: &str) -> Refusal {
    let (code, what) = match prefix {
        "i" => ("InvalidInstanceID.NotFound", "instance ID"),
        "eni" => ("InvalidNetworkInterfaceID.NotFound", "networkInterface ID"),
        "sg" => ("InvalidGroup.NotFound", "security group"),
        "eipalloc" => ("InvalidAllocationID.NotFound", "allocation ID"),
        "eipassoc" => ("InvalidAssociationID.NotFound", "association ID"),
        _ => ("InvalidID", "ID"),
    };
    Refusal::new(code, format!("The {what} '{id}' does not exist"))
}
