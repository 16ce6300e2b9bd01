//! Elastic addresses.

use crate::datacentre::{Datacentre, Earlier, MachineState, Refusal, Tags, not_found_as};
use std::net::Ipv4Addr;

/// A public address of the account's own.
#[derive(Clone, Debug)]
pub(crate) struct ElasticAddress {
    pub(crate) allocation: String,
    pub(crate) ip: Ipv4Addr,
    /// The association's id and the interface that it is on.
    pub(crate) association: Option<(String, String)>,
    pub(crate) tags: Tags,
    /// What it was like before its last changes.
    pub(crate) earlier: Vec<Earlier>,
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
        Ok(self.new_address(tags))
    }

    /// One more, however many there are.
    pub(crate) fn new_address(&mut self, tags: Tags) -> ElasticAddress {
        let address = ElasticAddress {
            allocation: self.new_id("eipalloc"),
            ip: self.new_public_ip(),
            association: None,
            tags,
            earlier: Vec::new(),
        };
        self.addresses.insert(address.allocation.clone(), address.clone());
        address
    }

    /// Puts an address on an interface, and takes it off another one only if it may move; to repeat it
    /// changes nothing.
    pub(crate) fn associate(
        &mut self,
        allocation: &str,
        interface: &str,
        may_move: bool,
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
        let address =
            self.addresses.get(allocation).ok_or_else(|| not_found_as("eipalloc", allocation))?;
        match &address.association {
            Some((association, on)) if on == interface => Ok(association.clone()),
            Some(_) if !may_move => Err(Refusal::new(
                "Resource.AlreadyAssociated",
                format!("resource {allocation} is already associated"),
            )),
            _ => Ok(self.put_address(allocation, interface)),
        }
    }

    /// Puts an address on an interface, wherever it was. An interface's own address has one at most: what was
    /// there is on nothing now.
    pub(crate) fn put_address(&mut self, allocation: &str, interface: &str) -> String {
        let replaced = self.public_ip(interface).map(|address| address.allocation.clone());
        let id = self.new_id("eipassoc");
        let association = Some((id.clone(), interface.to_owned()));
        let changes = replaced.map(|replaced| (replaced, None)).into_iter();
        for (allocation, association) in changes.chain([(allocation.to_owned(), association)]) {
            self.keep_earlier(&allocation);
            if let Some(address) = self.addresses.get_mut(&allocation) {
                address.association = association;
            }
        }
        id
    }

    pub(crate) fn disassociate(&mut self, association: &str) -> Result<(), Refusal> {
        let of = |address: &&ElasticAddress| {
            address.association.as_ref().is_some_and(|(id, _)| id == association)
        };
        let found = self.addresses.values().find(of).map(|address| address.allocation.clone());
        let allocation = found.ok_or_else(|| {
            Refusal::new(
                "InvalidAssociationID.NotFound",
                format!("The association ID '{association}' does not exist"),
            )
        })?;
        self.keep_earlier(&allocation);
        if let Some(address) = self.addresses.get_mut(&allocation) {
            address.association = None;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::{Launch, Machine, Settings};

    /// A datacentre with two machines, and the machines' ids and interfaces.
    fn place() -> (Datacentre, Vec<(String, String)>) {
        let images = vec!["ami-0".to_owned()];
        let mut datacentre = Datacentre::new(Settings { images, ..Settings::default() });
        let launch = Launch {
            count: 2,
            instance_type: "m7i.large".to_owned(),
            image: "ami-0".to_owned(),
            ..Launch::default()
        };
        let machines = datacentre.run(&launch, "", false).unwrap();
        let with_interface = |machine: Machine| {
            let interface = datacentre.primary(&machine.id).unwrap().id.clone();
            (machine.id, interface)
        };
        let machines = machines.into_iter().map(with_interface).collect();
        (datacentre, machines)
    }

    #[test]
    fn one_address_is_on_one_interface() {
        let (mut datacentre, machines) = place();
        let [(_, one), (_, other)] = &machines[..] else { panic!("{machines:?}") };
        let mut allocate = || datacentre.allocate(Tags::new()).unwrap().allocation;
        let (first, second) = (allocate(), allocate());
        let association = datacentre.associate(&first, one, false).unwrap();
        assert_eq!(datacentre.associate(&first, one, false).unwrap(), association, "again");
        assert_eq!(datacentre.release(&first).unwrap_err().code, "InvalidIPAddress.InUse");

        datacentre.associate(&second, one, false).unwrap();
        assert_eq!(datacentre.public_ip(one).unwrap().allocation, second);
        assert!(datacentre.addresses[&first].association.is_none(), "it was replaced, and stays");

        let refusal = datacentre.associate(&second, other, false).unwrap_err();
        assert_eq!(refusal.code, "Resource.AlreadyAssociated");
        datacentre.associate(&second, other, true).unwrap();
        assert!(datacentre.public_ip(one).is_none(), "it has moved");
        assert_eq!(datacentre.public_ip(other).unwrap().allocation, second);
        datacentre.release(&first).unwrap();
    }

    #[test]
    fn a_user_may_put_one_on_a_machine() {
        let (mut datacentre, machines) = place();
        let (machine, interface) = &machines[0];
        let own = datacentre.allocate(Tags::new()).unwrap().allocation;
        datacentre.associate(&own, interface, false).unwrap();
        let foreign = datacentre.attach_foreign_address(machine);
        assert_eq!(datacentre.public_ip(interface).unwrap().allocation, foreign);
        assert!(datacentre.addresses[&foreign].tags.is_empty());
        assert!(datacentre.has_address(&own) && datacentre.has_address(&foreign));
        datacentre.release(&own).unwrap();
        assert!(!datacentre.has_address(&own));
    }
}
