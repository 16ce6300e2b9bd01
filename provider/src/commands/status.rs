//! `status`, for people.

use super::{drift_of_fleet, table};
use crate::diagnose;
use cloud::{Phase, tag};
use domain::finding::Finding;
use orchestration::status::{FleetStatus, GroupStatus, MachineStatus, ServiceStatus};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

/// Writes what there is.
pub(super) fn write(out: &mut (dyn Write + Send), fleet: &FleetStatus) -> io::Result<()> {
    writeln!(
        out,
        "fleet {} in {}, {}",
        fleet.id,
        fleet.zone.as_deref().unwrap_or("no zone"),
        dollars(fleet.hourly_cost())
    )?;
    findings(out, &drift_of_fleet(fleet))?;
    if fleet.services.is_empty() {
        writeln!(out, "no such service in it")?;
    }
    for service in &fleet.services {
        writeln!(out)?;
        write_service(out, service)?;
    }
    Ok(())
}

fn write_service(out: &mut (dyn Write + Send), service: &ServiceStatus) -> io::Result<()> {
    let facts = service.facts.as_ref().map_or_else(
        || "nothing is known of it, its address is gone".to_owned(),
        |facts| format!("model {}, Dynamo {}", facts.model, facts.version),
    );
    writeln!(out, "service {}: {facts}, {}", service.id, dollars(service.hourly_cost()))?;
    if let Some(endpoint) = &service.endpoint {
        let answers = if service.answers { "answers" } else { "does not answer from here" };
        writeln!(out, "  {endpoint} {answers}")?;
    }
    for group in &service.groups {
        let GroupStatus { id, role, scale, machines, .. } = group;
        let is_counted = |machine: &&MachineStatus| machine.phase != Phase::Draining;
        let count = machines.iter().filter(is_counted).count();
        let wanted = scale.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        writeln!(out, "  group {} ({role}): {count} of {wanted}", id.name)?;
    }
    let header =
        ["MACHINE", "OF", "STATE", "ADDRESS", "TYPE", "AGE", "$/H", "DIGEST", "REGISTERED"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(service.router.iter().map(|machine| row(machine, "router")));
    for group in &service.groups {
        rows.extend(group.machines.iter().map(|machine| row(machine, &group.id.name)));
    }
    table::write(out, "  ", &rows)?;
    let mut all: Vec<Finding> = service.findings.clone();
    all.extend(service.groups.iter().flat_map(|group| group.findings.clone()));
    findings(out, &diagnose::drift(&all))?;
    let workers = service.groups.iter().flat_map(|group| &group.machines);
    for machine in service.router.iter().chain(workers) {
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
    let instance = &machine.instance;
    let state = match machine.phase {
        Phase::Ready => instance.state.to_string(),
        phase => format!("{}, {}", instance.state, phase.as_str()),
    };
    let digest = instance.tags.get(tag::DIGEST);
    let digest = digest.map_or_else(|| "-".to_owned(), |digest| digest.chars().take(8).collect());
    [
        instance.id.to_string(),
        of.to_owned(),
        state,
        instance.ip.map_or_else(|| "-".to_owned(), |ip| ip.to_string()),
        instance.instance_type.clone(),
        age(instance.launched_at),
        format!("{:.2}", machine.hourly_cost),
        digest,
        machine.is_registered.map_or("-", |is| if is { "yes" } else { "no" }).to_owned(),
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
