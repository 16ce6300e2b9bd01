//! What is asked for when instances are launched.

use crate::boot_document::BootDocument;
use crate::cloud_config::TooLarge;
use crate::error::{CloudError, ErrorKind, RequestPart, Result};
use crate::offer::Offer;
use crate::tags::Tags;
use crate::types::{AddressId, FleetKey};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How instances are bought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Purchase {
    /// By the hour, for as long as they are wanted.
    #[default]
    OnDemand,
    /// Cheaper, and taken away when the cloud wants them back.
    Spot,
    /// Out of capacity that is reserved.
    Reserved {
        /// The reservation, in the cloud's own words.
        id: String,
        /// Whether it is a block that was paid for in advance and ends at a certain time.
        prepaid: bool,
    },
}

/// How instances reach the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// As their subnet leads: by a NAT gateway, or by a public address that the cloud gives by itself.
    #[default]
    Subnet,
    /// Each by a public address of its own, kept as long as it lives.
    PublicIp,
}

impl Egress {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 2] = [Self::Subnet, Self::PublicIp];

    /// The word in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Subnet => "subnet",
            Self::PublicIp => "public_ip",
        }
    }
}

impl FromStr for Egress {
    type Err = UnknownEgress;

    fn from_str(text: &str) -> Result<Self, UnknownEgress> {
        Self::ALL
            .into_iter()
            .find(|egress| egress.as_str() == text)
            .ok_or_else(|| UnknownEgress(text.escape_debug().take(60).collect()))
    }
}

/// A word that names no way out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not one of `subnet` and `public_ip`")]
pub struct UnknownEgress(pub String);

/// Instances to be launched: all identical, so that N are one call.
#[derive(Clone, PartialEq)]
pub struct LaunchRequest {
    /// Where.
    pub fleet: FleetKey,
    /// What to buy.
    pub offer: Offer,
    /// How many; all or none.
    pub count: u32,
    /// Root disk in GB.
    pub disk_gb: u32,
    /// The image to boot, in the cloud's own words; by default the newest one that fits the offer.
    pub image: Option<String>,
    /// How they are bought.
    pub purchase: Purchase,
    /// Whether they are part of the fleet's placement; others may be anywhere in its zone.
    pub placed: bool,
    /// How they reach the internet. What [`Egress::PublicIp`] asks for is held before anything is launched,
    /// and given to an instance that runs by [`Cloud::repair_instance`](crate::Cloud::repair_instance).
    pub egress: Egress,
    /// The reserved address of the one instance; `count` is 1 then.
    pub address: Option<AddressId>,
    /// What they boot from.
    pub document: BootDocument,
    /// The identity the machine may use: instance profile, service account or managed identity.
    pub identity: Option<String>,
    /// Same token, same instances.
    pub token: String,
    /// Tags of every instance.
    pub tags: Tags,
}

impl LaunchRequest {
    /// The token of this request, with the offer's type at its end: each offer has one of its own.
    pub fn token_of_offer(&self) -> String {
        let (token, name) = (&self.token, &self.offer.instance_type);
        match is_token_for(token, name) {
            true => token.clone(),
            false => format!("{token}-{name}"),
        }
    }

    /// What every cloud refuses: a launch of nothing, one address for many, user data over the limit.
    ///
    /// # Errors
    /// `InvalidRequest`.
    pub fn check(&self, operation: &'static str, user_data_bytes: usize) -> Result<()> {
        let invalid =
            |message: String| CloudError::new(ErrorKind::InvalidRequest, operation, message);
        if self.count == 0 {
            Err(invalid("a launch is of one machine at least".to_owned()))
        } else if self.count > 1 && self.address.is_some() {
            Err(invalid("one address is for one machine".to_owned()))
        } else {
            let too_large =
                |error: TooLarge| invalid(error.to_string()).part(RequestPart::BootDocument);
            self.document.check_size(user_data_bytes).map_err(too_large)
        }
    }
}

impl fmt::Debug for LaunchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaunchRequest")
            .field("fleet", &self.fleet)
            .field("instance_type", &self.offer.instance_type)
            .field("count", &self.count)
            .field("address", &self.address)
            .field("document", &self.document)
            .field("token", &self.token)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// Whether a launch with this token was of this type.
pub fn is_token_for(token: &str, instance_type: &str) -> bool {
    token.strip_suffix(instance_type).is_some_and(|before| before.ends_with('-'))
}
