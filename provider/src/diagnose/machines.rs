//! Machines that did not come up, and waits that ended, in words.

use super::text::indented;
use cloud::Interrupted;
use domain::console::MachineState;
use orchestration::failure::{EndpointSeen, FailedMachine, Fate, MachineFailure, RollCount};
use plugin::Diagnostic;

pub(super) fn boot(what: &str, machines: &[FailedMachine], fate: Fate) -> Diagnostic {
    let summary = match machines.iter().all(FailedMachine::is_late) {
        true => format!("Timeout while waiting for {what}"),
        false => format!("Boot of {what} failed"),
    };
    Diagnostic::error(summary, format!("{}\n\n{}", machines_text(machines), fate_text(fate)))
}

fn fate_text(fate: Fate) -> &'static str {
    match fate {
        Fate::Untouched => "Nothing was changed. Fix the cause and apply again.",
        Fate::Removed => {
            "What was launched for it was removed. Fix the cause and apply again; with \
             `on_boot_failure = \"keep\"` it stays for inspection."
        }
        Fate::Kept => "It is left as it is, for inspection. Fix the cause and apply again.",
        Fate::Late => "It is in the state as it is, and nothing that serves was touched for it.",
        Fate::NotRemoved => {
            "What was launched for it could not be removed, and is in the state: fix the cause and \
             apply again, which removes it first."
        }
    }
}

pub(super) fn machines_text(machines: &[FailedMachine]) -> String {
    let texts = machines.iter().map(|machine| {
        let FailedMachine { id, address, reason } = machine;
        match reason {
            MachineFailure::Reported(failure) => format!(
                "Machine {id} at {address} failed {} times in its phase `{}` (exit code {}). Its \
                 last lines:\n{}",
                failure.attempts,
                failure.phase,
                failure.code,
                indented(&failure.lines)
            ),
            MachineFailure::Gone(Some(why)) => {
                let why = why.trim_end_matches('.');
                format!("Machine {id} at {address} has ended by itself. The cloud says: {why}.")
            }
            MachineFailure::Gone(None) => {
                format!(
                    "Machine {id} at {address} is gone: the cloud lists it no longer, or as stopped."
                )
            }
            MachineFailure::RouterUnreachable(port) => {
                format!(
                    "Machine {id} at {address} does not reach {port}, while the router there is \
                     healthy. Something between them is closed: a rule of the fleet's network, or a \
                     firewall on the image. `terraform plan` shows rules that were changed by hand."
                )
            }
            MachineFailure::Refused(refusal) => {
                format!(
                    "Machine {id} at {address} is registered and healthy, and the router refuses it: {refusal}. \
                     A router serves workers of one role only as long as they agree in model, context length, KV \
                     block size and chat template; the others get no request. Give all groups of the role the \
                     same, by `engine` and by what is in their images, or let those go that were there first."
                )
            }
            MachineFailure::Silent { state, lines } => {
                let download = state.as_ref().and_then(MachineState::download);
                let download = download.map(|download| {
                    format!(" It was downloading its model: {download} were there.")
                });
                let state = state.as_ref().map(|state| format!(" Its last word: {state}."));
                format!(
                    "Machine {id} at {address} did not register in time, and no phase of its boot \
                     failed. It is kept, and the next apply waits for it; with longer `timeouts` this one \
                     would have.{}{} The end of its console:
{}",
                    download.unwrap_or_default(),
                    state.unwrap_or_default(),
                    indented(lines)
                )
            }
        }
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

pub(super) fn roll_count_text(machines: RollCount) -> String {
    let RollCount { removed, draining, old, new, unfinished } = machines;
    let removed = match removed {
        0 => "No old machine was removed".to_owned(),
        1 => "1 old machine was removed".to_owned(),
        count => format!("{count} old machines were removed"),
    };
    let draining = match draining {
        0 => String::new(),
        1 => " 1 is draining, which the next apply ends.".to_owned(),
        count => format!(" {count} are draining, which the next apply ends."),
    };
    let noun = if new == 1 { "machine" } else { "machines" };
    let unfinished = match unfinished {
        0 => String::new(),
        1 => "; 1 more new one is there and does not serve yet".to_owned(),
        count => format!("; {count} more new ones are there and do not serve yet"),
    };
    format!("{removed}.{draining} {old} old and {new} new {noun} are running{unfinished}.")
}

pub(super) fn interrupted(
    waiting_for: &str,
    seen: &str,
    why: Interrupted,
    kept: bool,
) -> Diagnostic {
    let next = match (why, kept) {
        (Interrupted::Deadline, true) => {
            "What exists is recorded in the state. Raise the operation's `timeouts` if it only \
             needs longer, and apply again."
        }
        (Interrupted::Deadline, false) => {
            "Nothing was left behind. Raise the operation's `timeouts` if it only needs longer, \
             and apply again."
        }
        (Interrupted::Cancelled, true) => {
            "What exists is recorded in the state. Apply again to go on."
        }
        (Interrupted::Cancelled, false) => "Nothing was made. Apply again to go on.",
    };
    Diagnostic::error(interruption(waiting_for, why), format!("Last seen: {seen}.\n\n{next}"))
}

pub(super) fn interruption(waiting_for: &str, why: Interrupted) -> String {
    match why {
        Interrupted::Deadline => format!("Timeout while waiting for {waiting_for}"),
        Interrupted::Cancelled => format!("Stopped while waiting for {waiting_for}"),
    }
}

/// A service that did not answer in time.
pub(super) fn unanswered(
    model: &str,
    url: &str,
    seen: &EndpointSeen,
    proxy: Option<&str>,
    why: Interrupted,
) -> Diagnostic {
    let seen = match seen {
        EndpointSeen::Nothing => "nothing yet".to_owned(),
        EndpointSeen::Answer(answer) => answer.clone(),
        EndpointSeen::NoWayIn(in_the_way) => format!(
            "no connection from this machine ({in_the_way}). The service's `ingress_cidrs` and `public_ip` decide \
             who has a way in"
        ),
    };
    let proxy = proxy.map(|variable| {
        format!(
            ". A proxy is in the way: `{variable}` of the router's frontend leads its requests to the \
             workers through it. Have `NO_PROXY` and `no_proxy` name the fleet's networks where the \
             router's `commands` set them"
        )
    });
    let waiting_for = format!("a chat completion of model `{model}` at {url}");
    interrupted(&waiting_for, &(seen + &proxy.unwrap_or_default()), why, false)
}
