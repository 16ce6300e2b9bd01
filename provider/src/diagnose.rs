//! The one place where errors become diagnostics: a short summary, a detail that says what
//! happened to which object in which cloud with which code, and what to do next.

use crate::clouds;
use crate::error::Failure;
use cloud::{CloudError, CloudName, ErrorKind, Interrupted, LaunchError, RequestPart};
use domain::console::MachineState;
use domain::guard::Violation;
use domain::id::{FleetId, ServiceId};
use domain::spec::WorkerRole;
use domain::user_data::UserDataError;
use orchestration::failure::{
    FailedMachine, Failure as Ended, Fate, MachineFailure, Missing, NoZone, RollCount, RollOrder,
    Unrepairable,
};
use orchestration::journal::Warning;
use orchestration::object::Object;
use plugin::{AttributePath, Diagnostic, Diagnostics};
use std::{error::Error, fmt::Write, time::Duration};

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
    let group_name = |group: &dyn std::fmt::Display| group.to_string();
    match warning {
        Warning::Also(failure) => ended(failure, &[]).into(),
        Warning::Unfinished(what, cause) => unfinished(&what, cause),
        Warning::WorkersMissing { group, missing, cause } => {
            workers_missing(&group_name(&group), missing, cause)
        }
        Warning::WorkersFailed { group, machines, fate } => {
            workers_failed(&group_name(&group), &machines, fate).into()
        }
        Warning::WorkersRefused { group, machines } => {
            workers_refused(&group_name(&group), &machines).into()
        }
        Warning::DrainEnded { group, limit, busy } => {
            drain_ended(&format!("replica group {group}"), limit, &busy).into()
        }
        Warning::WentBeforePrefill { group, missing } => {
            went_before_prefill(&group_name(&group), &missing).into()
        }
        Warning::Alone { group, role, namespace } => {
            alone(&group_name(&group), role, &namespace).into()
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
            clouds::not_built_in(cloud.as_str())
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
        Ended::NoCounterpart { group, role, namespace, missing } => {
            no_counterpart(&group.to_string(), role, &namespace, &missing)
        }
        Ended::NoZone(why) => no_zone(why),
        Ended::Bug(text) => bug(&text),
    }
}

fn attribute_of(part: Option<RequestPart>, attributes: &AttributesOf) -> Option<AttributePath> {
    let (_, name) = attributes.iter().find(|(known, _)| Some(*known) == part)?;
    Some(AttributePath::root(name))
}

fn bug(text: &str) -> Diagnostic {
    Diagnostic::error(
        "Provider bug",
        format!("{text}\n\nThis is a bug in the provider, please report it with this text."),
    )
}

/// The name of a resource of this kind, in commands and blocks.
fn resource_of(what: &Object) -> &'static str {
    match what {
        Object::Fleet(_) => "disagg_fleet.NAME",
        Object::Service(_) => "disagg_service.NAME",
        Object::ReplicaGroup(_) => "disagg_replica_group.NAME",
    }
}

fn already_exists(what: &Object) -> Diagnostic {
    let (address, import) = (resource_of(what), what.import_path());
    Diagnostic::error(
        "Already exists",
        format!(
            "{} exists already, and is not in this state under this address. Nothing was changed.\n\n\
             If another address in this state has it, write down where it goes:\n\n{}\n\nIf it is to \
             be managed here and no state has it, import it:\n\n  terraform import {address} {import}\n\n\
             If it belongs to another state, or to the old object of a `create_before_destroy`, the two need \
             different names: give the new one another.",
            capitalised(&what.to_string()),
            moved(address)
        ),
    )
}

fn missing_object(what: &str, hint: String, attribute: Option<AttributePath>) -> Diagnostic {
    at(Diagnostic::error(format!("{} not found", capitalised(&what.to_string())), hint), attribute)
}

fn missing(what: &Missing) -> Diagnostic {
    let of_service = |what: String, hint: String| {
        missing_object(&what, hint, Some(AttributePath::root("service_id")))
    };
    match what {
        Missing::Fleet(fleet @ FleetId { cloud, region, name }) => missing_object(
            &format!("fleet {fleet}"),
            format!(
                "The cloud `{cloud}` has no fleet `{name}` in region `{region}`. Refer to the fleet's \
                 resource, as in `fleet_id = disagg_fleet.NAME.id`, so that it is created first. If it \
                 exists in another account or state directory, this resource needs the same provider \
                 configuration as the fleet."
            ),
            Some(AttributePath::root("fleet_id")),
        ),
        Missing::Service(id @ ServiceId { fleet, .. }) => of_service(
            format!("service {id}"),
            format!(
                "Fleet {fleet} has no such service. If it was removed by hand, `terraform plan` shows \
                 what is left of it."
            ),
        ),
        Missing::Facts { service, error } => of_service(
            format!("service {service}"),
            format!("The tags of its address cannot be read: {error}."),
        ),
        Missing::Router(id) => of_service(
            format!("router of service {id}"),
            "Its machine is gone, and workers without a router are paid for and do nothing. \
             Apply the service first, it is recovered at its address: \
             `terraform apply -target=disagg_service.NAME`."
                .to_owned(),
        ),
    }
}

fn way_out(why: Unrepairable) -> &'static str {
    match why {
        Unrepairable::Fleet => {
            "Put it back by hand, or replace the fleet and each service in it, which ends \
             them for a while: `terraform apply -replace=disagg_fleet.NAME \
             -replace=disagg_service.NAME`."
        }
        Unrepairable::AddressGone => {
            "Its workers were told that address at their boot and would never find a \
             router at another one. Replace the service, which replaces its replica \
             groups too: `terraform apply -replace=disagg_service.NAME`."
        }
        Unrepairable::MadeFromAnother => {
            "Nobody knows what it runs, and workers hold connections to it. Replace \
             the service, which replaces its replica groups too: \
             `terraform apply -replace=disagg_service.NAME`."
        }
        Unrepairable::SettingsNeedAnother => {
            "That takes another router, and workers hold connections to this one. Put it back \
             by hand, or replace the service, which replaces its replica groups too: \
             `terraform apply -replace=disagg_service.NAME`."
        }
    }
}

fn how_to_free(what: &Object) -> &'static str {
    match what {
        Object::Fleet(_) => {
            "A fleet is removed only when no service is left in it. If this run removes them \
             too, run it again: refer to the resource, as in `fleet_id = disagg_fleet.NAME.id`, \
             and Terraform knows the order. If this run replaces the fleet, replace its services \
             with it: `terraform apply -replace=disagg_service.NAME`. Else remove these first; \
             import them if no state has them."
        }
        Object::Service(_) | Object::ReplicaGroup(_) => {
            "Workers without their router are paid for and do nothing. If this run removes \
             them too, run it again: refer to the resource, as in `service_id = \
             disagg_service.NAME.id`, and Terraform knows the order. Else remove these groups \
             first; if another state has them, remove them there, or import them here with \
             `terraform import disagg_replica_group.NAME cloud/region/fleet/service/group`."
        }
    }
}

fn no_user_data(what: &Object, error: &UserDataError) -> Diagnostic {
    let (whose, attribute) = match what {
        Object::ReplicaGroup(_) => ("the workers", "engine"),
        Object::Service(_) | Object::Fleet(_) => ("the router", "router"),
    };
    let summary = match error {
        UserDataError::TooLarge(_) => "User data too large".to_owned(),
        _ => format!("No user data for {whose}"),
    };
    Diagnostic::error(summary, format!("{error}.")).at(AttributePath::root(attribute))
}

fn no_counterpart(group: &str, role: WorkerRole, namespace: &str, missing: &str) -> Diagnostic {
    Diagnostic::error(
        format!("No {role} workers beside the new ones of replica group {group}"),
        format!(
            "The new machines differ from the old ones in what prefill and decode have to agree on, and no roll of a \
             {role} group into the same namespace ({namespace}) is going on: {missing}. Old and new machines \
             run. Change all groups of the service in one apply, without `-target`, without a `depends_on` between \
             them and with a `-parallelism` of at least their number; where the roll of a {role} group has \
             stopped, fix its cause and apply again."
        ),
    )
    .at(AttributePath::root("engine"))
}

fn no_zone(why: NoZone) -> Diagnostic {
    let of_gpu = |index: usize, gpu: &dyn std::fmt::Display, detail: String| {
        Diagnostic::error(format!("No machine with {gpu}"), detail)
            .at(AttributePath::root("gpus").index(index))
    };
    match why {
        NoZone::SubnetOfAnother { found, wanted } => Diagnostic::error(
            "Subnet of another zone",
            format!(
                "The subnet is in zone `{found}`, and the fleet is to be in `{wanted}`. Give a \
                 subnet of that zone, or leave one of them out."
            ),
        )
        .at(AttributePath::root("subnet")),
        NoZone::NoOffer { index, gpu, error } => of_gpu(index, &gpu, format!("{error}.")),
        NoZone::NotOffered { index, gpu, region, wanted, others } => {
            let names: Vec<_> = others.iter().map(|zone| format!("`{zone}`")).collect();
            let detail = match (wanted, others.is_empty()) {
                (_, true) => format!("No zone of region `{region}` offers {gpu}."),
                (Some(zone), false) => {
                    format!("Zone `{zone}` does not offer {gpu}; {} do.", names.join(", "))
                }
                (None, false) => format!(
                    "No zone of region `{region}` offers {gpu} together with the ones before it; it alone is \
                     in {}.",
                    names.join(", ")
                ),
            };
            of_gpu(index, &gpu, detail)
        }
    }
}

/// A change of the router that the plan refuses, or cannot judge yet.
pub(crate) fn violation(violation: &Violation) -> Diagnostic {
    let path = attribute_path(&violation.path);
    if violation.is_refusal() {
        Diagnostic::error(violation.summary(), violation.detail()).at(path)
    } else {
        Diagnostic::warning(violation.summary(), violation.detail()).at(path)
    }
}

/// One object that a run removes at one address in Terraform, and makes or keeps at another.
pub(crate) fn two_addresses(what: &str, kind: &str) -> Diagnostic {
    Diagnostic::error(
        format!("Two addresses for {what}"),
        format!(
            "This configuration removes {what} at one address in Terraform, and makes it or has it at another. It \
             is the same one in the cloud: to remove it there would end what serves, for a name of \
             Terraform. Nothing was changed.\n\nIf the resource is only called otherwise now, write it \
             down:\n\n{}\n\nIf both addresses are in the state since an import, forget the old one: \
             `terraform state rm ADDRESS`. If these are to be two, the new one needs another name, which a \
             `create_before_destroy` needs as well. To remove everything, `terraform destroy -refresh=false` does \
             without this plan.",
            moved(&format!("{kind}.NAME"))
        ),
    )
}

/// A group that is handed over to another address in Terraform.
pub(crate) fn address_changes(what: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("Another address for {what}"),
        format!(
            "The plan shows a removal and a creation of {what}: the resource has another address in Terraform \
             now. It is the same one in the cloud, so its machines are handed over, and none of them goes for \
             that. With a `moved` block the plan says so itself:\n\n{}",
            moved("disagg_replica_group.NAME")
        ),
    )
}

/// `address` ends with `NAME`.
fn moved(address: &str) -> String {
    format!(
        "  moved {{\n    from = {}\n    to   = {}\n  }}",
        address.replace("NAME", "OLD_NAME"),
        address.replace("NAME", "NEW_NAME")
    )
}

/// Workers that were removed because their boot failed, while others are at work.
fn workers_failed(group: &str, machines: &[FailedMachine], fate: Fate) -> Diagnostic {
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
fn workers_refused(group: &str, machines: &[FailedMachine]) -> Diagnostic {
    Diagnostic::warning(
        format!("{} of the workers of {group} get no request", machines.len()),
        format!(
            "{}\n\nThey are paid for, and no apply changes that as long as the configuration is what it is.",
            machines_text(machines)
        ),
    )
}

/// Answers that were running when `drain_timeout` was over.
fn drain_ended(what: &str, limit: Duration, busy: &[String]) -> Diagnostic {
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

/// Old workers of one half of the work that went too early.
fn went_before_prefill(group: &str, missing: &str) -> Diagnostic {
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
fn alone(group: &str, role: WorkerRole, namespace: &str) -> Diagnostic {
    Diagnostic::warning(
        format!("Workers of replica group {group} get no request yet"),
        format!(
            "They differ from the {role} workers of the service in what both have to agree on (model, context \
             length, KV block size, chat template), and serve when there are {role} workers of the same \
             kind: theirs is the namespace {namespace}."
        ),
    )
}

/// A dotted path as Terraform's.
pub(crate) fn attribute_path(dotted: &str) -> AttributePath {
    let mut names = dotted.split('.');
    let root = names.next().unwrap_or_default();
    names.fold(AttributePath::root(root), |path, name| path.attribute(name))
}

fn summary_of(kind: ErrorKind, doing: &str) -> String {
    let kind = match kind {
        ErrorKind::InsufficientCapacity => "Insufficient capacity",
        ErrorKind::QuotaExceeded => "Quota exceeded",
        ErrorKind::Throttled => "Throttled by the cloud",
        ErrorKind::Unauthenticated => "Credentials missing or expired",
        ErrorKind::PermissionDenied => "Permission denied",
        ErrorKind::InvalidRequest => "Refused by the cloud",
        ErrorKind::NotFound => "Not known to the cloud",
        ErrorKind::Conflict | ErrorKind::TokenSpent => "Name or token already taken",
        ErrorKind::InUse => "Still in use",
        ErrorKind::Unsupported => "Not supported by the cloud",
        ErrorKind::Unavailable => "Cloud unavailable",
        ErrorKind::Timeout => "Cloud did not answer in time",
        ErrorKind::Cancelled => "Stopped",
        ErrorKind::Other => "Call to the cloud failed",
    };
    format!("{kind}: could not {doing}")
}

fn cloud_detail(cloud: CloudName, doing: &str, error: &CloudError) -> String {
    let mut text = format!("Could not {doing} in cloud `{cloud}`: {error}");
    let mut cause = error.source();
    while let Some(below) = cause {
        let _ = write!(text, ": {below}");
        cause = below.source();
    }
    text.push('.');
    if let Some(id) = &error.request_id {
        let _ = write!(text, " Request id: {id}.");
    }
    text
}

fn remedy(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InsufficientCapacity => {
            "The zone has no such machine free now. Apply again later, or choose another zone, \
             another size or another GPU."
        }
        ErrorKind::QuotaExceeded => {
            "The account may not have so many. Ask the cloud for a higher quota, or do with fewer."
        }
        ErrorKind::Throttled | ErrorKind::Unavailable => {
            "This passes by itself as a rule. Apply again: what exists already is found and kept."
        }
        ErrorKind::Timeout => {
            "Run it again when the cloud answers, and raise the timeout where it is only slow: what exists \
             already is found and kept."
        }
        ErrorKind::Unauthenticated => "Give the provider credentials that are valid now.",
        ErrorKind::PermissionDenied => "Allow this call to the credentials in use.",
        ErrorKind::InvalidRequest | ErrorKind::Unsupported => {
            "Change the configuration so that the cloud can do it."
        }
        ErrorKind::NotFound => {
            "It may have been removed at this moment, or be too new to be known everywhere: plan again to see \
             what there is, and apply."
        }
        ErrorKind::Conflict | ErrorKind::TokenSpent => {
            "Something else has it. Choose another name, or import what exists."
        }
        ErrorKind::InUse => "Remove what uses it first.",
        ErrorKind::Cancelled => "Run it again to go on: what exists already is found and kept.",
        ErrorKind::Other => "If the text does not tell what to do, please report it.",
    }
}

fn launch(cloud: CloudName, doing: &str, error: &LaunchError) -> Diagnostic {
    let kind = error.kind();
    // Whether a call has had its effect is not known when its answer is lost.
    let left = match kind.may_be_done() {
        true => {
            "Whether any of it was launched is not known. What was carries the provider's tags: the next \
             apply finds it and goes on with it, and removing the service or the fleet removes it."
        }
        false => "Nothing of it was left behind.",
    };
    let tried = error
        .attempts
        .iter()
        .map(|(offer, error)| {
            let id = error.request_id.as_deref().map(|id| format!(" Request id: {id}."));
            format!("{}: {error}.{}", offer.instance_type, id.unwrap_or_default())
        })
        .collect::<Vec<_>>();
    Diagnostic::error(
        summary_of(kind, doing),
        format!(
            "Could not {doing} in cloud `{cloud}`. Tried, in this order:\n{}\n\n{left} {}",
            list(&tried),
            remedy(kind)
        ),
    )
}

fn boot(what: &str, machines: &[FailedMachine], fate: Fate) -> Diagnostic {
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

fn roll_count_text(machines: RollCount) -> String {
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

fn machines_text(machines: &[FailedMachine]) -> String {
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

fn interruption(waiting_for: &str, why: Interrupted) -> String {
    match why {
        Interrupted::Deadline => format!("Timeout while waiting for {waiting_for}"),
        Interrupted::Cancelled => format!("Stopped while waiting for {waiting_for}"),
    }
}

fn interrupted(waiting_for: &str, seen: &str, why: Interrupted, kept: bool) -> Diagnostic {
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

fn at(mut diagnostic: Diagnostic, attribute: Option<AttributePath>) -> Diagnostic {
    diagnostic.attribute = attribute;
    diagnostic
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("  - {item}")).collect::<Vec<_>>().join("\n")
}

fn indented(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  (it printed nothing)".to_owned();
    }
    lines.iter().map(|line| format!("  | {line}")).collect::<Vec<_>>().join("\n")
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
