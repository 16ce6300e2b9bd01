//! Google Compute Engine.

use super::{Feature, OfferSource, Places, Polling, Profile, Propagation};

pub(super) const PROFILE: Profile = Profile {
    word: "gcp",
    // A value of the metadata has at most 256 KB, and base64 makes four bytes of three.
    user_data_bytes: (256 << 10) / 4 * 3,
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
    offers: OfferSource::File(include_str!("../../catalogue/gcp.json")),
    secret_schemes: &["gcp-sm"],
    propagation: Propagation::NONE,
    polling: Polling::REMOTE,
};
