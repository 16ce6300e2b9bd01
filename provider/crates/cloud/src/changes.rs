//! Who is told that something of a fleet may be otherwise than it was seen.

use crate::{CloudName, FleetKey};
use std::fmt::Debug;

/// What a call may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FleetPart {
    /// Its machines alone.
    Instances,
    /// Its addresses, and with them whose machines are at them.
    Addresses,
    /// Anything.
    Fleet,
}

/// Told after each call that changes something, whether or not it has had an answer.
pub trait Changes: Debug + Send + Sync {
    /// A part of a fleet may be otherwise.
    fn changed(&self, cloud: CloudName, fleet: &FleetKey, part: FleetPart);
}
