//! Network interfaces.

use super::refusal::{Refusal, not_found_as};
use super::region::Region;
use crate::datacentre::Tags;
use std::net::Ipv4Addr;

/// A network interface.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub(super) id: String,
    pub(super) subnet: String,
    pub(super) ip: Option<Ipv4Addr>,
    pub(super) groups: Vec<String>,
    pub(super) description: String,
    /// `interface`, `efa` or `efa-only`.
    pub(super) kind: String,
    pub(super) attachment: Option<Attachment>,
    pub(super) token: Option<String>,
    pub(super) tags: Tags,
}

/// An interface on a machine.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    pub(super) machine: String,
    pub(super) device: u32,
    pub(super) card: u32,
    pub(super) delete_on_termination: bool,
}

impl Region {
    /// Makes an interface; the same token finds the one that it made.
    pub(super) fn create_interface(&mut self, wanted: Interface) -> Result<Interface, Refusal> {
        self.subnet(&wanted.subnet)?;
        for group in &wanted.groups {
            self.group(group)?;
        }
        let is_same = |found: &&Interface| found.token.is_some() && found.token == wanted.token;
        if let Some(found) = self.interfaces.values().find(is_same) {
            if found.subnet != wanted.subnet || found.groups != wanted.groups {
                return Err(Refusal::new(
                    "IdempotentParameterMismatch",
                    "The client token was used with other parameters.",
                ));
            }
            return Ok(found.clone());
        }
        let ip = if wanted.kind == "efa-only" { None } else { Some(self.new_ip()) };
        let interface = Interface { id: self.new_id("eni"), ip, ..wanted };
        self.interfaces.insert(interface.id.clone(), interface.clone());
        Ok(interface)
    }

    /// Puts an interface into these security groups and no other.
    pub(super) fn set_interface_groups(
        &mut self,
        id: &str,
        groups: Vec<String>,
    ) -> Result<(), Refusal> {
        for group in &groups {
            self.group(group)?;
        }
        let interface = self.interfaces.get_mut(id).ok_or_else(|| not_found_as("eni", id))?;
        interface.groups = groups;
        Ok(())
    }

    pub(super) fn delete_interface(&mut self, id: &str) -> Result<(), Refusal> {
        let interface = self.interfaces.get(id).ok_or_else(|| not_found_as("eni", id))?;
        if interface.attachment.is_some() {
            return Err(Refusal::new(
                "InvalidParameterValue",
                format!("Network interface '{id}' is currently in use."),
            ));
        }
        let on = |association: &Option<(String, String)>| {
            association.as_ref().is_some_and(|(_, interface)| interface == id)
        };
        for address in self.addresses.values_mut().filter(|address| on(&address.association)) {
            address.association = None;
        }
        self.interfaces.remove(id);
        Ok(())
    }
}
