//! A fleet: one placement in one zone, in which services live.

mod create;
mod delete;
mod desired;
mod update;
mod zone;

pub use create::create;
pub use delete::delete;
pub use desired::DesiredFleet;
pub use update::update;
