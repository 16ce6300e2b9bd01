//! What an operation on a group has come to: the machines in their slots, told to the journal as they
//! change, and what is to become of them when the operation does not end well.

use super::access::{self, Group};
use super::{GroupRecord, members};
use crate::failure::{FailedMachine, Failure, Result, RollCount};
use crate::journal::{Journal, Warning};
use crate::operations::Running;
use crate::orchestrator::Orchestrator;
use crate::readiness;
use cloud::{Deadline, Instance, InstanceId, InstanceState, Phase, Tags, tag};
use std::collections::BTreeMap;

pub(crate) struct Progress<'a> {
    pub(crate) orchestrator: &'a Orchestrator,
    pub(crate) group: &'a Group,
    /// Says to the other operations of this process where its machines are going.
    pub(crate) going: Running,
    pub(crate) slots: BTreeMap<u32, Instance>,
    /// Machines on their way out: they count no longer, and are there.
    pub(crate) leaving: Vec<Instance>,
    pub(crate) journal: &'a mut dyn Journal<GroupRecord>,
    /// The count that a roll began with, under scaling.
    rolling: Option<String>,
    /// Machines that did not boot and are kept for inspection, and those that are late: no end of an operation
    /// makes them ready.
    pub(crate) unfinished: Vec<FailedMachine>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(
        orchestrator: &'a Orchestrator,
        group: &'a Group,
        going: Running,
        slots: BTreeMap<u32, Instance>,
        leaving: Vec<Instance>,
        journal: &'a mut dyn Journal<GroupRecord>,
    ) -> Self {
        let rolling = members::rolling(&slots, &leaving).map(|count| count.to_string());
        let unfinished = Vec::new();
        Self { orchestrator, group, going, slots, leaving, journal, rolling, unfinished }
    }

    /// Tells the journal what machines there are.
    pub(crate) fn save(&mut self) {
        let (slots, leaving) = (self.slots.clone(), self.leaving.clone());
        self.journal.saved(&GroupRecord {
            id: self.group.id.clone(),
            slots,
            leaving,
            image: self.group.policy.image.clone(),
            is_done: false,
        });
    }

    /// Tags machines, and knows it.
    pub(crate) async fn tag(&mut self, machines: &[Instance], tags: &Tags) -> Result<()> {
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
    pub(crate) async fn let_go(&mut self, deadline: &Deadline, ids: &[InstanceId]) -> Result<()> {
        let is_meant = |instance: &Instance| ids.contains(&instance.id);
        let machines = self.slots.values().chain(&self.leaving);
        let machines: Vec<Instance> = machines.filter(|one| is_meant(one)).cloned().collect();
        self.group.draining.mark(&machines).await?;
        for (_, mut instance) in self.slots.extract_if(.., |_, instance| is_meant(instance)) {
            instance.tags.extend(Phase::Draining.tag());
            self.leaving.push(instance);
        }
        self.save();
        if let Some(said) = self.group.draining.wait(deadline, &machines).await? {
            self.journal.warned(said);
        }
        self.group.terminate(ids).await?;
        self.leaving.retain(|instance| !is_meant(instance));
        self.save();
        Ok(())
    }

    /// Ends what an operation that did not end has left on its way out.
    pub(crate) async fn end_leaving(&mut self, deadline: &Deadline) -> Result<()> {
        let ids: Vec<InstanceId> = self.leaving.iter().map(|left| left.id.clone()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.let_go(deadline, &ids).await?;
        self.group.gone(deadline, &ids).await
    }

    /// Reboots a machine when nothing runs on it any more. What stops this leaves it on its way out,
    /// because the router has forgotten it; what comes after it waits until it has registered again.
    pub(crate) async fn reboot(&mut self, deadline: &Deadline, id: &InstanceId) -> Result<()> {
        let machines = self.slots.values().filter(|instance| instance.id == *id);
        let machines: Vec<Instance> = machines.cloned().collect();
        self.tag(&machines, &Phase::Draining.tag()).await?;
        if let Some(said) = self.group.draining.wait(deadline, &machines).await? {
            self.journal.warned(said);
        }
        self.group.reboot(id).await?;
        self.tag(&machines, &Phase::Unfinished.tag()).await
    }

    /// Writes down how many machines there are, before a roll takes one, where nothing else says it.
    pub(crate) async fn remember_count(&mut self) -> Result<()> {
        if !self.group.policy.scale.is_scaled()
            || members::rolling(&self.slots, &self.leaving).is_some()
        {
            return Ok(());
        }
        let count = Tags::from([(tag::ROLLING, self.slots.len().to_string())]);
        let all: Vec<Instance> = self.slots.values().cloned().collect();
        self.rolling = Some(self.slots.len().to_string());
        self.tag(&all, &count).await
    }

    /// The tags that hold the count of new machines.
    pub(crate) fn count_tags(&self) -> Tags {
        let mut tags = members::scale_tag(&self.group.policy.scale);
        let rolling = self.rolling.iter().map(|count| (tag::ROLLING, count.clone()));
        tags.extend(rolling);
        tags
    }

    /// What a roll leaves that is stopped now.
    pub(crate) fn roll_count(&self, removed: usize) -> RollCount {
        let draining = self.leaving.len();
        let mut count = RollCount { removed, draining, ..RollCount::default() };
        for machine in self.slots.values() {
            let counted = match (self.group.is_current(machine), machine.phase()) {
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
    pub(crate) fn chosen(&self, failed: &[FailedMachine]) -> Vec<Instance> {
        let is_failed = |machine: &&Instance| failed.iter().any(|failed| failed.id == machine.id.0);
        self.slots.values().filter(is_failed).cloned().collect()
    }

    /// Removes machines after a failure, also when the operation's own time is over, and says
    /// whether they are gone. What cannot be removed stays in the journal, and the cause of it all is
    /// still told.
    pub(crate) async fn drop_machines(&mut self, deadline: &Deadline, dead: &[Instance]) -> bool {
        let deadline = readiness::clean_up(deadline);
        let cloud = self.group.router.within(&deadline).cloud;
        let (fleet, id) = (&self.group.router.fleet, &self.group.id);
        let removed = access::remove(&deadline, &*cloud, fleet, id, dead).await;
        if removed.is_ok() {
            self.slots.retain(|_, instance| dead.iter().all(|dead| dead.id != instance.id));
        }
        self.save();
        removed.map_err(|failure| self.journal.warned(Warning::Also(failure))).is_ok()
    }

    /// Marks what is in the journal as owned, so that no other creation takes it for its own.
    pub(crate) async fn mark_unfinished(&mut self, deadline: &Deadline) {
        let creating = self.slots.values().filter(|machine| !machine.phase().is_owned());
        let creating: Vec<Instance> = creating.cloned().collect();
        let router = self.group.router.within(&readiness::last_words(deadline));
        let tags = Phase::Unfinished.tag();
        match access::tag(&*router.cloud, &router.fleet, &self.group.id, &creating, &tags).await {
            Ok(()) => self.knows(&creating, &tags),
            Err(failure) => self.journal.warned(Warning::Also(failure)),
        }
    }

    /// Tags the machines as made, and tells the journal that everything is done. Those that were waited for until
    /// the time was over take nothing from the others: they are told apart all the same.
    pub(crate) async fn finish(&mut self, deadline: &Deadline) -> Result<()> {
        let mut tags = Phase::Ready.tag();
        tags.extend(members::scale_tag(&self.group.policy.scale));
        let mut failed_tags = Phase::Unfinished.tag();
        if self.rolling.is_some() {
            let over = (tag::ROLLING, String::new());
            tags.extend([over.clone()]);
            failed_tags.extend([over]);
        }
        let (failed, up): (Vec<_>, Vec<_>) =
            self.slots.values().cloned().partition(|machine| {
                self.unfinished.iter().any(|failed| failed.id == machine.id.0)
            });
        let router = self.group.router.within(&readiness::closing(deadline));
        let (cloud, fleet, id) = (&*router.cloud, &router.fleet, &self.group.id);
        access::tag(cloud, fleet, id, &up, &tags).await?;
        self.knows(&up, &tags);
        access::tag(cloud, fleet, id, &failed, &failed_tags).await?;
        self.knows(&failed, &failed_tags);
        // Whoever is here was seen to its end since it was listed as pending, or stopped.
        let mut slots = self.slots.clone();
        let is_up = |one: &&mut Instance| up.iter().any(|machine| machine.id == one.id);
        for machine in slots.values_mut().filter(is_up) {
            machine.state = InstanceState::Running;
        }
        let (id, leaving) = (self.group.id.clone(), self.leaving.clone());
        let image = self.group.policy.image.clone();
        self.journal.saved(&GroupRecord { id, slots, leaving, image, is_done: true });
        Ok(())
    }

    /// The machines are there and may well be healthy: the next operation sees to the rest.
    pub(crate) async fn leave_unfinished(
        mut self,
        deadline: &Deadline,
        failure: Failure,
    ) -> Result<()> {
        self.mark_unfinished(deadline).await;
        self.journal.warned(Warning::Unfinished((&self.group.id).into(), failure));
        Ok(())
    }
}
