//! What an operation on a group has come to: the machines in their slots, told to the state as they
//! change, and what is to become of them when the operation does not end well.

use super::workers::{self, GroupAccess};
use super::{members, model};
use crate::diagnose;
use crate::error::{FailedMachine, Failure, Result, RollCount};
use crate::operations::Running;
use crate::readiness;
use crate::session::Session;
use cloud::{Cloud, Instance, InstanceId, InstanceState, Phase, Tags, tag};
use plugin::{Attr, Ctx, State};
use schemas::ReplicaGroup;
use std::collections::BTreeMap;

pub(super) struct Progress<'a> {
    pub(super) session: &'a Session,
    pub(super) group: &'a GroupAccess,
    /// Says to the other operations of this process where its machines are going.
    pub(super) going: Running,
    pub(super) slots: BTreeMap<u32, Instance>,
    /// Machines on their way out: they count no longer, and are there.
    pub(super) leaving: Vec<Instance>,
    /// The attributes that are true so far: those of before, until everything is done. A creation
    /// has none of before, and has to keep to what was planned.
    so_far: ReplicaGroup,
    is_creation: bool,
    pub(super) state: &'a mut State<ReplicaGroup>,
    /// The count that a roll began with, under scaling.
    rolling: Option<String>,
    /// Machines that did not boot and are kept for a look, and those that are late: no end of an operation
    /// makes them ready.
    pub(super) unfinished: Vec<FailedMachine>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(
        session: &'a Session,
        group: &'a GroupAccess,
        going: Running,
        so_far: ReplicaGroup,
        slots: BTreeMap<u32, Instance>,
        leaving: Vec<Instance>,
        state: &'a mut State<ReplicaGroup>,
    ) -> Self {
        let is_creation = state.get().is_none();
        let rolling = members::rolling(&slots, &leaving).map(|count| count.to_string());
        let unfinished = Vec::new();
        Self {
            session,
            group,
            going,
            slots,
            leaving,
            so_far,
            is_creation,
            state,
            rolling,
            unfinished,
        }
    }

    /// Tells the state what machines there are, under the attributes that are true so far.
    pub(super) fn save(&mut self) {
        self.session.forget_machines(&self.group.id().service.fleet);
        let mut now = self.so_far.clone();
        now.id = Attr::Known(self.group.id().to_string());
        self.group.fill(&mut now, &self.slots, &self.leaving);
        if self.is_creation {
            keep_promises(&mut now, &self.so_far);
        } else if now.scaling.is_null() {
            now.replicas = now.instance_count.clone();
        }
        self.state.save(&now);
    }

    /// Tags machines, and knows it.
    pub(super) async fn tag(&mut self, machines: &[Instance], tags: &Tags) -> Result<()> {
        self.group.tag(machines, tags).await?;
        self.knows(machines, tags);
        Ok(())
    }

    fn knows(&mut self, machines: &[Instance], tags: &Tags) {
        for own in self.slots.values_mut() {
            if machines.iter().any(|machine| machine.id == own.id) {
                own.tags.extend(tags.clone());
            }
        }
    }

    /// Lets machines go: they count no longer from now on, and are removed when nothing runs on them any
    /// more. What stops this leaves them on their way out.
    pub(super) async fn let_go(&mut self, ctx: &Ctx, ids: &[InstanceId]) -> Result<()> {
        let is_meant = |instance: &Instance| ids.contains(&instance.id);
        let machines = self.slots.values().chain(&self.leaving);
        let machines: Vec<Instance> = machines.filter(|one| is_meant(one)).cloned().collect();
        self.group.draining.mark(&machines).await?;
        for (_, mut instance) in self.slots.extract_if(.., |_, instance| is_meant(instance)) {
            instance.tags.extend(Phase::Draining.tag());
            self.leaving.push(instance);
        }
        self.save();
        if let Some(said) = self.group.draining.wait(ctx, &machines).await? {
            self.state.warn(said);
        }
        self.group.terminate(ids).await?;
        self.leaving.retain(|instance| !is_meant(instance));
        self.save();
        Ok(())
    }

    /// Ends what an apply that did not end has left on its way out.
    pub(super) async fn end_leaving(&mut self, ctx: &Ctx) -> Result<()> {
        let ids: Vec<InstanceId> = self.leaving.iter().map(|left| left.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.let_go(ctx, &ids).await?;
        self.group.gone(ctx, &ids).await
    }

    /// Reboots a machine when nothing runs on it any more. What stops this leaves it on its way out,
    /// because the router has forgotten it; what comes after it waits until it has registered again.
    pub(super) async fn reboot(&mut self, ctx: &Ctx, id: &InstanceId) -> Result<()> {
        let machines = self.slots.values().filter(|instance| instance.id == *id);
        let machines: Vec<Instance> = machines.cloned().collect();
        self.tag(&machines, &Phase::Draining.tag()).await?;
        if let Some(said) = self.group.draining.wait(ctx, &machines).await? {
            self.state.warn(said);
        }
        self.group.reboot(id).await?;
        self.tag(&machines, &Phase::Unfinished.tag()).await
    }

    /// Writes down how many machines there are, before a roll takes one, where nothing else says it.
    pub(super) async fn remember_count(&mut self, planned: &ReplicaGroup) -> Result<()> {
        if planned.scaling.known().is_none()
            || members::rolling(&self.slots, &self.leaving).is_some()
        {
            return Ok(());
        }
        let count = Tags::from([(tag::ROLLING.to_owned(), self.slots.len().to_string())]);
        let all: Vec<Instance> = self.slots.values().cloned().collect();
        self.rolling = Some(self.slots.len().to_string());
        self.tag(&all, &count).await
    }

    /// The tags that hold the count of new machines.
    pub(super) fn count_tags(&self, planned: &ReplicaGroup) -> Tags {
        let mut tags = model::count_tags(planned);
        let rolling = self.rolling.iter().map(|count| (tag::ROLLING.to_owned(), count.clone()));
        tags.extend(rolling);
        tags
    }

    /// What a roll leaves that is stopped now.
    pub(super) fn roll_count(&self, removed: usize) -> RollCount {
        let draining = self.leaving.len();
        let mut count = RollCount { removed, draining, ..RollCount::default() };
        for machine in self.slots.values() {
            let counted = match (self.group.is_current(machine), Phase::of(&machine.tags)) {
                (false, _) if machine.state.is_up() => &mut count.old,
                (true, Phase::Ready) => &mut count.new,
                (true, _) => &mut count.unfinished,
                (false, _) => continue,
            };
            *counted += 1;
        }
        count
    }

    /// Those of the machines that failed.
    pub(super) fn chosen(&self, failed: &[FailedMachine]) -> Vec<Instance> {
        let is_failed = |machine: &&Instance| failed.iter().any(|failed| failed.id == machine.id.0);
        self.slots.values().filter(is_failed).cloned().collect()
    }

    /// Removes machines after a failure, also when the operation's own time is over, and says
    /// whether they are gone. What cannot be removed stays in the state, and the cause of it all is
    /// still told.
    pub(super) async fn drop_machines(&mut self, ctx: &Ctx, dead: &[Instance]) -> bool {
        let ctx = readiness::clean_up(ctx);
        let cloud = self.group.router.within(&ctx).cloud;
        let (fleet, id) = (&self.group.router.fleet, self.group.id());
        let removed = workers::remove(&ctx, &*cloud, fleet, id, dead).await;
        if removed.is_ok() {
            self.slots.retain(|_, instance| dead.iter().all(|dead| dead.id != instance.id));
        }
        self.save();
        removed.map_err(|failure| self.state.warn_all(diagnose::failure(failure))).is_ok()
    }

    /// Marks what is in the state as somebody's, so that no other creation takes it for its own.
    pub(super) async fn settle(&mut self, ctx: &Ctx) {
        let creating =
            self.slots.values().filter(|machine| Phase::of(&machine.tags) == Phase::Creating);
        let creating: Vec<Instance> = creating.cloned().collect();
        let router = self.group.router.within(&readiness::last_words(ctx));
        let tags = Phase::Unfinished.tag();
        match workers::tag(&*router.cloud, &router.fleet, self.group.id(), &creating, &tags).await {
            Ok(()) => self.knows(&creating, &tags),
            Err(failure) => self.state.warn_all(diagnose::failure(failure)),
        }
    }

    /// Tags the machines as made, and saves what there is under the attributes that were planned.
    pub(super) async fn finish(&mut self, planned: &ReplicaGroup) -> Result<()> {
        let mut tags = Phase::Ready.tag();
        tags.extend(model::count_tags(planned));
        let mut failed_tags = Phase::Unfinished.tag();
        if self.rolling.is_some() {
            let over = (tag::ROLLING.to_owned(), String::new());
            tags.extend([over.clone()]);
            failed_tags.extend([over]);
        }
        let (failed, up): (Vec<_>, Vec<_>) =
            self.slots.values().cloned().partition(|machine| {
                self.unfinished.iter().any(|failed| failed.id == machine.id.0)
            });
        self.tag(&up, &tags).await?;
        self.tag(&failed, &failed_tags).await?;
        let id = self.group.id();
        self.session.forget_machines(&id.service.fleet);
        // Whoever is here was seen to its end since it was listed as pending, or stopped.
        let mut now = self.slots.clone();
        let is_up = |one: &&mut Instance| up.iter().any(|machine| machine.id == one.id);
        for machine in now.values_mut().filter(is_up) {
            machine.state = InstanceState::Running;
        }
        let mut done = planned.clone();
        done.id = Attr::Known(id.to_string());
        done.drift = Attr::Known(BTreeMap::new());
        self.group.fill(&mut done, &now, &self.leaving);
        keep_promises(&mut done, planned);
        self.state.save(&done);
        Ok(())
    }

    /// The machines are there and may well be healthy: the next apply sees to the rest.
    pub(super) async fn leave_unfinished(mut self, ctx: &Ctx, failure: Failure) -> Result<()> {
        self.settle(ctx).await;
        let what = format!("replica group {}", self.group.id());
        self.state.warn_all(diagnose::unfinished(&what, failure));
        Ok(())
    }
}

/// What was planned as known is kept, also when a machine less came up: Terraform insists on it, and
/// the next look says what there is.
fn keep_promises(group: &mut ReplicaGroup, planned: &ReplicaGroup) {
    if !planned.instance_count.is_unknown() {
        group.instance_count = planned.instance_count.clone();
    }
    if !planned.hourly_cost.is_unknown() {
        group.hourly_cost = planned.hourly_cost.clone();
    }
}

impl GroupAccess {
    /// Puts what there is into the group.
    fn fill(
        &self,
        group: &mut ReplicaGroup,
        slots: &BTreeMap<u32, Instance>,
        leaving: &[Instance],
    ) {
        model::fill_members(group, self.router.cloud.name(), slots, leaving);
        let bounds = [&group.minimum_hourly_cost, &group.maximum_hourly_cost];
        if bounds.iter().any(|bound| bound.known().is_none()) {
            model::fill_cost_bounds(group, self.offers());
        }
    }
}
