//! Eventual consistency: what was made or changed a moment ago is not known to every server of the API.
//!
//! For the first half of [`Settings::known_after_seconds`](super::Settings) no server knows a new object,
//! for the second half every other call meets one that does. A call that makes something again by its
//! token is answered in full all the time.
//!
//! Changes of Elastic IPs, of what they are on and of their tags, may be late as well: while one is new, the
//! first, the third… DescribeAddresses after it meets a server that does not know it. Not here: changes
//! of everything else, and what people do by hand, which show at once.

use super::{Datacentre, ElasticAddress, Refusal, Tags};
use std::time::Duration;

impl Datacentre {
    /// Whether the server that answers this call knows the object.
    pub(crate) fn knows(&self, id: &str) -> bool {
        let Some(made_at) = self.births.get(id) else { return true };
        let age = self.now().saturating_sub(*made_at);
        let known_after = Duration::from_secs_f64(self.settings.known_after_seconds);
        let is_ahead = self.calls.values().sum::<u64>() % 2 == 0;
        age >= known_after || (age >= known_after / 2 && is_ahead)
    }

    /// Refuses a call that names an object which its server does not know yet.
    pub(crate) fn check_known<'a>(
        &self,
        mut ids: impl Iterator<Item = &'a String>,
    ) -> Result<(), Refusal> {
        let unknown = ids.find(|id| !self.knows(id));
        unknown.map_or(Ok(()), |id| Err(not_found(id)))
    }
}

/// What an Elastic IP was like before a change.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    changed_at: Duration,
    /// How often addresses had been described.
    calls: u64,
    association: Option<(String, String)>,
    tags: Tags,
}

impl Datacentre {
    /// Keeps what an object is like, if it is an Elastic IP: it is about to be changed by a call.
    pub(crate) fn keep_earlier(&mut self, id: &str) {
        let (changed_at, calls) = (self.now(), self.address_calls());
        let known_after = self.changes_known_after();
        let Some(address) = self.addresses.get_mut(id) else { return };
        address.earlier.retain(|earlier| changed_at < earlier.changed_at + known_after);
        let (association, tags) = (address.association.clone(), address.tags.clone());
        address.earlier.push(Earlier { changed_at, calls, association, tags });
    }

    /// An Elastic IP as the server has it that answers this DescribeAddresses.
    pub(crate) fn seen(&self, address: &ElasticAddress) -> ElasticAddress {
        let (now, calls) = (self.now(), self.address_calls());
        let is_unknown = |earlier: &&Earlier| {
            now < earlier.changed_at + self.changes_known_after()
                && (calls - earlier.calls) % 2 == 1
        };
        let mut seen = address.clone();
        // Who does not know a change does not know what came after it.
        if let Some(earlier) = address.earlier.iter().find(is_unknown) {
            seen.association.clone_from(&earlier.association);
            seen.tags.clone_from(&earlier.tags);
        }
        seen
    }

    /// Whether the server that answers this call knows no security group; it takes one of the calls for which
    /// that is so.
    pub(crate) fn hides_groups(&mut self) -> bool {
        let hides = self.calls_without_groups > 0;
        self.calls_without_groups = self.calls_without_groups.saturating_sub(1);
        hides
    }

    fn address_calls(&self) -> u64 {
        self.calls.get("DescribeAddresses").copied().unwrap_or_default()
    }

    fn changes_known_after(&self) -> Duration {
        Duration::from_secs_f64(self.settings.changes_known_after_seconds)
    }
}

/// What an id is refused with that nothing has, by the kind of thing that it looks like.
pub(crate) fn not_found(id: &str) -> Refusal {
    not_found_as(id.split('-').next().unwrap_or_default(), id)
}

/// The same for a call that means one kind of thing, by the prefix of its ids.
pub(crate) fn not_found_as(prefix: &str, id: &str) -> Refusal {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;
    use crate::ec2::{self, Answer};

    const LATE: Duration = Duration::from_secs(1000);

    /// What a call answers, as XML.
    fn answer(datacentre: &mut Datacentre, call: &str) -> String {
        match ec2::answer(datacentre, None, call) {
            Answer::Document { xml, .. } => xml,
            Answer::Cut => String::new(),
        }
    }

    #[test]
    fn changes_of_addresses_are_known_by_and_by() {
        let changes_known_after_seconds = LATE.as_secs_f64();
        let mut datacentre =
            Datacentre::new(Settings { changes_known_after_seconds, ..Settings::default() });
        let interface = datacentre.add_stranger("none", "of somebody");
        let allocation = datacentre.allocate(Tags::new()).unwrap().allocation;
        let describe = |datacentre: &mut Datacentre, filter: &str, value: &str| {
            let call =
                format!("Action=DescribeAddresses&Filter.1.Name={filter}&Filter.1.Value.1={value}");
            answer(datacentre, &call).contains("<allocationId>")
        };

        let associate = format!(
            "Action=AssociateAddress&AllocationId={allocation}&NetworkInterfaceId={interface}"
        );
        assert!(answer(&mut datacentre, &associate).contains("<associationId>"));
        let on_interface =
            |datacentre: &mut Datacentre| describe(datacentre, "network-interface-id", &interface);
        let found = [(); 4].map(|()| on_interface(&mut datacentre));
        assert_eq!(found, [false, true, false, true]);

        let tag =
            format!("Action=CreateTags&ResourceId.1={allocation}&Tag.1.Key=fleet&Tag.1.Value=pd");
        assert!(answer(&mut datacentre, &tag).contains("<return>true"));
        let found = [(); 4].map(|()| describe(&mut datacentre, "tag:fleet", "pd"));
        assert_eq!(found, [false, true, false, true]);

        datacentre.advance(LATE);
        let found = [(); 2].map(|()| describe(&mut datacentre, "tag:fleet", "pd"));
        assert_eq!(found, [true; 2]);
        assert_eq!([(); 2].map(|()| on_interface(&mut datacentre)), [true; 2]);

        let association = datacentre.addresses[&allocation].association.clone().unwrap().0;
        datacentre.disassociate(&association).unwrap();
        assert_eq!([(); 2].map(|()| on_interface(&mut datacentre)), [true, false]);
    }

    #[test]
    fn changes_are_known_at_once_otherwise() {
        let mut datacentre = Datacentre::new(Settings::default());
        let interface = datacentre.add_stranger("none", "of somebody");
        let allocation = datacentre.allocate(Tags::new()).unwrap().allocation;
        datacentre.associate(&allocation, &interface, false).unwrap();
        let described = [(); 2].map(|()| answer(&mut datacentre, "Action=DescribeAddresses"));
        assert!(described.iter().all(|xml| xml.contains(&interface)), "{described:?}");
    }

    #[test]
    fn groups_are_unknown_for_some_calls() {
        let mut datacentre = Datacentre::new(Settings::default());
        let group = datacentre.create_group("disagg-pd", "vpc-default", "d", Tags::new()).unwrap();
        datacentre.hide_group_for(2);
        let all = "Action=DescribeSecurityGroups";
        let by_id = format!("{all}&GroupId.1={group}");
        assert!(!answer(&mut datacentre, all).contains("disagg-pd"));
        assert!(answer(&mut datacentre, &by_id).contains("InvalidGroup.NotFound"));
        assert!(answer(&mut datacentre, all).contains("disagg-pd"));
    }
}
