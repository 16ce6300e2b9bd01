//! How machines are bought, as a configuration says it. With a reservation it is a
//! [`Purchase`](cloud::Purchase).

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The markets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// By the hour, for as long as they are wanted.
    #[default]
    OnDemand,
    /// Cheaper, and taken away when the cloud wants them back.
    Spot,
    /// Out of a block of capacity that was bought for a time.
    CapacityBlock,
}

impl Market {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::OnDemand, Self::Spot, Self::CapacityBlock];

    /// The word in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OnDemand => "on-demand",
            Self::Spot => "spot",
            Self::CapacityBlock => "capacity-block",
        }
    }
}

impl FromStr for Market {
    type Err = UnknownMarket;

    fn from_str(text: &str) -> Result<Self, UnknownMarket> {
        Self::ALL
            .into_iter()
            .find(|market| market.as_str() == text)
            .ok_or_else(|| UnknownMarket(text.escape_debug().take(60).collect()))
    }
}

/// A word that names no market.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not one of `on-demand`, `spot` and `capacity-block`")]
pub struct UnknownMarket(pub String);
