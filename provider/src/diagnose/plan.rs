//! What a configuration asks for that cannot be, in words.

use domain::boot_document::BootDocumentError;
use domain::guard::Violation;
use domain::spec::WorkerRole;
use orchestration::failure::NoZone;
use orchestration::object::Object;
use plugin::{AttributePath, Diagnostic};

pub(super) fn no_user_data(what: &Object, error: &BootDocumentError) -> Diagnostic {
    let (whose, attribute) = match what {
        Object::ReplicaGroup(_) => ("the workers", "engine"),
        Object::Service(_) | Object::Fleet(_) => ("the router", "router"),
    };
    let summary = match error {
        BootDocumentError::TooLarge(_) => "User data too large".to_owned(),
        _ => format!("No user data for {whose}"),
    };
    Diagnostic::error(summary, format!("{error}.")).at(AttributePath::root(attribute))
}

pub(super) fn no_counterpart(
    group: &str,
    role: WorkerRole,
    namespace: &str,
    missing: &str,
) -> Diagnostic {
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

pub(super) fn no_zone(why: NoZone) -> Diagnostic {
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

/// A dotted path as Terraform's.
pub(crate) fn attribute_path(dotted: &str) -> AttributePath {
    let mut names = dotted.split('.');
    let root = names.next().unwrap_or_default();
    names.fold(AttributePath::root(root), |path, name| path.attribute(name))
}
