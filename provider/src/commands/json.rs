//! `status --json`: everything that is known, under names that stay.

use super::drift_of_fleet;
use crate::diagnose;
use cloud::tag;
use orchestration::status::{FleetStatus, GroupStatus, MachineStatus, ServiceStatus};
use serde_json::{Value, json};

/// A fleet.
pub(super) fn fleet(fleet: &FleetStatus) -> Value {
    json!({
        "id": fleet.id.to_string(),
        "zone": fleet.zone,
        "hourly_cost": fleet.hourly_cost(),
        "drift": drift_of_fleet(fleet),
        "services": fleet.services.iter().map(service).collect::<Vec<_>>(),
    })
}

fn service(service: &ServiceStatus) -> Value {
    json!({
        "id": service.id.to_string(),
        "name": service.id.name,
        "model": service.facts.as_ref().map(|facts| &facts.model),
        "version": service.facts.as_ref().map(|facts| facts.version.to_string()),
        "url": service.endpoint,
        "answers": service.answers,
        "hourly_cost": service.hourly_cost(),
        "drift": diagnose::drift(&service.findings),
        "router": service.router.as_ref().map(machine),
        "groups": service.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &GroupStatus) -> Value {
    json!({
        "id": group.id.to_string(),
        "name": group.id.name,
        "role": group.role,
        "scale": group.scale.as_ref().map(ToString::to_string),
        "drift": diagnose::drift(&group.findings),
        "machines": group.machines.iter().map(machine).collect::<Vec<_>>(),
    })
}

fn machine(machine: &MachineStatus) -> Value {
    let instance = &machine.instance;
    json!({
        "id": instance.id.to_string(),
        "state": instance.state.to_string(),
        "phase": machine.phase.as_str(),
        "address": instance.ip,
        "instance_type": instance.instance_type,
        "launched_at": instance.launched_at,
        "digest": instance.tags.get(tag::DIGEST),
        "registered": machine.is_registered,
        "hourly_cost": machine.hourly_cost,
        "says": machine.told,
        "console": machine.lines,
    })
}
