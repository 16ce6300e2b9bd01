//! What a change of an endpoint means. Pure.

use plugin::{Attr, Change, Diagnostics};
use schemas::Endpoint;
use std::collections::BTreeMap;

/// `changes` says whether this very plan gives a service, by its id, another way from outside.
pub(super) fn plan(change: &mut Change<Endpoint>, changes: impl Fn(&str) -> bool) -> Diagnostics {
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
            let moves = planned.service_id.as_str().is_some_and(changes);
            if prior.drift.known().is_none_or(BTreeMap::is_empty) && !moves {
                planned.url = prior.url;
                planned.model = prior.model;
            } else {
                // What was read of a service that is not as it was made, or is going to be otherwise, may not
                // be so either.
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
    let moved = planned.url.is_unknown();
    // An import knows no groups: what it found is served already.
    drifted || moved || (!prior.group_ids.is_null() && prior.group_ids != planned.group_ids)
}
