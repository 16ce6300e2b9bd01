//! EC2 above the core: what it has beside machines (interfaces, addresses, security and placement groups,
//! reservations, subnets), what it calls things, and its query API over all of it.

mod account;
mod address;
mod api;
mod cards;
mod consistency;
mod ending;
mod group;
mod hands;
mod instance;
mod interface;
mod launch;
mod refusal;
mod region;
mod reservation;
mod site;
mod subnet;
mod throttle;

pub use account::{Account, InstanceType, Settings};
pub use region::Region;
pub use reservation::Reservation;
pub use subnet::Subnet;
