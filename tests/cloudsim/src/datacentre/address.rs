//! Elastic addresses.

use super::{Datacentre, MachineState, Refusal, Tags, not_found_as};
use std::net::Ipv4Addr;

/// A public address of the account's own.
#[derive(Clone, Debug)]
pub(crate) struct ElasticAddress {
    pub(crate) allocation: String,
    pub(crate) ip: Ipv4Addr,
    /// The association's id and the interface that it is on.
    pub(crate) association: Option<(String, String)>,
    pub(crate) tags: Tags,
}

impl Datacentre {
    pub(crate) fn allocate(&mut self, tags: Tags) -> Result<ElasticAddress, Refusal> {
        let most = self.settings.most_addresses.unwrap_or(u32::MAX) as usize;
        if self.addresses.len() >= most {
            return Err(Refusal::new(
                "AddressLimitExceeded",
                "The maximum number of addresses has been reached.",
            ));
        }
        let address = ElasticAddress {
            allocation: self.new_id("eipalloc"),
            ip: self.new_public_ip(),
            association: None,
            tags,
        };
        self.addresses.insert(address.allocation.clone(), address.clone());
        Ok(address)
    }

    /// Puts an address on an interface; to repeat it changes nothing.
    pub(crate) fn associate(
        &mut self,
        allocation: &str,
        interface: &str,
    ) -> Result<String, Refusal> {
        let on = self.interfaces.get(interface).ok_or_else(|| not_found_as("eni", interface))?;
        let machine = on.attachment.as_ref().and_then(|on| self.machines.get(&on.machine));
        if let Some(machine) = machine.filter(|one| self.state(one) == MachineState::Pending) {
            let message = format!(
                "The pending instance '{}' is not in a valid state for this operation.",
                machine.id
            );
            return Err(Refusal::new("InvalidInstanceID", message));
        }
        let id = self.new_id("eipassoc");
        let address = self
            .addresses
            .get_mut(allocation)
            .ok_or_else(|| not_found_as("eipalloc", allocation))?;
        match &address.association {
            Some((association, on)) if on == interface => Ok(association.clone()),
            Some(_) => Err(Refusal::new(
                "Resource.AlreadyAssociated",
                format!("resource {allocation} is already associated"),
            )),
            None => {
                address.association = Some((id.clone(), interface.to_owned()));
                Ok(id)
            }
        }
    }

    pub(crate) fn disassociate(&mut self, association: &str) -> Result<(), Refusal> {
        let of = |address: &&mut ElasticAddress| {
            address.association.as_ref().is_some_and(|(id, _)| id == association)
        };
        match self.addresses.values_mut().find(of) {
            Some(address) => {
                address.association = None;
                Ok(())
            }
            None => Err(Refusal::new(
                "InvalidAssociationID.NotFound",
                format!("The association ID '{association}' does not exist"),
            )),
        }
    }

    pub(crate) fn release(&mut self, allocation: &str) -> Result<(), Refusal> {
        let address =
            self.addresses.get(allocation).ok_or_else(|| not_found_as("eipalloc", allocation))?;
        if address.association.is_some() {
            return Err(Refusal::new(
                "InvalidIPAddress.InUse",
                format!("Address {} is in use.", address.ip),
            ));
        }
        self.addresses.remove(allocation);
        Ok(())
    }

    /// The public address of an interface.
    pub(crate) fn public_ip(&self, interface: &str) -> Option<&ElasticAddress> {
        self.addresses
            .values()
            .find(|address| address.association.as_ref().is_some_and(|(_, on)| on == interface))
    }
}
