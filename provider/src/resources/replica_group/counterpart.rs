//! A service answers with workers of both halves of the work, or with ones that do both: what a plan says
//! that takes the last of one half, while the other half stays. Pure, but for what the plans say to each
//! other.

use super::model;
use crate::resources::attributes::service_of;
use crate::siblings::{Part, Siblings};
use domain::planner::Count;
use domain::spec::WorkerRole;
use plugin::{AttributePath, Diagnostic};
use schemas::ReplicaGroup;

/// Says that a service will not answer when this plan, or one of before in this run, takes the last workers
/// of one role. Whichever of them is planned last says it; who is planned later still may bring others.
pub(super) fn warn(
    siblings: &Siblings,
    prior: Option<&ReplicaGroup>,
    planned: Option<&ReplicaGroup>,
) -> Option<Diagnostic> {
    let group = planned.or(prior)?;
    let service = service_of(&group.service_id)?.path();
    let own_role: WorkerRole = group.role.known()?.parse().ok()?;
    let name = group.name.known()?.clone();
    if planned.is_none() && siblings.has_machines(&service, &name) {
        // It has another address in Terraform now.
        return None;
    }
    // One whose count is not known yet may have some.
    let has_machines = planned.is_some() && model::count(group) != Ok(Count::Fixed(0));
    let count = prior.and_then(|prior| prior.instance_count.known().copied());
    let loses_all = !has_machines && count.is_some_and(|count| count > 0);
    let part = Part { role: own_role, has_machines, loses_all };
    let parts = siblings.plan_part(service.clone(), name, part);
    let role = missing(&parts)?;
    if !siblings.says_first(&service, role) {
        return None;
    }
    let other = role.counterpart()?;
    let fate = match other {
        WorkerRole::Prefill => "What is being prefilled at that moment is not answered.",
        WorkerRole::Decode | WorkerRole::Worker => "What runs on them is still answered.",
    };
    let warning = Diagnostic::warning(
        format!("No {role} workers are left"),
        format!(
            "This plan takes all {role} workers of service {service}, as far as it knows, and its {other} workers \
             stay. Those cannot answer alone: from this apply on new requests get 404 or 503, until there are \
             {role} workers again. {fate}"
        ),
    );
    Some(match planned {
        Some(_) if own_role == role => warning.at(AttributePath::root("replicas")),
        _ => warning,
    })
}

/// The role whose last workers go while the other half stays.
fn missing(parts: &[Part]) -> Option<WorkerRole> {
    let has = |role: WorkerRole| parts.iter().any(|part| part.role == role && part.has_machines);
    WorkerRole::ALL.into_iter().find(|role| {
        let goes = parts.iter().any(|part| part.role == *role && part.loses_all);
        goes && !has(*role) && !has(WorkerRole::Worker) && role.counterpart().is_some_and(has)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin::Attr;

    fn group(role: &str, count: i64) -> ReplicaGroup {
        let word = |text: &str| Attr::Known(text.to_owned());
        ReplicaGroup {
            name: word(role),
            service_id: word("local/local/pd/tiny@abcd1234"),
            role: word(role),
            replicas: Attr::Known(count),
            instance_count: Attr::Known(count),
            ..ReplicaGroup::default()
        }
    }

    /// What plans say that bring groups of one count each to these counts; none is a removal.
    fn said(groups: &[(&str, i64, Option<i64>)]) -> Vec<String> {
        let siblings = Siblings::default();
        let warn = |(role, before, after): &(&str, i64, Option<i64>)| {
            let planned = after.map(|after| group(role, after));
            warn(&siblings, Some(&group(role, *before)), planned.as_ref())
        };
        groups.iter().filter_map(warn).map(|warning| warning.summary).collect()
    }

    #[test]
    fn who_takes_the_last_of_one_half_is_told() {
        let none = |role: &str| vec![format!("No {role} workers are left")];
        assert_eq!(said(&[("decode", 2, Some(2)), ("prefill", 2, Some(0))]), none("prefill"));
        assert_eq!(said(&[("decode", 2, Some(2)), ("prefill", 2, None)]), none("prefill"));
        assert_eq!(said(&[("prefill", 1, Some(1)), ("decode", 1, None)]), none("decode"));
        // Whoever is planned last says it.
        assert_eq!(said(&[("prefill", 2, Some(0)), ("decode", 2, Some(2))]), none("prefill"));
        // Everything goes, or went before; some are left; others do both.
        for all_is_well in [
            [("decode", 2, None), ("prefill", 2, None)],
            [("decode", 2, Some(2)), ("prefill", 0, Some(0))],
            [("decode", 2, Some(2)), ("prefill", 2, Some(1))],
            [("worker", 2, Some(2)), ("prefill", 2, Some(0))],
        ] {
            assert_eq!(said(&all_is_well), [""; 0], "{all_is_well:?}");
        }
    }

    /// As where it comes from what is made only by the apply.
    #[test]
    fn a_count_that_is_not_known_yet_takes_nobody() {
        let siblings = Siblings::default();
        let planned = ReplicaGroup { replicas: Attr::unknown(), ..group("prefill", 2) };
        assert!(warn(&siblings, None, Some(&group("decode", 2))).is_none());
        assert!(warn(&siblings, Some(&group("prefill", 2)), Some(&planned)).is_none());
    }

    /// The same group has another address in Terraform.
    #[test]
    fn a_group_that_is_made_elsewhere_is_not_gone() {
        let made = [("decode", 1, Some(1)), ("prefill", 1, Some(1)), ("prefill", 1, None)];
        assert_eq!(said(&made), [""; 0]);
    }
}
