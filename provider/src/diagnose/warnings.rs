//! What is said, and ends nothing, in words.

use super::machines::machines_text;
use super::text::list;
use domain::spec::WorkerRole;
use orchestration::failure::{FailedMachine, Fate};
use plugin::Diagnostic;
use std::time::Duration;

/// Workers that were removed because their boot failed, while others are at work.
pub(super) fn workers_failed(group: &str, machines: &[FailedMachine], fate: Fate) -> Diagnostic {
    let what = if fate == Fate::Late { "are not ready yet" } else { "did not boot" };
    let fate = match fate {
        Fate::Kept => "They were kept for inspection (`on_boot_failure = \"keep\"`).",
        Fate::Late => "The next plan shows them as drift.",
        Fate::NotRemoved | Fate::Untouched => {
            "They could not be removed, and are in the state; the next apply removes them."
        }
        Fate::Removed => {
            "They were removed, so that nothing is paid for them; the next apply launches them again."
        }
    };
    Diagnostic::warning(
        format!("{} of the workers of {group} {what}", machines.len()),
        format!("{}\n\n{fate}", machines_text(machines)),
    )
}

/// Workers to which the router sends no request, although nothing is wrong with their machines.
pub(super) fn workers_refused(group: &str, machines: &[FailedMachine]) -> Diagnostic {
    Diagnostic::warning(
        format!("{} of the workers of {group} get no request", machines.len()),
        format!(
            "{}\n\nThey are paid for, and no apply changes that as long as the configuration is what it is.",
            machines_text(machines)
        ),
    )
}

/// Answers that were running when `drain_timeout` was over.
pub(super) fn drain_ended(what: &str, limit: Duration, busy: &[String]) -> Diagnostic {
    let limit = format!("{} seconds", limit.as_secs());
    Diagnostic::warning(
        format!("Machines of {what} went before all answers were given"),
        format!(
            "`drain_timeout` was over after {limit}, and then:\n{}\n\nThey were removed. Answers that \
             another worker could take over went on there; others were cut. Raise `drain_timeout` if \
             answers take longer.",
            list(busy)
        ),
    )
}

/// Old workers of one half of the work that went too early.
pub(super) fn went_before_prefill(group: &str, missing: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("The last old workers of replica group {group} went before their prefill"),
        format!(
            "{missing}, and nothing in this run takes them: requests that were being prefilled at that moment may \
             have failed. Change the groups of a service in one apply, and let Terraform run them side by side \
             (`-parallelism` of at least their number)."
        ),
    )
}

/// Workers that get no request until there are others of the same kind.
pub(super) fn alone(group: &str, role: WorkerRole, namespace: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("Workers of replica group {group} get no request yet"),
        format!(
            "They differ from the {role} workers of the service in what both have to agree on (model, context \
             length, KV block size, chat template), and serve when there are {role} workers of the same \
             kind: theirs is the namespace {namespace}."
        ),
    )
}
