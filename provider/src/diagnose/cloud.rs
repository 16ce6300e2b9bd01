//! What a cloud has answered, in words.

use super::text::list;
use cloud::{CloudError, CloudName, ErrorKind, LaunchError, with_causes};
use plugin::Diagnostic;
use std::fmt::Write;

pub(super) fn summary_of(kind: ErrorKind, doing: &str) -> String {
    let kind = match kind {
        ErrorKind::InsufficientCapacity => "Insufficient capacity",
        ErrorKind::QuotaExceeded => "Quota exceeded",
        ErrorKind::Throttled => "Throttled by the cloud",
        ErrorKind::Unauthenticated => "Credentials missing or expired",
        ErrorKind::PermissionDenied => "Permission denied",
        ErrorKind::InvalidRequest => "Refused by the cloud",
        ErrorKind::NotFound | ErrorKind::NotVisibleYet => "Not known to the cloud",
        ErrorKind::Conflict | ErrorKind::TokenSpent => "Name or token already taken",
        ErrorKind::InUse => "Still in use",
        ErrorKind::Unreadable => "Not what the provider has written",
        ErrorKind::Unsupported => "Not supported by the cloud",
        ErrorKind::Unavailable => "Cloud unavailable",
        ErrorKind::Timeout => "Cloud did not answer in time",
        ErrorKind::Cancelled => "Stopped",
        ErrorKind::Other => "Call to the cloud failed",
    };
    format!("{kind}: could not {doing}")
}

pub(super) fn cloud_detail(cloud: CloudName, doing: &str, error: &CloudError) -> String {
    let mut text = format!("Could not {doing} in cloud `{cloud}`: {}.", with_causes(error));
    if let Some(id) = &error.request_id {
        let _ = write!(text, " Request id: {id}.");
    }
    text
}

pub(super) fn remedy(kind: ErrorKind) -> &'static str {
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
            "It may have been removed at this moment: plan again to see what there is, and apply."
        }
        ErrorKind::NotVisibleYet => {
            "It may have been removed at this moment, or be too new to be known everywhere: plan again to see \
             what there is, and apply."
        }
        ErrorKind::Conflict | ErrorKind::TokenSpent => {
            "Something else has it. Choose another name, or import what exists."
        }
        ErrorKind::InUse => "Remove what uses it first.",
        ErrorKind::Unreadable => {
            "Somebody has changed it, or a newer release has written it. Change it back, or remove it."
        }
        ErrorKind::Cancelled => "Run it again to go on: what exists already is found and kept.",
        ErrorKind::Other => "If the text does not tell what to do, please report it.",
    }
}

pub(super) fn launch(cloud: CloudName, doing: &str, error: &LaunchError) -> Diagnostic {
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
