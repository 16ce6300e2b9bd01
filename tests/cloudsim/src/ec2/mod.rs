//! EC2: what it has beside machines, and its query API over all of it.

mod address;
pub(crate) mod api;
mod cards;
mod group;
mod interface;
mod launch;
mod reservation;
mod subnet;

pub use launch::{Launch, LaunchInterface};
pub use reservation::Reservation;
pub use subnet::{Subnet, WayOut};

pub(crate) use address::ElasticAddress;
pub(crate) use api::{Answer, answer, region_of};
pub(crate) use group::{PlacementGroup, Rule, SecurityGroup, Target};
pub(crate) use interface::{Attachment, Interface};
pub(crate) use subnet::{VPC, subnet_of};
