//! Elastic addresses.

use super::refusal::{Refusal, not_found_as};
use super::region::Region;
use crate::datacentre::{History, MachineState, Tags};
use std::net::Ipv4Addr;

/// A public address of the account's own.
#[derive(Clone, Debug)]
pub(super) struct ElasticAddress {
    pub(super) allocation: String,
    pub(super) ip: Ipv4Addr,
    /// The association's id and the interface that it is on.
    pub(super) association: Option<(String, String)>,
    pub(super) tags: Tags,
    /// What it was on, and its tags, before the last changes.
    pub(super) earlier: History<(Option<(String, String)>, Tags)>,
}

impl Region {
    pub(super) fn allocate(&mut self, tags: Tags) -> Result<ElasticAddress, Refusal> {
        let most = self.account.most_addresses.unwrap_or(u32::MAX) as usize;
        if self.addresses.len() >= most {
            return Err(Refusal::new(
                "AddressLimitExceeded",
                "The maximum number of addresses has been reached.",
            ));
        }
        Ok(self.new_address(tags))
    }

    /// One more, however many there are.
    pub(super) fn new_address(&mut self, tags: Tags) -> ElasticAddress {
        let address = ElasticAddress {
            allocation: self.new_id("eipalloc"),
            ip: self.new_public_ip(),
            association: None,
            tags,
            earlier: History::default(),
        };
        self.addresses.insert(address.allocation.clone(), address.clone());
        address
    }

    /// Puts an address on an interface, and takes it off another one only if it may move; to repeat it
    /// changes nothing.
    pub(super) fn associate(
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
    pub(super) fn put_address(&mut self, allocation: &str, interface: &str) -> String {
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

    pub(super) fn disassociate(&mut self, association: &str) -> Result<(), Refusal> {
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

    pub(super) fn release(&mut self, allocation: &str) -> Result<(), Refusal> {
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
    pub(super) fn public_ip(&self, interface: &str) -> Option<&ElasticAddress> {
        self.addresses
            .values()
            .find(|address| address.association.as_ref().is_some_and(|(_, on)| on == interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2::Account;
    use crate::ec2::launch::Launch;

    /// A region with two machines, and the machines' ids and interfaces.
    fn place() -> (Region, Vec<(String, String)>) {
        let images = vec!["ami-0".to_owned()];
        let mut region = Region::new(Account { images, ..Account::default() }.into());
        let launch = Launch {
            count: 2,
            instance_type: "m7i.large".to_owned(),
            image: "ami-0".to_owned(),
            ..Launch::default()
        };
        let machines = region.run(&launch, "", false).unwrap();
        let with_interface = |machine: String| {
            let interface = region.primary(&machine).unwrap().id.clone();
            (machine, interface)
        };
        let machines = machines.into_iter().map(with_interface).collect();
        (region, machines)
    }

    #[test]
    fn one_address_is_on_one_interface() {
        let (mut region, machines) = place();
        let [(_, one), (_, other)] = &machines[..] else { panic!("{machines:?}") };
        let mut allocate = || region.allocate(Tags::new()).unwrap().allocation;
        let (first, second) = (allocate(), allocate());
        let association = region.associate(&first, one, false).unwrap();
        assert_eq!(region.associate(&first, one, false).unwrap(), association, "again");
        assert_eq!(region.release(&first).unwrap_err().code, "InvalidIPAddress.InUse");

        region.associate(&second, one, false).unwrap();
        assert_eq!(region.public_ip(one).unwrap().allocation, second);
        assert!(region.addresses[&first].association.is_none(), "it was replaced, and stays");

        let refusal = region.associate(&second, other, false).unwrap_err();
        assert_eq!(refusal.code, "Resource.AlreadyAssociated");
        region.associate(&second, other, true).unwrap();
        assert!(region.public_ip(one).is_none(), "it has moved");
        assert_eq!(region.public_ip(other).unwrap().allocation, second);
        region.release(&first).unwrap();
    }

    #[test]
    fn a_user_may_put_one_on_a_machine() {
        let (mut region, machines) = place();
        let (machine, interface) = &machines[0];
        let own = region.allocate(Tags::new()).unwrap().allocation;
        region.associate(&own, interface, false).unwrap();
        let foreign = region.attach_foreign_address(machine);
        assert_eq!(region.public_ip(interface).unwrap().allocation, foreign);
        assert!(region.addresses[&foreign].tags.is_empty());
        assert!(region.has_address(&own) && region.has_address(&foreign));
        region.release(&own).unwrap();
        assert!(!region.has_address(&own));
    }
}
