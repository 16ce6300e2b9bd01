//! What a change of an endpoint means. Pure.

use plugin::{Attr, Change, Diagnostics};
use schemas::Endpoint;
use std::collections::BTreeMap;

pub(super) fn plan(change: &mut Change<Endpoint>) -> Diagnostics {
    let prior = change.prior.clone();
    let Some(planned) = change.planned.as_mut() else { return Diagnostics::default() };
    planned.drift = Attr::Known(BTreeMap::new());
    match prior {
        None => {
            planned.id = match &planned.service_id {
                Attr::Known(id) => Attr::Known(id.clone()),
                unknown => unknown.clone(),
            };
            planned.url = Attr::unknown();
            planned.model = Attr::unknown();
        }
        Some(prior) => {
            planned.id = prior.id;
            if prior.drift.known().is_none_or(BTreeMap::is_empty) {
                planned.url = prior.url;
                planned.model = prior.model;
            } else {
                // What was read of a service that is not as it was made may not be so either.
                planned.url = Attr::unknown();
                planned.model = Attr::unknown();
            }
        }
    }
    Diagnostics::default()
}

/// Whether a change asks for another proof that the service answers.
pub(super) fn waits_again(prior: &Endpoint, planned: &Endpoint) -> bool {
    let drifted = prior.drift.known().is_some_and(|drift| !drift.is_empty());
    // An import knows no groups: what it found is served already.
    drifted || (!prior.group_ids.is_null() && prior.group_ids != planned.group_ids)
}
