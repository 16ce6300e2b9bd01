//! What about a service is not as it was made. Pure.

use super::find::FoundService;
use super::removal::unowned_for;
use super::{router, tags};
use crate::drift::{changed_settings, changed_tag};
use crate::snapshot::Snapshot;
use cloud::{InstanceState, Phase, tag};
use domain::finding::{Deviation, Finding, Subject, add};
use domain::spec::RouterSpec;

/// What is not as it was made: router, address, workers that no record has, and the rule.
pub fn findings(found: &FoundService, snapshot: &Snapshot, spec: &RouterSpec) -> Vec<Finding> {
    let mut findings = router_findings(found);
    if let Some(address) = &found.address
        && let Some(what) = changed_tag(&address.tags, &tags::of_address(spec))
    {
        add(&mut findings, Finding::of(Subject::Address(Some(address.ip)), what));
    }
    if let Some(router) = &found.router {
        let tags = changed_tag(&router.tags, &tags::of_router(spec));
        for what in tags.into_iter().chain(changed_settings(router)) {
            add(&mut findings, Finding::of(Subject::Router(Some(router.id.clone())), what));
        }
    }
    for worker in found.unowned_workers() {
        let group = worker.tags.get(tag::GROUP).cloned().unwrap_or_default();
        let object = Subject::MachineOf(worker.id.clone(), group);
        add(&mut findings, Finding::of(object, unowned_for(worker)));
    }
    let rule = snapshot.ingress(&spec.id().label()).filter(|rule| rule.port != spec.port);
    if let Some(rule) = rule {
        let what = Deviation::Port { found: rule.port, wanted: spec.port };
        add(&mut findings, Finding::of(Subject::Rule, what));
    }
    findings
}

/// Whether the router and its address are there and work.
pub fn router_findings(found: &FoundService) -> Vec<Finding> {
    let (object, what) = match (&found.router, &found.address) {
        (_, None) => (Subject::Address(None), Some(Deviation::Gone)),
        (None, Some(address)) => (Subject::Router(None), Some(Deviation::RouterGone(address.ip))),
        (Some(router), Some(_)) => {
            let is_unfinished = router.phase() != Phase::Ready;
            let what = match router.state {
                InstanceState::Pending | InstanceState::Running | InstanceState::Unreachable => {
                    is_unfinished.then_some(Deviation::Unfinished)
                }
                InstanceState::Impaired => Some(Deviation::Impaired),
                InstanceState::Stopping | InstanceState::Stopped => Some(Deviation::Stopped),
                InstanceState::Terminating => Some(Deviation::Terminating),
            };
            (Subject::Router(Some(router.id.clone())), what)
        }
    };
    what.map(|what| Finding::of(object, what)).into_iter().collect()
}

/// Where clients reach it now, if that is not where they did.
pub fn moved(found: &FoundService, spec: &RouterSpec, was: &str) -> Option<Finding> {
    let address = found.address.as_ref()?;
    let is = router::endpoint(address.reachable(), i64::from(spec.port));
    (is != was).then(|| {
        let was = was.to_owned();
        Finding::of(Subject::Endpoint, Deviation::Moved { was, is })
    })
}
