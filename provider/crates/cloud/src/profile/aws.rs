//! Amazon EC2.

use super::{Feature, OfferSource, Places, Polling, Profile, Propagation};
use std::time::Duration;

pub(super) const PROFILE: Profile = Profile {
    word: "aws",
    // Before base64.
    user_data_bytes: 16 << 10,
    regions: Places::Several,
    zones: Places::Several,
    features: &[
        Feature::Identity,
        Feature::Image,
        Feature::Reservation,
        Feature::Spot,
        Feature::Subnet,
        Feature::PublicAddress,
        Feature::SshKey,
        Feature::OwnTags,
        Feature::Notices,
    ],
    is_this_computer: false,
    offers: OfferSource::File(include_str!("../../catalogue/aws.json")),
    secret_schemes: &["aws-sm", "aws-ssm"],
    // "Eventual consistency in the Amazon EC2 API": seconds as a rule, and a retry should last minutes.
    propagation: Propagation { usual: Duration::from_secs(2), longest: Duration::from_secs(120) },
    polling: Polling::REMOTE,
};
