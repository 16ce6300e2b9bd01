//! `status`, for people.

use super::{drift_of_fleet, table};
use crate::diagnose;
use cloud::{Label, Phase, tag};
use domain::finding::Finding;
use domain::id::FleetId;
use domain::scaling::{Scale, Scaling};
use orchestration::status::{FleetListing, FleetStatus, GroupStatus, MachineStatus, ServiceStatus};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// Writes which fleets there are, and their machines.
pub(super) fn write_list(
    out: &mut (dyn Write + Send),
    region: &str,
    fleets: &[FleetListing],
) -> io::Result<()> {
    if fleets.is_empty() {
        return writeln!(out, "no fleet in {region}");
    }
    for (index, fleet) in fleets.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_fleet(out, &fleet.id, fleet.zone.as_deref(), fleet.hourly_cost())?;
        write_unasked(out, &fleet.machines)?;
    }
    Ok(())
}

/// Writes what there is of a fleet.
pub(super) fn write(out: &mut (dyn Write + Send), fleet: &FleetStatus) -> io::Result<()> {
    write_fleet(out, &fleet.id, fleet.zone.as_deref(), fleet.hourly_cost())?;
    findings(out, &drift_of_fleet(fleet))?;
    if fleet.services.is_empty() {
        writeln!(out, "no service in it")?;
    }
    for service in &fleet.services {
        writeln!(out)?;
        write_service(out, service)?;
    }
    if !fleet.unassigned.is_empty() {
        writeln!(out, "\nmachines that belong to no service or to none of its groups")?;
        write_unasked(out, &fleet.unassigned)?;
    }
    Ok(())
}

fn write_fleet(
    out: &mut (dyn Write + Send),
    id: &FleetId,
    zone: Option<&str>,
    hourly_cost: f64,
) -> io::Result<()> {
    writeln!(out, "fleet {id} in {}, {}", zone.unwrap_or("no zone"), dollars(hourly_cost))
}

/// Machines about which no router was asked, with what their tags tell.
fn write_unasked(out: &mut (dyn Write + Send), machines: &[MachineStatus]) -> io::Result<()> {
    if machines.is_empty() {
        return writeln!(out, "  no machines");
    }
    let header = ["MACHINE", "SERVICE", "OF", "STATE", "ADDRESS", "TYPE", "AGE", "$/H", "DIGEST"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(machines.iter().map(|machine| {
        let tags = &machine.instance.tags;
        let label = |label: Label| tags.get(label).cloned();
        // A service as it is called elsewhere.
        let service = label(tag::SERVICE).map(|service| service.replace('_', "@"));
        let of = label(tag::GROUP).or_else(|| label(tag::ROLE));
        let [id, state, address, kind, age, cost, digest] = cells(machine);
        let [service, of] = [service, of].map(|text| text.unwrap_or_else(|| "-".to_owned()));
        [id, service, of, state, address, kind, age, cost, digest]
    }));
    table::write(out, "  ", &rows)
}

fn write_service(out: &mut (dyn Write + Send), service: &ServiceStatus) -> io::Result<()> {
    let facts = service.facts.as_ref().map_or_else(
        || "nothing is known of it, its address is gone".to_owned(),
        |facts| format!("model {}, Dynamo {}", facts.model, facts.version),
    );
    writeln!(out, "service {}: {facts}, {}", service.id, dollars(service.hourly_cost()))?;
    if let Some(endpoint) = &service.endpoint {
        let answers = match service.answers {
            true => "the router answers",
            false => "the router does not answer from here",
        };
        writeln!(out, "  {endpoint} ({answers})")?;
    }
    for group in &service.groups {
        let GroupStatus { id, role, scale, .. } = group;
        let wanted = match scale {
            None => "?".to_owned(),
            Some(Scale::Fixed(count)) => count.to_string(),
            Some(Scale::Within(Scaling { min, max, metric, target })) => {
                format!("{min} to {max}, by {metric} {target}")
            }
        };
        writeln!(out, "  group {} ({role}): {} of {wanted}", id.name, group.count())?;
    }
    let header =
        ["MACHINE", "OF", "STATE", "ADDRESS", "TYPE", "AGE", "$/H", "DIGEST", "REGISTERED"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(service.router.iter().map(|machine| row(machine, "router")));
    rows.extend(service.leaving_routers.iter().map(|machine| row(machine, "old router")));
    for group in &service.groups {
        rows.extend(group.machines.iter().map(|machine| row(machine, &group.id.name)));
    }
    table::write(out, "  ", &rows)?;
    let mut all: Vec<Finding> = service.findings.clone();
    all.extend(service.groups.iter().flat_map(|group| group.findings.clone()));
    findings(out, &diagnose::drift(&all))?;
    for machine in service.machines() {
        if let Some(told) = &machine.told
            && machine.is_registered != Some(true)
        {
            writeln!(out, "  {} says: {told}", machine.instance.id)?;
        }
        if !machine.lines.is_empty() {
            writeln!(out, "  {} printed last:", machine.instance.id)?;
        }
        for line in &machine.lines {
            writeln!(out, "    | {line}")?;
        }
    }
    Ok(())
}

fn row(machine: &MachineStatus, of: &str) -> [String; 9] {
    let [id, state, address, kind, age, cost, digest] = cells(machine);
    let registered = machine.is_registered.map_or("-", |is| if is { "yes" } else { "no" });
    [id, of.to_owned(), state, address, kind, age, cost, digest, registered.to_owned()]
}

/// What the cloud tells of a machine: id, state, address, type, age, cost and digest.
fn cells(machine: &MachineStatus) -> [String; 7] {
    let instance = &machine.instance;
    let state = match machine.phase {
        Phase::Ready => instance.state.to_string(),
        phase => format!("{}, {}", instance.state, phase.as_str()),
    };
    let digest = instance.tags.get(tag::DIGEST);
    let digest = digest.map_or_else(|| "-".to_owned(), |digest| digest.chars().take(8).collect());
    [
        instance.id.to_string(),
        state,
        instance.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()),
        instance.instance_type.clone(),
        age(instance.launched_at),
        format!("{:.2}", machine.hourly_cost),
        digest,
    ]
}

fn findings(out: &mut (dyn Write + Send), findings: &BTreeMap<String, String>) -> io::Result<()> {
    for (object, finding) in findings {
        writeln!(out, "  drift: {object}: {finding}")?;
    }
    Ok(())
}

fn dollars(hourly: f64) -> String {
    format!("${hourly:.2} an hour")
}

/// By this computer's clock, as in `3h`: it is shown, and nothing is decided by it.
pub(super) fn age(launched_at: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = now.saturating_sub(Duration::from_secs(launched_at)).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}
