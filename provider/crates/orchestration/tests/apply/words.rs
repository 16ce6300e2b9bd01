//! What operations come to, in a line.

use cloud::{Phase, tag};
use cloud_memory::Memory;
use orchestration::failure::{FailedMachine, Failure, MachineFailure, Result};
use orchestration::journal::Warning;

/// What an operation has come to, and what it has said, in one line; uids are left out.
pub(crate) fn told(ended: &Result<()>, warnings: &[Warning]) -> String {
    let ended = ended.as_ref().map_or_else(failure, |()| "done".to_owned());
    let warnings = warnings.iter().map(|warning| format!("; {}", self::warning(warning)));
    without_uids(&format!("{ended}{}", warnings.collect::<String>()))
}

pub(crate) fn failure(failure: &Failure) -> String {
    match failure {
        Failure::Cloud { doing, error, .. } => format!("could not {doing}: {:?}", error.kind),
        Failure::Launch { doing, error, .. } => format!("could not {doing}: {:?}", error.kind()),
        Failure::Boot { what, machines, fate } => {
            format!("{what} failed: {}, {fate:?}", self::machines(machines))
        }
        Failure::RollStopped { machines, cause, .. } => {
            format!("roll stopped ({machines:?}): {}", self::failure(cause))
        }
        Failure::Interrupted { waiting_for, seen, why, .. } => {
            format!("{why:?} while waiting for {waiting_for}: {seen}")
        }
        Failure::Unanswered { seen, why, .. } => format!("{why:?} without an answer: {seen:?}"),
        Failure::AlreadyExists(what) => format!("{what} exists"),
        Failure::RouterNotReady { seen, .. } => format!("router not ready: {seen}"),
        Failure::Unrepairable { what, findings, .. } => {
            format!("{what} cannot be repaired: {}", findings.join(", "))
        }
        other => format!("{other:?}"),
    }
}

fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Also(failure) => format!("also: {}", self::failure(failure)),
        Warning::Unfinished(_, failure) => format!("unfinished: {}", self::failure(failure)),
        Warning::WorkersMissing { missing, cause, .. } => {
            format!("{missing} missing: {}", self::failure(cause))
        }
        Warning::WorkersFailed { machines, fate, .. } => {
            format!("failed: {}, {fate:?}", self::machines(machines))
        }
        Warning::WorkersRefused { machines, .. } => {
            format!("refused: {}", self::machines(machines))
        }
        Warning::DrainEnded { busy, .. } => format!("drain ended: {}", busy.join(", ")),
        other => format!("{other:?}"),
    }
}

fn machines(machines: &[FailedMachine]) -> String {
    let each = machines.iter().map(|machine| format!("{} {}", machine.id, reason(&machine.reason)));
    each.collect::<Vec<_>>().join(", ")
}

fn reason(reason: &MachineFailure) -> String {
    match reason {
        MachineFailure::Reported(boot) => {
            format!("failed in {} ({})", boot.phase, boot.lines.join(" "))
        }
        MachineFailure::Gone(why) => {
            format!("is gone ({})", why.as_deref().unwrap_or("nobody says why"))
        }
        MachineFailure::RouterUnreachable(port) => format!("is not let in at {port}"),
        MachineFailure::Refused(refusal) => format!("is refused: {refusal}"),
        MachineFailure::Silent { state, .. } => match state {
            Some(state) => format!("is late: {state}"),
            None => "is late, and says nothing".to_owned(),
        },
    }
}

/// Uids are chosen at random.
fn without_uids(text: &str) -> String {
    let mut parts = text.split('@');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str("@…");
        plain.extend(part.chars().skip_while(char::is_ascii_alphanumeric));
    }
    short(&plain)
}

/// Without the zeros of ids.
fn short(text: &str) -> String {
    text.replace("-0000000", "-").replace("-000000", "-")
}

/// The calls of a process, a line each.
pub(crate) fn calls(process: &Memory) -> String {
    process.calls().iter().map(|call| format!("  {call}\n")).collect()
}

/// Everything that there is, a few words each.
pub(crate) fn inventory(cloud: &Memory) -> String {
    let mut machines = cloud.machines();
    machines.sort_by_key(|machine| machine.id.clone());
    let each = machines.iter().map(|machine| {
        let role = machine.tags.get(tag::ROLE).map_or("?", String::as_str);
        let phase = Phase::of(&machine.tags);
        let phase = if phase == Phase::Ready { "" } else { phase.as_str() };
        format!("{role} {} {} {phase}", machine.id, machine.state).trim_end().to_owned()
    });
    let addresses = cloud.addresses().into_iter().map(|address| {
        let phase = Phase::of(&address.tags);
        let phase = if phase == Phase::Ready { "" } else { phase.as_str() };
        format!("address {} {phase}", address.id).trim_end().to_owned()
    });
    let all: Vec<String> = addresses.chain(each).collect();
    short(&if all.is_empty() { "nothing".to_owned() } else { all.join(", ") })
}
