//! Azure virtual machines.

use super::{Feature, OfferSource, Places, Polling, Profile, Propagation};

pub(super) const PROFILE: Profile = Profile {
    word: "azure",
    // Custom data has less than 64 KB before base64.
    user_data_bytes: (64 << 10) - 1,
    regions: Places::Several,
    zones: Places::Several,
    features: &[
        Feature::Identity,
        Feature::Image,
        Feature::Reservation,
        Feature::Spot,
        Feature::Subnet,
    ],
    is_this_computer: false,
    offers: OfferSource::File(include_str!("../../catalogue/azure.json")),
    secret_schemes: &["azure-kv"],
    propagation: Propagation::NONE,
    polling: Polling::REMOTE,
};
