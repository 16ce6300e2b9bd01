//! What about a service is not as it was made. Pure.

use super::find::FoundService;
use super::removal::finding_of_unowned;
use super::tags;
use crate::drift::{changed_settings, changed_tag};
use cloud::tag;
use domain::spec::RouterSpec;
use std::collections::BTreeMap;

/// What is not as it was made: object → finding.
pub fn drift(found: &FoundService, spec: &RouterSpec) -> BTreeMap<String, String> {
    let mut drift = found.router_findings();
    if let Some(address) = &found.address
        && let Some(finding) = changed_tag(&address.tags, &tags::of_address(spec))
    {
        drift.entry(format!("address {}", address.ip)).or_insert(finding);
    }
    if let Some(router) = &found.router
        && let Some(finding) = changed_tag(&router.tags, &tags::of_router(spec))
    {
        drift.entry(format!("router {}", router.id)).or_insert(finding);
    }
    if let Some(router) = &found.router
        && let Some(finding) =
            changed_settings(router, "only another service brings another router")
    {
        drift.entry(format!("router {}", router.id)).or_insert(finding);
    }
    for worker in found.unowned_workers() {
        let group = worker.tags.get(tag::GROUP).map_or("", String::as_str);
        let object = format!("machine {} of replica group {group}", worker.id);
        drift.insert(object, finding_of_unowned());
    }
    drift
}
