//! Model ↔ what a fleet is to be.

use crate::error::{Failure, Result};
use cloud::{PlacementStrategy, SshAccess, SshKey};
use domain::gpu::GpuRequest;
use domain::id::FleetId;
use orchestration::fleet::DesiredFleet;
use plugin::{Attr, AttributePath};
use schemas::{Cidr, Fleet, Ssh};

/// What a fleet is to be.
pub(super) fn desired(fleet: &Fleet) -> Result<DesiredFleet> {
    let mut gpus = Vec::new();
    for (index, gpu) in fleet.gpus.known().into_iter().flatten().enumerate() {
        let Some(gpu) = gpu.known() else { continue };
        let gpu: GpuRequest = gpu.0.parse().map_err(|error| Failure::Invalid {
            summary: format!("No machine with {}", gpu.0),
            detail: format!("{error}."),
            attribute: Some(AttributePath::root("gpus").index(index)),
        })?;
        gpus.push(gpu);
    }
    Ok(DesiredFleet {
        id: id(fleet)?,
        zone: fleet.zone.known().cloned(),
        subnet: fleet.subnet.known().cloned(),
        placement: placement(fleet),
        gpus,
        ssh: ssh(fleet),
    })
}

/// The id that a fleet's configuration makes.
pub(super) fn id(fleet: &Fleet) -> Result<FleetId> {
    let part = |attribute: &Attr<String>| attribute.known().cloned().unwrap_or_default();
    let text = format!("{}/{}/{}", part(&fleet.cloud), part(&fleet.region), part(&fleet.name));
    text.parse().map_err(|error| Failure::Unreadable {
        what: "a fleet".to_owned(),
        detail: format!("Its `cloud`, `region` and `name`: {error}"),
    })
}

/// Who may come in, as the contract of clouds has it.
pub(super) fn ssh(fleet: &Fleet) -> Option<SshAccess> {
    let ssh = fleet.ssh.known()?;
    let blocks = ssh.ingress_cidrs.known().into_iter().flatten();
    let mut cidrs: Vec<String> =
        blocks.filter_map(|block| block.known().map(|block| block.0.clone())).collect();
    cidrs.sort();
    let key = SshKey::Registered(ssh.key_name.known().cloned().unwrap_or_default());
    Some(SshAccess { key, cidrs })
}

/// The same for the state.
pub(super) fn shown_ssh(access: &Option<SshAccess>) -> Attr<Ssh> {
    let Some(access) = access else { return Attr::Null };
    let blocks = access.cidrs.iter().map(|block| Attr::Known(Cidr(block.clone())));
    Attr::Known(Ssh {
        key_name: match &access.key {
            SshKey::Registered(name) => Attr::Known(name.clone()),
            SshKey::Public(_) => Attr::Null,
        },
        ingress_cidrs: Attr::Known(blocks.collect()),
    })
}

fn placement(fleet: &Fleet) -> PlacementStrategy {
    match fleet.placement.as_str() {
        Some("zone") => PlacementStrategy::Zone,
        _ => PlacementStrategy::Cluster,
    }
}

/// The word for it.
pub(super) fn placement_word(placement: PlacementStrategy) -> &'static str {
    match placement {
        PlacementStrategy::Cluster => "cluster",
        PlacementStrategy::Zone => "zone",
    }
}
