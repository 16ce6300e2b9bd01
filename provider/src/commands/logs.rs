//! `logs`: what machines have printed.

use super::{Ended, missing, patience};
use cloud::InstanceId;
use orchestration::Orchestrator;
use orchestration::status::{FleetStatus, MachineStatus, Scope, status};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// Writes the consoles, and goes on with what comes when it `follows`.
pub(super) async fn write(
    out: &mut (dyn Write + Send),
    orchestrator: &Orchestrator,
    scope: &Scope,
    machine: Option<&str>,
    follows: bool,
) -> Result<ExitCode, Ended> {
    // A console that is followed is compared as a whole: its beginning may be lost meanwhile.
    let whole = Scope { lines: usize::MAX, ..scope.clone() };
    let mut printed: BTreeMap<InstanceId, Vec<String>> = BTreeMap::new();
    let mut is_first = true;
    loop {
        let Some(found) = status(orchestrator, &patience(), &whole).await? else {
            return Ok(missing(scope));
        };
        let machines = machines(&found, machine);
        if machines.is_empty() && is_first {
            super::complain("There is no such machine.");
            return Ok(ExitCode::FAILURE);
        }
        let is_alone = machine.is_some();
        for one in machines {
            let id = &one.instance.id;
            let before = printed.get(id).map(Vec::as_slice).unwrap_or_default();
            let new = new_lines(before, &one.lines);
            let skipped = if is_first { new.len().saturating_sub(scope.lines) } else { 0 };
            for line in &new[skipped..] {
                match is_alone {
                    true => writeln!(out, "{line}")?,
                    false => writeln!(out, "{id}  {line}")?,
                }
            }
            printed.insert(id.clone(), one.lines.clone());
        }
        out.flush()?;
        if !follows {
            return Ok(ExitCode::SUCCESS);
        }
        is_first = false;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Between two looks: a cloud lets an account read some consoles a second.
const PAUSE: Duration = Duration::from_secs(2);

fn machines<'a>(found: &'a FleetStatus, machine: Option<&str>) -> Vec<&'a MachineStatus> {
    let services = found.services.iter();
    let all = services.flat_map(|service| {
        let workers = service.groups.iter().flat_map(|group| &group.machines);
        service.router.iter().chain(workers)
    });
    all.filter(|one| machine.is_none_or(|id| one.instance.id.0 == id)).collect()
}

/// What has come since. A cloud keeps the last part of a console: the lines of before are found by
/// where the end of the old ones stands in the new ones.
fn new_lines<'a>(before: &[String], now: &'a [String]) -> &'a [String] {
    for start in 0..before.len() {
        let kept = &before[start..];
        if now.starts_with(kept) {
            return &now[kept.len()..];
        }
    }
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_come_is_told_once() {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for (before, now, new) in [
            ("", "a b", "a b"),
            ("a b", "a b", ""),
            ("a b", "a b c", "c"),
            // The beginning is lost.
            ("a b c", "b c d e", "d e"),
            // A machine that boots anew.
            ("a b c", "x", "x"),
        ] {
            assert_eq!(new_lines(&lines(before), &lines(now)), lines(new), "{before} > {now}");
        }
    }
}
