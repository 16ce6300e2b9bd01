//! `logs`: what machines have printed.

use super::{Ended, complain, missing, patience};
use crate::diagnose;
use cloud::InstanceId;
use domain::console::plain;
use orchestration::Orchestrator;
use orchestration::inventory::Scope;
use orchestration::logs::{Printed, logs};
use orchestration::snapshot::Freshness;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What is to be written.
pub(super) struct Wanted {
    pub(super) scopes: Vec<Scope>,
    /// Of each console so many last lines at first.
    pub(super) lines: usize,
    /// Only this one.
    pub(super) machine: Option<String>,
    pub(super) follows: bool,
}

/// Writes the consoles, and goes on with what comes when that is wanted: a failure that passes by itself is told,
/// and the next round tries again.
pub(super) async fn write(
    out: &mut (dyn Write + Send),
    orchestrator: &Orchestrator,
    wanted: &Wanted,
) -> Result<ExitCode, Ended> {
    let Wanted { scopes, lines, machine, follows } = wanted;
    let mut seen: BTreeMap<InstanceId, Vec<String>> = BTreeMap::new();
    for round in 0_u32.. {
        let freshness = if round % LISTED_EVERY == 0 { Freshness::New } else { Freshness::Any };
        let mut printed = Vec::new();
        for scope in scopes {
            let machine = machine.as_deref();
            match logs(orchestrator, &patience(), scope, machine, freshness).await {
                Ok(None) if scopes.len() == 1 => return Ok(missing(scope)),
                Ok(of_fleet) => printed.extend(of_fleet.into_iter().flatten()),
                Err(failure) if *follows && round > 0 => tell(failure),
                Err(failure) => return Err(failure.into()),
            }
        }
        if printed.is_empty() && round == 0 {
            complain(match machine {
                Some(_) => "There is no such machine.",
                None => "There are no machines.",
            });
            return Ok(ExitCode::FAILURE);
        }
        let shown = if round == 0 { *lines } else { usize::MAX };
        let are_all_read = show(out, &mut seen, printed, machine.is_some(), shown, *follows)?;
        if !follows {
            return Ok(if are_all_read { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes what has come since the last round, of each console no more than its last lines. Answers whether every
/// console could be read.
fn show(
    out: &mut (dyn Write + Send),
    seen: &mut BTreeMap<InstanceId, Vec<String>>,
    printed: Vec<Printed>,
    is_alone: bool,
    lines: usize,
    follows: bool,
) -> Result<bool, Ended> {
    let mut are_all_read = true;
    for Printed { id, of, text } in printed {
        let text = match text {
            Ok(text) => text,
            Err(failure) => {
                tell(failure);
                are_all_read = false;
                continue;
            }
        };
        let mut now: Vec<String> = text.lines().map(plain).collect();
        if follows && !text.ends_with('\n') {
            // The rest of it comes.
            now.pop();
        }
        let new = new_lines(seen.get(&id).map(Vec::as_slice).unwrap_or_default(), &now);
        for line in &new[new.len().saturating_sub(lines)..] {
            match is_alone {
                true => writeln!(out, "{line}")?,
                false => writeln!(out, "{of} {id}  {line}")?,
            }
        }
        seen.insert(id, now);
    }
    out.flush()?;
    Ok(are_all_read)
}

fn tell(failure: orchestration::failure::Failure) {
    for found in diagnose::failure(failure.into(), &[]) {
        complain(&found.summary);
    }
}

/// Between two rounds: a cloud lets an account read some consoles a second.
const PAUSE: Duration = Duration::from_secs(2);

/// In one of so many rounds it is asked anew what machines there are.
const LISTED_EVERY: u32 = 5;

/// What has come since. A cloud keeps the last part of a console, and may have cut a line: where the lines of before
/// end in those of now is found by their ends.
fn new_lines<'a>(before: &[String], now: &'a [String]) -> &'a [String] {
    for start in 0..before.len() {
        let kept = &before[start..];
        if let Some(rest) = now.strip_prefix(kept) {
            return rest;
        }
        // The first line of now is what is left of the one before those.
        if let (Some(cut), Some((first, now))) = (before[..start].last(), now.split_first())
            && cut.ends_with(first.as_str())
            && let Some(rest) = now.strip_prefix(kept)
        {
            return rest;
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
            // The beginning is lost, and with it a part of a line.
            ("a b c", "b c d e", "d e"),
            ("abc def ghi", "ef ghi jkl", "jkl"),
            // A machine that boots anew.
            ("a b c", "x", "x"),
            ("a b", "x b c", "x b c"),
        ] {
            assert_eq!(new_lines(&lines(before), &lines(now)), lines(new), "{before} > {now}");
        }
    }
}
