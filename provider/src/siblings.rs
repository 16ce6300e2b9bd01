//! What the services and groups of this run are to be, as far as one plan has to know of another.
//!
//! Terraform plans each resource alone, in no fixed order. So each plan says here what it makes of its
//! group, and the later of two groups of one service sees the earlier one.

use domain::engine::Agreement;
use domain::spec::WorkerRole;
use domain::version::DynamoVersion;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What the plans of this process have said so far, by the path of the service.
#[derive(Debug, Default)]
pub(crate) struct Siblings(Mutex<BTreeMap<String, Planned>>);

#[derive(Clone, Debug, Default)]
struct Planned {
    service: PlannedService,
    groups: BTreeMap<String, Sibling>,
    /// Who does what part of the work, by the group's name; also those of whose engines nothing is known.
    parts: BTreeMap<String, Part>,
    /// The roles of which some plan has said that none are left.
    said: BTreeSet<WorkerRole>,
}

/// What the plan of a service says, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PlannedService {
    pub(crate) model: Option<String>,
    pub(crate) version: Option<DynamoVersion>,
}

/// The part of a group in the work of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) role: WorkerRole,
    pub(crate) has_machines: bool,
    /// It had some, and will have none.
    pub(crate) loses_all: bool,
}

/// A group that a plan gives machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sibling {
    pub(crate) role: WorkerRole,
    /// The engine's name.
    pub(crate) engine: String,
    pub(crate) agreement: Agreement,
    /// GPUs of each engine process, where the engine runs on any.
    pub(crate) gpus: Option<u32>,
}

impl Siblings {
    /// Another run begins.
    pub(crate) fn forget(&self) {
        self.planned().clear();
    }

    /// Says what a service is to be.
    pub(crate) fn plan_service(&self, path: String, service: PlannedService) {
        self.planned().entry(path).or_default().service = service;
    }

    /// What the service of this path is to be.
    pub(crate) fn service(&self, path: &str) -> PlannedService {
        self.planned().get(path).map(|planned| planned.service.clone()).unwrap_or_default()
    }

    /// Says what part a group has in its service; answers the parts of all that have been planned so far.
    pub(crate) fn plan_part(&self, service: String, group: String, part: Part) -> Vec<Part> {
        let mut planned = self.planned();
        let parts = &mut planned.entry(service).or_default().parts;
        parts.insert(group, part);
        parts.values().copied().collect()
    }

    /// Whether no other plan has said before that a service has no workers of this role left.
    pub(crate) fn says_first(&self, service: &str, role: WorkerRole) -> bool {
        self.planned().get_mut(service).is_some_and(|planned| planned.said.insert(role))
    }

    /// Whether a plan has said that this group has machines.
    pub(crate) fn has_machines(&self, service: &str, group: &str) -> bool {
        let planned = self.planned();
        let part = planned.get(service).and_then(|planned| planned.parts.get(group));
        part.is_some_and(|part| part.has_machines)
    }

    /// What a group of a service is to be; none when it goes, or nobody can tell.
    pub(crate) fn plan_group(&self, service: String, group: String, planned: Option<Sibling>) {
        let mut services = self.planned();
        let groups = &mut services.entry(service).or_default().groups;
        match planned {
            Some(planned) => groups.insert(group, planned),
            None => groups.remove(&group),
        };
    }

    /// The model of a service, where a plan has told, and its groups but this one.
    pub(crate) fn of(
        &self,
        service: &str,
        group: &str,
    ) -> (Option<String>, BTreeMap<String, Sibling>) {
        let mut planned = self.planned().get(service).cloned().unwrap_or_default();
        planned.groups.remove(group);
        (planned.service.model, planned.groups)
    }

    fn planned(&self) -> MutexGuard<'_, BTreeMap<String, Planned>> {
        // Nothing panics while it holds this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
