//! The clouds that exist, and what each of them is as far as that can be told without asking it: one file
//! a cloud, and the one place where the rest of the program learns of a difference between them.
//!
//! Which of them are built in is the provider's to say. Deliberately not here: what an account has, which a
//! call tells.

mod aws;
mod azure;
mod gcp;
mod local;

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CloudName {
    /// Processes on this computer, each on a loopback address of its own.
    Local,
    /// Amazon EC2.
    Aws,
    /// Google Compute Engine.
    Gcp,
    /// Azure virtual machines.
    Azure,
}

impl CloudName {
    /// All of them, in the order of the documentation.
    pub const ALL: [CloudName; 4] = [Self::Local, Self::Aws, Self::Gcp, Self::Azure];

    /// What it is.
    pub const fn profile(self) -> &'static Profile {
        match self {
            Self::Local => &local::PROFILE,
            Self::Aws => &aws::PROFILE,
            Self::Gcp => &gcp::PROFILE,
            Self::Azure => &azure::PROFILE,
        }
    }

    /// The word in configuration, ids and state.
    pub const fn as_str(self) -> &'static str {
        self.profile().word
    }

    /// Whether its machines have this.
    pub fn has(self, feature: Feature) -> bool {
        self.profile().features.contains(&feature)
    }
}

impl fmt::Display for CloudName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no cloud.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a cloud; the clouds are `local`, `aws`, `gcp` and `azure`")]
pub struct UnknownCloud(pub String);

impl FromStr for CloudName {
    type Err = UnknownCloud;

    fn from_str(text: &str) -> Result<Self, UnknownCloud> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or_else(|| UnknownCloud(text.escape_debug().take(60).collect()))
    }
}

/// What a cloud is.
#[derive(Debug)]
pub struct Profile {
    /// The word in configuration, ids and state.
    pub word: &'static str,
    /// Greatest size of user data, in bytes as they are sent.
    pub user_data_bytes: usize,
    /// Its regions.
    pub regions: Places,
    /// The zones of a region.
    pub zones: Places,
    /// What its machines can have.
    pub features: &'static [Feature],
    /// Whether its machines are processes of this computer: they share its GPUs, its disk and its loopback
    /// network, and nobody outside reaches them.
    pub is_this_computer: bool,
    /// Its machines and their prices.
    pub offers: OfferSource,
    /// The schemes of references to secrets that its machines can resolve: what stands before `://`.
    pub secret_schemes: &'static [&'static str],
    /// How late it knows everywhere of what has changed.
    pub propagation: Propagation,
    /// How often it is asked by those who wait.
    pub polling: Polling,
}

/// Regions, or zones of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Places {
    /// There is one, of this name.
    Fixed(&'static str),
    /// There are several, and a fleet is in one of them.
    Several,
}

impl Places {
    /// The only one, if there is only one.
    pub const fn only(self) -> Option<&'static str> {
        match self {
            Self::Fixed(name) => Some(name),
            Self::Several => None,
        }
    }
}

/// What the machines of some clouds have, and those of others have not. What a cloud has not, it refuses
/// as [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// An identity of their own: instance profile, service account, managed identity.
    Identity,
    /// An image that they are made from.
    Image,
    /// Capacity that is reserved for them.
    Reservation,
    /// A price that is lower because the cloud may take them back.
    Spot,
    /// A subnet that can be chosen.
    Subnet,
    /// A public address of their own: [`Egress::PublicIp`](crate::Egress).
    PublicAddress,
    /// Keys of people who come in, by their names in the region: [`SshAccess`](crate::SshAccess).
    SshKey,
    /// They see their own tags, and so what is wanted of them.
    OwnTags,
    /// They are told when they are about to be taken away, as `disagg-notices` can read it.
    Notices,
    /// Virtual environments with engines in them, which are there before the machine is.
    Environments,
}

/// Where a cloud's machines are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferSource {
    /// In this file, a JSON document with the source and the day of its prices.
    File(&'static str),
    /// Those with GPUs in this file; without GPUs there is one of every size.
    AnySize(&'static str),
}

impl OfferSource {
    /// The file's content.
    pub const fn file(self) -> &'static str {
        match self {
            Self::File(text) | Self::AnySize(text) => text,
        }
    }

    /// Whether there is a machine without GPUs of every size.
    pub const fn is_of_any_size(self) -> bool {
        matches!(self, Self::AnySize(_))
    }
}

/// For how long some servers of a cloud may not know what others know already. Zero where each answer
/// holds for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// As a rule.
    pub usual: Duration,
    /// At worst: what has not shown by then is not there.
    pub longest: Duration,
}

impl Propagation {
    /// Each answer holds for all.
    pub const NONE: Self = Self { usual: Duration::ZERO, longest: Duration::ZERO };

    /// For so long a look is repeated that has not found what should be there.
    pub const fn patience(self) -> Duration {
        self.usual.saturating_mul(4)
    }

    /// Whether an answer may be out of date.
    pub const fn is_eventual(self) -> bool {
        !self.longest.is_zero()
    }
}

/// How often a cloud is asked by those who wait for something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Polling {
    /// Between two looks, at least.
    pub shortest: Duration,
    /// Between two looks, at most.
    pub longest: Duration,
    /// Between the two, this share of what the wait has taken.
    pub share: f64,
    /// When its machines are listed for the first time during a wait, and then each time that it has taken
    /// twice as long; zero at every look.
    pub first_list: Duration,
    /// The same of consoles.
    pub first_consoles: Duration,
    /// For so long those who wait side by side share what one of them has seen.
    pub shared_for: Duration,
}

impl Polling {
    /// Of a cloud whose calls are counted, and whose machines take minutes.
    pub const REMOTE: Self = Self {
        shortest: Duration::from_millis(500),
        longest: Duration::from_secs(10),
        share: 0.25,
        first_list: Duration::from_secs(10),
        first_consoles: Duration::from_secs(2),
        shared_for: Duration::from_secs(1),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_their_clouds() {
        for cloud in CloudName::ALL {
            assert_eq!(cloud.as_str().parse(), Ok(cloud));
            assert_eq!(serde_json::to_value(cloud).unwrap(), cloud.as_str());
        }
        let error = "azur".parse::<CloudName>().unwrap_err().to_string();
        for cloud in CloudName::ALL {
            assert!(error.contains(&format!("`{cloud}`")), "{error}");
        }
    }

    #[test]
    fn profiles_are_sound() {
        for cloud in CloudName::ALL {
            let profile = cloud.profile();
            let Propagation { usual, longest } = profile.propagation;
            assert!(usual <= longest && usual.is_zero() == longest.is_zero(), "{cloud}");
            assert!(profile.polling.shortest <= profile.polling.longest, "{cloud}");
            assert!(!profile.secret_schemes.is_empty(), "{cloud}");
        }
    }
}
