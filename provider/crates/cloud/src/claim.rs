//! What every cloud judges alike about a fleet that exists: whether a request for its name is for it, and
//! whether it still has the tags by which everything finds it.

use crate::tags::{Phase, Tags, tag};
use crate::types::{FleetKey, FleetRequest, PlacementStrategy};
use std::collections::BTreeMap;

/// A fleet that has its name already, as far as another request for the name is concerned.
#[derive(Clone, Copy, Debug)]
pub struct FleetClaim<'a> {
    /// Its tags: while it is being created, the same request goes on with it.
    pub tags: &'a Tags,
    /// Its placement.
    pub placement: PlacementStrategy,
    /// Its subnet, where the cloud has any.
    pub subnet: Option<&'a str>,
}

impl FleetClaim<'_> {
    /// Why it is not the one that is asked for, as a sentence's end; nothing when it is.
    pub fn is_another(&self, request: &FleetRequest) -> Option<&'static str> {
        if Phase::of(self.tags).is_owned() {
            Some("a fleet of this name exists already")
        } else if self.placement != request.placement {
            Some("the fleet is being created with another placement")
        } else if request.subnet.as_deref().is_some_and(|wanted| self.subnet != Some(wanted)) {
            Some("the fleet is being created in another subnet")
        } else {
            None
        }
    }
}

impl FleetKey {
    /// The tags that the fleet has as long as it lives.
    pub fn lasting_tags(&self) -> Tags {
        Tags::from([
            (tag::MANAGED_BY, tag::MANAGED_BY_US.to_owned()),
            (tag::FLEET, self.name.clone()),
        ])
    }

    /// What somebody has done to those tags: by the tag, what it was and what it is.
    pub fn tag_findings(&self, found: &Tags) -> BTreeMap<String, String> {
        let changed = self.lasting_tags().into_iter();
        let changed = changed.filter(|(name, value)| found.get(*name) != Some(value));
        changed
            .map(|(name, value)| {
                let now = found.get(name);
                let now = now.map_or("is gone".to_owned(), |now| format!("is `{now}` now"));
                (format!("tag {name}"), format!("was `{value}` and {now}"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::collections::BTreeSet;

    fn key() -> FleetKey {
        FleetKey { region: "r".to_owned(), name: "pd".to_owned() }
    }

    #[test]
    fn only_the_same_request_goes_on_with_a_fleet_that_is_being_created() {
        let creating = Phase::Creating.tag();
        let claim = FleetClaim {
            tags: &creating,
            placement: PlacementStrategy::Zone,
            subnet: Some("subnet-1"),
        };
        let request = FleetRequest {
            key: key(),
            zone: Some("a".to_owned()),
            subnet: None,
            fabrics: BTreeSet::new(),
            placement: PlacementStrategy::Zone,
            tags: Tags::new(),
        };
        assert_eq!(claim.is_another(&request), None);
        let subnet = |name: &str| FleetRequest { subnet: Some(name.to_owned()), ..request.clone() };
        assert_eq!(claim.is_another(&subnet("subnet-1")), None);
        let ready = Phase::Ready.tag();
        let whys = [
            FleetClaim { tags: &ready, ..claim }.is_another(&request),
            FleetClaim { placement: PlacementStrategy::Cluster, ..claim }.is_another(&request),
            claim.is_another(&subnet("subnet-2")),
            FleetClaim { subnet: None, ..claim }.is_another(&subnet("subnet-1")),
        ];
        expect![[r#"
            [
                Some(
                    "a fleet of this name exists already",
                ),
                Some(
                    "the fleet is being created with another placement",
                ),
                Some(
                    "the fleet is being created in another subnet",
                ),
                Some(
                    "the fleet is being created in another subnet",
                ),
            ]
        "#]]
        .assert_debug_eq(&whys);
    }

    #[test]
    fn tags_that_are_changed_or_gone_are_found() {
        let mut tags = key().lasting_tags();
        tags.extend(Phase::Ready.tag());
        assert_eq!(key().tag_findings(&tags), BTreeMap::new());
        tags.remove(tag::MANAGED_BY);
        tags.insert(tag::FLEET, "other".to_owned());
        expect![[r#"
            {
                "tag disagg:fleet": "was `pd` and is `other` now",
                "tag disagg:managed-by": "was `terraform-provider-disagg` and is gone",
            }
        "#]]
        .assert_debug_eq(&key().tag_findings(&tags));
    }
}
