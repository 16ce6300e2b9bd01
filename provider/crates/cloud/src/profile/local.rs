//! The local cloud: processes of this computer.

use super::{Feature, OfferSource, Places, Polling, Profile, Propagation};
use std::time::Duration;

pub(super) const PROFILE: Profile = Profile {
    word: "local",
    // As generous as the most generous.
    user_data_bytes: 256 << 10,
    regions: Places::Fixed("local"),
    zones: Places::Fixed("local-a"),
    features: &[Feature::Environments],
    is_this_computer: true,
    offers: OfferSource::AnySize(include_str!("../../catalogue/local.json")),
    secret_schemes: &["env"],
    propagation: Propagation::NONE,
    // A look costs nothing, and boots are short.
    polling: Polling {
        shortest: Duration::from_millis(20),
        longest: Duration::from_millis(400),
        share: 0.05,
        first_list: Duration::ZERO,
        first_consoles: Duration::ZERO,
        shared_for: Duration::ZERO,
    },
};
