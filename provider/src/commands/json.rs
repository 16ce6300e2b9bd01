//! `status --json`: everything that is known, under names that stay. They are told in
//! `docs/guides/troubleshooting.md`.

use super::drift_of_fleet;
use crate::diagnose;
use cloud::tag;
use domain::scaling::{Scale, Scaling};
use orchestration::status::{FleetListing, FleetStatus, GroupStatus, MachineStatus, ServiceStatus};
use serde_json::{Value, json};

/// The fleets of a region.
pub(super) fn fleets(fleets: &[FleetListing]) -> Value {
    let fleet = |fleet: &FleetListing| {
        json!({
            "id": fleet.id.to_string(),
            "zone": fleet.zone,
            "hourly_cost": fleet.hourly_cost(),
            "machines": fleet.machines.iter().map(machine).collect::<Vec<_>>(),
        })
    };
    json!({ "fleets": fleets.iter().map(fleet).collect::<Vec<_>>() })
}

/// A fleet.
pub(super) fn fleet(fleet: &FleetStatus) -> Value {
    json!({
        "id": fleet.id.to_string(),
        "zone": fleet.zone,
        "hourly_cost": fleet.hourly_cost(),
        "drift": drift_of_fleet(fleet),
        "services": fleet.services.iter().map(service).collect::<Vec<_>>(),
        "unassigned": fleet.unassigned.iter().map(machine).collect::<Vec<_>>(),
    })
}

fn service(service: &ServiceStatus) -> Value {
    json!({
        "id": service.id.to_string(),
        "name": service.id.name,
        "model": service.facts.as_ref().map(|facts| &facts.model),
        "version": service.facts.as_ref().map(|facts| facts.version.to_string()),
        "url": service.endpoint,
        "router_answers": service.answers,
        "hourly_cost": service.hourly_cost(),
        "drift": diagnose::drift(&service.findings),
        "router": service.router.as_ref().map(machine),
        "leaving_routers": service.leaving_routers.iter().map(machine).collect::<Vec<_>>(),
        "groups": service.groups.iter().map(group).collect::<Vec<_>>(),
    })
}

fn group(group: &GroupStatus) -> Value {
    json!({
        "id": group.id.to_string(),
        "name": group.id.name,
        "role": group.role,
        "scale": group.scale.as_ref().map(scale),
        "count": group.count(),
        "drift": diagnose::drift(&group.findings),
        "machines": group.machines.iter().map(machine).collect::<Vec<_>>(),
    })
}

fn scale(scale: &Scale) -> Value {
    match scale {
        Scale::Fixed(count) => json!({ "kind": "fixed", "count": count }),
        Scale::Within(Scaling { min, max, metric, target }) => json!({
            "kind": "within", "min": min, "max": max, "metric": metric, "target": target,
        }),
    }
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
        "tags": instance.tags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_no_prose() {
        assert_eq!(scale(&Scale::Fixed(2)), json!({ "kind": "fixed", "count": 2 }));
        let scaling = Scaling { min: 1, max: 4, metric: "rps".to_owned(), target: 3.0 };
        assert_eq!(
            scale(&Scale::Within(scaling)),
            json!({ "kind": "within", "min": 1, "max": 4, "metric": "rps", "target": 3.0 })
        );
    }
}
