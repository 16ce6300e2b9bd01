//! What never changes about a fleet, in the description of its security group: nobody can change that,
//! and whoever changes tags by hand would have machines replaced that are well.

use cloud::PlacementStrategy;

/// What a fleet was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) zone: String,
    pub(crate) subnet: String,
    pub(crate) placement: PlacementStrategy,
}

impl Claim {
    /// The description of the group: below the 255 characters that EC2 takes, and of those only.
    pub(crate) fn describe(&self, fleet: &str) -> String {
        let Self { zone, subnet, placement } = self;
        let placement = word(*placement);
        format!(
            "Fleet {fleet} of terraform-provider-disagg: zone={zone} subnet={subnet} \
             placement={placement}"
        )
    }

    /// None of a group that the provider has not made.
    pub(crate) fn parse(description: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut words = description.split(' ');
            words.find_map(|word| word.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
        };
        let placement = value("placement")?;
        let all = [PlacementStrategy::Cluster, PlacementStrategy::Zone];
        Some(Self {
            zone: value("zone")?,
            subnet: value("subnet")?,
            placement: all.into_iter().find(|strategy| word(*strategy) == placement)?,
        })
    }
}

fn word(placement: PlacementStrategy) -> &'static str {
    match placement {
        PlacementStrategy::Cluster => "cluster",
        PlacementStrategy::Zone => "zone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_says_all() {
        for placement in [PlacementStrategy::Cluster, PlacementStrategy::Zone] {
            let claim = Claim {
                zone: "us-east-2a".to_owned(),
                subnet: "subnet-0123456789abcdef0".to_owned(),
                placement,
            };
            let text = claim.describe("pd");
            assert!(text.len() < 200, "{text}");
            assert_eq!(Claim::parse(&text), Some(claim));
        }
        assert_eq!(Claim::parse("default VPC security group"), None);
    }
}
