//! The journal of an operation on a group: what there is goes into the state at once.

use super::model;
use crate::diagnose;
use cloud::Offer;
use orchestration::group::GroupRecord;
use orchestration::journal::{Journal, Warning};
use plugin::{Attr, State};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;

pub(super) struct GroupJournal<'a> {
    /// The attributes that are true so far: those of before, until everything is done. A creation
    /// has none of before, and has to keep to what was planned.
    so_far: ReplicaGroup,
    planned: ReplicaGroup,
    is_creation: bool,
    offers: Vec<Offer>,
    state: &'a mut State<ReplicaGroup>,
}

impl<'a> GroupJournal<'a> {
    /// Of a creation.
    pub(super) fn of_creation(
        planned: ReplicaGroup,
        offers: Vec<Offer>,
        state: &'a mut State<ReplicaGroup>,
    ) -> Self {
        let so_far = ReplicaGroup { drift: Attr::Known(BTreeMap::new()), ..planned.clone() };
        Self { so_far, planned, is_creation: true, offers, state }
    }

    /// Of a change.
    pub(super) fn of_update(
        prior: ReplicaGroup,
        planned: ReplicaGroup,
        offers: Vec<Offer>,
        state: &'a mut State<ReplicaGroup>,
    ) -> Self {
        Self { so_far: prior, planned, is_creation: false, offers, state }
    }

    /// Of a removal.
    pub(super) fn of_removal(group: ReplicaGroup, state: &'a mut State<ReplicaGroup>) -> Self {
        Self::of_update(group.clone(), group, Vec::new(), state)
    }

    /// Puts what there is into the group.
    fn fill(&self, group: &mut ReplicaGroup, record: &GroupRecord) {
        let GroupRecord { id, slots, leaving, .. } = record;
        group.id = Attr::Known(id.to_string());
        if group.image_id.known().is_none() {
            group.image_id = Attr::from(record.image.clone());
        }
        model::fill_members(group, id.service.fleet.cloud, slots, leaving);
        let bounds = [&group.minimum_hourly_cost, &group.maximum_hourly_cost];
        if bounds.iter().any(|bound| bound.known().is_none())
            && let Ok(count) = model::count(group)
        {
            model::fill_cost_bounds(group, count, &self.offers);
        }
    }
}

impl Journal<GroupRecord> for GroupJournal<'_> {
    fn saved(&mut self, record: &GroupRecord) {
        let mut now = match record.is_done {
            true => ReplicaGroup { drift: Attr::Known(BTreeMap::new()), ..self.planned.clone() },
            false => self.so_far.clone(),
        };
        self.fill(&mut now, record);
        if record.is_done {
            keep_promises(&mut now, &self.planned);
        } else if self.is_creation {
            keep_promises(&mut now, &self.so_far);
        } else if now.scaling.is_null() {
            now.replicas = now.instance_count.clone();
        }
        self.state.save(&now);
    }

    fn removed(&mut self) {
        self.state.remove();
    }

    fn warned(&mut self, warning: Warning) {
        self.state.warn_all(diagnose::warning(warning));
    }
}

/// What was planned as known is kept, also when a machine less came up: Terraform insists on it, and
/// the next read says what there is.
fn keep_promises(group: &mut ReplicaGroup, planned: &ReplicaGroup) {
    if !planned.instance_count.is_unknown() {
        group.instance_count = planned.instance_count.clone();
    }
    if !planned.hourly_cost.is_unknown() {
        group.hourly_cost = planned.hourly_cost.clone();
    }
}
