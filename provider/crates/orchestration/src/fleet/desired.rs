//! What a fleet is to be.

use cloud::{PlacementStrategy, SshAccess};
use domain::gpu::GpuRequest;
use domain::id::FleetId;

/// What a fleet is to be.
#[derive(Clone, Debug)]
pub struct DesiredFleet {
    /// Its id.
    pub id: FleetId,
    /// The zone; none leaves the choice.
    pub zone: Option<String>,
    /// The subnet of its machines; none is the cloud's default one.
    pub subnet: Option<String>,
    /// How near its machines are to each other.
    pub placement: PlacementStrategy,
    /// GPUs that its zone has to offer.
    pub gpus: Vec<GpuRequest>,
    /// Who may come in to its machines.
    pub ssh: Option<SshAccess>,
}
