//! What of EC2 is known late beside new objects: changes of Elastic IPs, of what they are on and of their tags;
//! and, on demand, security groups. Not here: changes of everything else, and what people do by hand, which
//! show at once.

use super::address::ElasticAddress;
use super::refusal::{Refusal, not_found};
use super::region::Region;
use std::time::Duration;

impl Region {
    /// Refuses a call that names an object which its server does not know yet.
    pub(super) fn check_known<'a>(
        &self,
        mut ids: impl Iterator<Item = &'a String>,
    ) -> Result<(), Refusal> {
        let unknown = ids.find(|id| !self.knows(id));
        unknown.map_or(Ok(()), |id| Err(not_found(id)))
    }

    /// Keeps what an object is like, if it is an Elastic IP: it is about to be changed by a call.
    pub(super) fn keep_earlier(&mut self, id: &str) {
        let (now, known_after) = (self.now(), self.changes_known_after());
        let calls = self.address_calls();
        let Some(address) = self.addresses.get_mut(id) else { return };
        let value = (address.association.clone(), address.tags.clone());
        address.earlier.keep(value, now, known_after, calls);
    }

    /// An Elastic IP as the server has it that answers this DescribeAddresses.
    pub(super) fn seen(&self, address: &ElasticAddress) -> ElasticAddress {
        let (now, known_after) = (self.now(), self.changes_known_after());
        let mut seen = address.clone();
        let earlier = address.earlier.shown(now, known_after, self.address_calls());
        if let Some((association, tags)) = earlier {
            seen.association.clone_from(association);
            seen.tags.clone_from(tags);
        }
        seen
    }

    /// Whether the server that answers this call knows no security group; it takes one of the calls for which
    /// that is so.
    pub(super) fn hides_groups(&mut self) -> bool {
        let hides = self.calls_without_groups > 0;
        self.calls_without_groups = self.calls_without_groups.saturating_sub(1);
        hides
    }

    fn address_calls(&self) -> u64 {
        self.calls().get("DescribeAddresses").copied().unwrap_or_default()
    }

    fn changes_known_after(&self) -> Duration {
        Duration::from_secs_f64(self.account.changes_known_after_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datacentre::Tags;
    use crate::ec2::{Account, Settings, api};
    use crate::server::Answer;

    const LATE: Duration = Duration::from_secs(1000);

    /// What a call answers, as XML.
    fn answer(region: &mut Region, call: &str) -> String {
        match api::answer(region, None, call) {
            Answer::Document { body, .. } => body,
            Answer::Cut => String::new(),
        }
    }

    #[test]
    fn changes_of_addresses_are_known_by_and_by() {
        let changes_known_after_seconds = LATE.as_secs_f64();
        let account = Account { changes_known_after_seconds, ..Account::default() };
        let mut region = Region::new(account.into());
        let interface = region.add_stranger("none", "of somebody");
        let allocation = region.allocate(Tags::new()).unwrap().allocation;
        let describe = |region: &mut Region, filter: &str, value: &str| {
            let call =
                format!("Action=DescribeAddresses&Filter.1.Name={filter}&Filter.1.Value.1={value}");
            answer(region, &call).contains("<allocationId>")
        };

        let associate = format!(
            "Action=AssociateAddress&AllocationId={allocation}&NetworkInterfaceId={interface}"
        );
        assert!(answer(&mut region, &associate).contains("<associationId>"));
        let on_interface =
            |region: &mut Region| describe(region, "network-interface-id", &interface);
        let found = [(); 4].map(|()| on_interface(&mut region));
        assert_eq!(found, [false, true, false, true]);

        let tag =
            format!("Action=CreateTags&ResourceId.1={allocation}&Tag.1.Key=fleet&Tag.1.Value=pd");
        assert!(answer(&mut region, &tag).contains("<return>true"));
        let found = [(); 4].map(|()| describe(&mut region, "tag:fleet", "pd"));
        assert_eq!(found, [false, true, false, true]);

        region.advance(LATE);
        let found = [(); 2].map(|()| describe(&mut region, "tag:fleet", "pd"));
        assert_eq!(found, [true; 2]);
        assert_eq!([(); 2].map(|()| on_interface(&mut region)), [true; 2]);

        let association = region.addresses[&allocation].association.clone().unwrap().0;
        region.disassociate(&association).unwrap();
        assert_eq!([(); 2].map(|()| on_interface(&mut region)), [true, false]);
    }

    #[test]
    fn changes_are_known_at_once_otherwise() {
        let mut region = Region::new(Settings::default());
        let interface = region.add_stranger("none", "of somebody");
        let allocation = region.allocate(Tags::new()).unwrap().allocation;
        region.associate(&allocation, &interface, false).unwrap();
        let described = [(); 2].map(|()| answer(&mut region, "Action=DescribeAddresses"));
        assert!(described.iter().all(|xml| xml.contains(&interface)), "{described:?}");
    }

    #[test]
    fn groups_are_unknown_for_some_calls() {
        let mut region = Region::new(Settings::default());
        let group = region.create_group("disagg-pd", "vpc-default", "d", Tags::new()).unwrap();
        region.hide_group_for(2);
        let all = "Action=DescribeSecurityGroups";
        let by_id = format!("{all}&GroupId.1={group}");
        assert!(!answer(&mut region, all).contains("disagg-pd"));
        assert!(answer(&mut region, &by_id).contains("InvalidGroup.NotFound"));
        assert!(answer(&mut region, all).contains("disagg-pd"));
    }
}
