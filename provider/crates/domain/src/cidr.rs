//! Address blocks for rules of traffic from outside, as in `203.0.113.0/24`.

use crate::text::shown;
use ipnet::IpNet;
use std::net::IpAddr;
use thiserror::Error;

/// Reads a block whose address has no bit set behind the prefix: clouds keep it in that form, and
/// another one would be a difference in every plan.
///
/// # Errors
/// Says what would be right.
pub fn parse(text: &str) -> Result<IpNet, InvalidCidr> {
    if let Ok(block) = text.parse::<IpNet>() {
        let right = block.trunc();
        if right.to_string() == text {
            return Ok(right);
        }
        return Err(InvalidCidr::NotCanonical { text: text.to_owned(), right });
    }
    match text.parse::<IpAddr>() {
        Ok(address) => Err(InvalidCidr::NoPrefix { address, right: IpNet::from(address) }),
        Err(_) => Err(InvalidCidr::NotABlock(shown(text))),
    }
}

/// A text that is no address block.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum InvalidCidr {
    /// Bits are set behind the prefix, or it is written in an unusual way.
    #[error("`{text}` is not the first address of its block; right would be `{right}`")]
    NotCanonical {
        /// What was given.
        text: String,
        /// The block it is in.
        right: IpNet,
    },
    /// An address alone.
    #[error("`{address}` has no prefix length; right would be `{right}` for this one address")]
    NoPrefix {
        /// What was given.
        address: IpAddr,
        /// The block of this one address.
        right: IpNet,
    },
    /// Something else.
    #[error("`{0}` is not an address block; right would be `203.0.113.0/24` or `2001:db8::/32`")]
    NotABlock(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn blocks() {
        for text in ["203.0.113.0/24", "0.0.0.0/0", "10.0.0.1/32", "2001:db8::/32", "::/0"] {
            assert_eq!(parse(text).map(|block| block.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn refusals_say_what_is_right() {
        let error = |text| parse(text).unwrap_err().to_string();
        expect!["`203.0.113.7/24` is not the first address of its block; right would be `203.0.113.0/24`"]
            .assert_eq(&error("203.0.113.7/24"));
        expect!["`203.0.113.7` has no prefix length; right would be `203.0.113.7/32` for this one address"]
            .assert_eq(&error("203.0.113.7"));
        expect!["`everybody` is not an address block; right would be `203.0.113.0/24` or `2001:db8::/32`"]
            .assert_eq(&error("everybody"));
        expect![
            "`2001:DB8::/32` is not the first address of its block; right would be `2001:db8::/32`"
        ]
        .assert_eq(&error("2001:DB8::/32"));
    }
}
