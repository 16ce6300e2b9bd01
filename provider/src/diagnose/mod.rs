//! The one place where errors become diagnostics: a short summary, a detail that says what
//! happened to which object in which cloud with which code, and what to do next.
//!
//! | file | in words |
//! |---|---|
//! | `cloud.rs` | what a cloud has answered |
//! | `findings.rs` | what is not as it was made |
//! | `machines.rs` | machines that did not come up, and waits that ended |
//! | `objects.rs` | fleets, services and groups that are there, missing, in use, or cannot be put back |
//! | `plan.rs` | what a configuration asks for that cannot be |
//! | `warnings.rs` | what ends nothing |

mod cloud;
mod findings;
mod machines;
mod objects;
mod plan;
mod text;
mod warnings;

pub(crate) use findings::{drift, object};
pub(crate) use objects::{address_changes, two_addresses};
pub(crate) use plan::{attribute_path, violation};

use self::cloud::{cloud_detail, launch, remedy, summary_of};
use self::machines::{boot, interrupted, interruption, roll_count_text, unanswered};
use self::objects::{already_exists, how_to_free, missing, missing_object, way_out};
use self::plan::{no_counterpart, no_user_data, no_zone};
use self::text::{at, capitalised, list};
use self::warnings::{alone, drain_ended, went_before_prefill, workers_failed, workers_refused};
use crate::clouds;
use crate::error::Failure;
use ::cloud::{ErrorKind, Interrupted, RequestPart};
use orchestration::failure::{Failure as Ended, RollCount, RollOrder};
use orchestration::journal::Warning;
use orchestration::object::Object;
use plugin::{AttributePath, Diagnostic, Diagnostics};

/// The attributes of a resource that stand behind the parts of a request to its cloud.
pub(crate) type AttributesOf = [(RequestPart, &'static str)];

/// What ended an operation of a resource with these attributes.
pub(crate) fn failure(failure: Failure, attributes: &AttributesOf) -> Diagnostics {
    Diagnostics::from(match failure {
        Failure::Ended(ended) => self::ended(ended, attributes),
        Failure::Missing { what, attribute, hint } => missing_object(&what, hint, attribute),
        Failure::Invalid { summary, detail, attribute } => {
            at(Diagnostic::error(summary, detail), attribute)
        }
        Failure::Unreadable { what, detail } => Diagnostic::error(
            format!("State of {what} cannot be read"),
            format!(
                "{detail}. It was edited by hand, or another release has written it. Put it back from \
                 a backup, or forget it and import what exists:\n\n  terraform state rm ADDRESS\n  \
                 terraform import ADDRESS cloud/region/fleet/…"
            ),
        ),
        Failure::TwoAddresses { what, kind } => two_addresses(&what, kind),
        Failure::Bug(text) => bug(&text),
    })
}

/// What is said, and ends nothing.
pub(crate) fn warning(warning: Warning) -> Diagnostics {
    match warning {
        Warning::Also(failure) => ended(failure, &[]).into(),
        Warning::Unfinished(what, cause) => unfinished(&what, cause),
        Warning::WorkersMissing { group, missing, cause } => {
            workers_missing(&group.to_string(), missing, cause)
        }
        Warning::WorkersFailed { group, machines, fate } => {
            workers_failed(&group.to_string(), &machines, fate).into()
        }
        Warning::WorkersRefused { group, machines } => {
            workers_refused(&group.to_string(), &machines).into()
        }
        Warning::DrainEnded { group, limit, busy } => {
            drain_ended(&format!("replica group {group}"), limit, &busy).into()
        }
        Warning::WentBeforePrefill { group, missing } => {
            went_before_prefill(&group.to_string(), &missing).into()
        }
        Warning::Alone { group, role, namespace } => {
            alone(&group.to_string(), role, &namespace).into()
        }
    }
}

fn ended(ended: Ended, attributes: &AttributesOf) -> Diagnostic {
    match ended {
        Ended::Cloud { cloud, doing, error } => at(
            Diagnostic::error(
                summary_of(error.kind, &doing),
                format!("{}\n\n{}", cloud_detail(cloud, &doing, &error), remedy(error.kind)),
            ),
            attribute_of(error.part, attributes),
        ),
        Ended::NoCloud(cloud) => Diagnostic::error(
            format!("Cloud `{cloud}` is not available"),
            clouds::not_built_in(cloud)
                .unwrap_or_else(|| "The provider is not configured yet.".to_owned()),
        ),
        Ended::Launch { cloud, doing, error } => {
            // The last attempt is the one that ended the walk.
            let part = error.attempts.last().and_then(|(_, error)| error.part);
            at(launch(cloud, &doing, &error), attribute_of(part, attributes))
        }
        Ended::Boot { what, machines, fate } => boot(&what, &machines, fate),
        Ended::RollStopped { group, machines, order, cause } => {
            roll_stopped(&group.to_string(), machines, order, *cause, attributes)
        }
        Ended::Interrupted { waiting_for, seen, why, kept } => {
            interrupted(&waiting_for, &seen, why, kept)
        }
        Ended::Unanswered { model, url, seen, proxy, why } => {
            unanswered(&model, &url, &seen, proxy.as_deref(), why)
        }
        Ended::AlreadyExists(what) => already_exists(&what),
        Ended::MadeTwice(what) => Diagnostic::error(
            format!("Duplicate name: {what}"),
            format!(
                "Another resource of this configuration is creating {what} at this moment. \
                 Give this one another name."
            ),
        )
        .at(AttributePath::root("name")),
        Ended::Missing(what) => missing(&what),
        Ended::Unrepairable { what, findings, why } => Diagnostic::error(
            format!("{} cannot be repaired in place", capitalised(&what.to_string())),
            format!("Found:\n{}\n\n{}", list(&findings), way_out(why)),
        ),
        Ended::StillUsed { what, by } => Diagnostic::error(
            format!("{} is still in use", capitalised(&what.to_string())),
            format!("In use by:\n{}\n\n{}", list(&by), how_to_free(&what)),
        ),
        Ended::RouterNotReady { group, router, ip, seen } => Diagnostic::error(
            format!("Router of service {} is not ready", group.service),
            format!(
                "Nothing was launched for replica group {group}: the apply that launched the router {router} at \
                 {ip} has not seen it ready. Last seen: {seen}.\n\nApply again: the router is waited for and \
                 kept, and this group comes after it.",
            ),
        )
        .at(AttributePath::root("service_id")),
        Ended::NoOffer { service, error } => Diagnostic::error(
            "No machine fits the router",
            format!("On cloud `{}`: {error}.", service.fleet.cloud),
        )
        .at(AttributePath::root("router")),
        Ended::UserData { what, error } => no_user_data(&what, &error),
        // The plan refuses it where it can: one of the two may have been unknown then.
        Ended::Purchase(group) => Diagnostic::error(
            "Market and reservation contradict each other",
            format!(
                "Of replica group {group}: spot machines are taken out of no reservation, and `market = \
                 \"capacity-block\"` needs the `reservation` that names the block."
            ),
        )
        .at(AttributePath::root("market")),
        Ended::NoCounterpart { group, role, namespace, missing } => {
            no_counterpart(&group.to_string(), role, &namespace, &missing)
        }
        Ended::NoZone(why) => no_zone(why),
        Ended::Bug(text) => bug(&text),
    }
}

fn bug(text: &str) -> Diagnostic {
    Diagnostic::error(
        "Provider bug",
        format!("{text}\n\nThis is a bug in the provider, please report it with this text."),
    )
}

/// Workers that could not be launched, while others are there.
fn workers_missing(group: &str, missing: usize, cause: Ended) -> Diagnostics {
    Diagnostic::warning(
        format!("{missing} of the workers of {group} could not be launched"),
        format!(
            "{}\n\nThe others are kept, and are in the state. The next plan shows how many are missing, and \
             the next apply launches them.",
            text_of(cause)
        ),
    )
    .into()
}

/// What was made and not seen to the end, because of `failure`: no error, which would taint it, and
/// so sell machines that may well be healthy.
fn unfinished(what: &Object, cause: Ended) -> Diagnostics {
    let advice = match &cause {
        Ended::Interrupted { why: Interrupted::Deadline, .. } => {
            " Raise `timeouts` if it only needs longer."
        }
        _ => "",
    };
    let cause = match cause {
        // What there is, and what comes next, is said below.
        Ended::Interrupted { waiting_for, seen, why, .. } => {
            format!("{}. Last seen: {seen}.", interruption(&waiting_for, why))
        }
        cause => text_of(cause),
    };
    Diagnostic::warning(
        format!("{} is not finished", capitalised(&what.to_string())),
        format!(
            "{cause}\n\nWhat was made is kept, and is in the state. The next plan shows it as drift, and \
             the next apply waits for it.{advice}"
        ),
    )
    .into()
}

/// A failure within another text.
fn text_of(cause: Ended) -> String {
    let cause = ended(cause, &[]);
    format!("{}.\n\n{}", cause.summary, cause.detail)
}

fn roll_stopped(
    group: &str,
    machines: RollCount,
    order: RollOrder,
    cause: Ended,
    attributes: &AttributesOf,
) -> Diagnostic {
    let next = match &cause {
        Ended::Interrupted { .. } => "Apply again, which goes on from here",
        _ => "Fix the cause and apply again, which goes on from here",
    };
    let is_full = matches!(
        &cause,
        Ended::Launch { error, .. }
            if matches!(error.kind(), ErrorKind::InsufficientCapacity | ErrorKind::QuotaExceeded)
    );
    let Diagnostic { summary, detail, attribute, .. } = ended(cause, attributes);
    let mut text = format!(
        "{summary}.\n\n{detail}\n\n{} The state has the attributes of before and the machines that exist. \
         {next}, or take the change back and apply, which rolls it back.",
        roll_count_text(machines)
    );
    match order {
        RollOrder::OldFirst => {
            text += " With `update_strategy = { max_unavailable = 0, max_surge = 1 }` no machine goes before \
                     its successor is there.";
        }
        RollOrder::NewForTheLast if is_full => {
            text += " The last machine that serves goes only when its successor does, and there is no room for \
                     that one. With `update_strategy = { max_unavailable = 1 }` it goes first, and the group does \
                     not serve until the new one has loaded the model.";
        }
        RollOrder::NewForTheLast | RollOrder::NewFirst => {}
    }
    at(Diagnostic::error(format!("Roll of replica group {group} stopped"), text), attribute)
}

fn attribute_of(part: Option<RequestPart>, attributes: &AttributesOf) -> Option<AttributePath> {
    let (_, name) = attributes.iter().find(|(known, _)| Some(*known) == part)?;
    Some(AttributePath::root(name))
}
