//! The machines of a group that exists: watched, waited for, tagged, removed.

use super::drain::Draining;
use super::{DesiredGroup, GroupPolicy, WaitFor, members};
use crate::drift::needs_another;
use crate::failure::{Doing, FailedMachine, Failure, MachineFailure, Missing, Result};
use crate::made_from::made_from;
use crate::orchestrator::Orchestrator;
use crate::readiness::{self, RouterAccess, Worker};
use crate::service::{self, find_by_id, mark_live};
use crate::snapshot::Snapshot;
use cloud::{
    Address, Cloud, Deadline, Egress, FleetKey, Instance, InstanceId, InstanceState, ObjectId,
    Offer, Phase, Tags, tag,
};
use domain::engine::engine_count;
use domain::id::GroupId;
use domain::planner::Member;
use domain::spec::{GroupSpec, ServiceFacts};
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// A group and the router that its machines register with.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) router: RouterAccess,
    pub(crate) id: GroupId,
    pub(crate) spec: GroupSpec,
    pub(crate) policy: GroupPolicy,
    pub(crate) facts: ServiceFacts,
    /// The digest that each machine is to have.
    pub(crate) digest: String,
    address: Address,
    router_was_ready: bool,
    /// Its creation, or its recovery, was seen to the end.
    router_is_finished: bool,
    /// The machines that it may be made of.
    pub(crate) offers: Vec<Offer>,
    /// How they go.
    pub(crate) draining: Draining,
    /// Tokens of the machines in the snapshot that this operation decides by.
    pub(crate) seen_tokens: BTreeSet<String>,
}

impl Group {
    /// Everything that is needed to work on a group whose service exists.
    pub(crate) async fn open(
        orchestrator: &Orchestrator,
        deadline: &Deadline,
        desired: &DesiredGroup,
        snapshot: &Snapshot,
    ) -> Result<Self> {
        let DesiredGroup { spec, policy, offers } = desired.clone();
        let id = spec.id();
        let service = find_by_id(snapshot, &id.service);
        let (facts, address) = service.facts(&id.service)?;
        let missing = || Failure::Missing(Missing::Router(id.service.clone()));
        let instance = service.router.as_ref().ok_or_else(missing)?;
        let cloud = orchestrator.cloud(deadline, id.service.fleet.cloud).await?;
        let draining = Draining::new(orchestrator, &cloud, &id, policy.drain_limit, snapshot)?;
        let router = service::access(orchestrator, cloud, &facts, &address, instance)?;
        Ok(Self {
            router,
            digest: spec.digest(),
            address,
            router_was_ready: service.was_ready(),
            router_is_finished: instance.phase() == Phase::Ready,
            draining,
            seen_tokens: members::launch_tokens(snapshot, &id),
            id,
            spec,
            policy,
            facts,
            offers,
        })
    }

    /// Whether a machine is what is wanted: made of it, and not made into something else since.
    pub(crate) fn is_current(&self, instance: &Instance) -> bool {
        instance.tags.get(tag::DIGEST) == Some(&self.digest) && !needs_another(instance)
    }

    /// The machines as the planner wants to see them. Where nobody waits for registration, one that runs
    /// and was seen to its end is as ready as it is asked to be; and so it is where nobody can say who is
    /// registered, because in doubt it serves, and no roll may take the last that does.
    pub(crate) async fn members(&self, slots: &BTreeMap<u32, Instance>) -> Result<Vec<Member>> {
        let registered = readiness::registered_addresses(&self.router).await?;
        let is_known = registered.is_some() && self.policy.wait_for == WaitFor::Registered;
        let registered = registered.unwrap_or_default();
        let is_registered =
            |instance: &Instance| instance.ip.is_some_and(|ip| registered.contains(&ip));
        // One that this operation has launched was seen to its end since it was listed as pending.
        let is_up = |instance: &Instance| {
            matches!(instance.state, InstanceState::Pending | InstanceState::Running)
                && instance.phase() == Phase::Ready
        };
        let members = slots.iter().map(|(slot, instance)| Member {
            slot: *slot,
            id: instance.id.clone(),
            state: instance.state,
            digest: match needs_another(instance) {
                true => String::new(),
                false => instance.tags.get(tag::DIGEST).cloned().unwrap_or_default(),
            },
            ready: is_registered(instance) || (!is_known && is_up(instance)),
            launched_at: instance.launched_at,
        });
        Ok(members.collect())
    }

    /// Those of the machines that the router refuses, as far as it tells.
    pub(crate) async fn refused(&self, slots: &BTreeMap<u32, Instance>) -> Vec<FailedMachine> {
        let refusals = readiness::refusals(&self.router).await.unwrap_or_default();
        let refused = |instance: &Instance| {
            let refusal = refusals.get(&instance.ip?)?.clone();
            let reason = MachineFailure::Refused(refusal);
            Some(FailedMachine::new(&instance.id, instance.ip, reason))
        };
        slots.values().filter_map(refused).collect()
    }

    /// Refuses to launch anything for a router whose creation has not seen it ready, unless it is by now:
    /// GPUs would be paid for while it may never come. No machine is left by this error.
    pub(crate) async fn refuse_before_its_router(&self, listed: &[Instance]) -> Result<()> {
        if self.router_is_finished {
            return Ok(());
        }
        let Some(seen) = readiness::seen_unready(&self.router, listed).await? else {
            return Ok(());
        };
        let Self { router, id, .. } = self;
        Err(Failure::RouterNotReady {
            group: id.clone(),
            router: router.instance.clone(),
            ip: router.ip,
            seen,
        })
    }

    /// Says on machines that were launched, or are gone on with, how long they may take.
    pub(crate) async fn announce(&self, deadline: &Deadline, machines: &[Instance]) -> Result<()> {
        let RouterAccess { cloud, fleet, .. } = &self.router;
        service::announce(deadline, &**cloud, fleet, machines).await
    }

    pub(crate) async fn start(&self, instance: &InstanceId) -> Result<()> {
        let cloud = &self.router.cloud;
        cloud
            .start_instance(&self.router.fleet, instance)
            .await
            .doing(cloud.name(), || format!("start machine {instance} of {}", self.id))
    }

    /// Puts the settings of a machine back.
    pub(crate) async fn repair(&self, instance: &InstanceId) -> Result<()> {
        let cloud = &self.router.cloud;
        cloud
            .repair_instance(&self.router.fleet, instance)
            .await
            .doing(cloud.name(), || format!("put back the settings of {instance} of {}", self.id))
    }

    pub(crate) async fn reboot(&self, instance: &InstanceId) -> Result<()> {
        let cloud = &self.router.cloud;
        cloud
            .reboot_instance(&self.router.fleet, instance)
            .await
            .doing(cloud.name(), || format!("reboot machine {instance} of {}", self.id))
    }

    /// Waits for the machines as the group's policy says; answers those that failed. `adopted` are
    /// those among them that this operation neither launched nor woke.
    pub(crate) async fn wait(
        &self,
        deadline: &Deadline,
        machines: &[Instance],
        adopted: &[Instance],
        before: &BTreeSet<String>,
    ) -> Result<Vec<FailedMachine>> {
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let mut failed = Vec::new();
        if self.spec.egress == Egress::PublicIp {
            failed = self.complete(deadline, machines).await?;
        }
        let is_there = |machine: &&Instance| failed.iter().all(|gone| gone.id != machine.id.0);
        let machines: Vec<Instance> = machines.iter().filter(is_there).cloned().collect();
        if machines.is_empty() {
            return Ok(failed);
        }
        failed.extend(match self.policy.wait_for {
            WaitFor::Registered => {
                self.wait_for_registration(deadline, &machines, adopted, before).await?
            }
            WaitFor::Running => {
                let ids: Vec<InstanceId> = machines.iter().map(|found| found.id.clone()).collect();
                self.wait_until_running(deadline, &ids).await?
            }
        });
        Ok(failed)
    }

    /// Gives each machine what it could not have before it ran, as soon as it runs; answers those that
    /// never did.
    async fn complete(
        &self,
        deadline: &Deadline,
        machines: &[Instance],
    ) -> Result<Vec<FailedMachine>> {
        let turns = Semaphore::new(COMPLETED_AT_ONCE);
        let each = machines.iter().map(|machine| async {
            let gone = self.wait_until_running(deadline, std::slice::from_ref(&machine.id)).await?;
            if gone.is_empty() {
                // It is never closed.
                let _turn = turns.acquire().await;
                self.repair(&machine.id).await?;
            }
            Ok::<_, Failure>(gone)
        });
        Ok(futures::future::try_join_all(each).await?.concat())
    }

    async fn wait_until_running(
        &self,
        deadline: &Deadline,
        ids: &[InstanceId],
    ) -> Result<Vec<FailedMachine>> {
        let what = format!("the workers of {}", self.id);
        readiness::running(deadline, &self.router, &what, ids, readiness::is_running).await
    }

    /// Waits until each of the machines has registered or has failed.
    async fn wait_for_registration(
        &self,
        deadline: &Deadline,
        machines: &[Instance],
        adopted: &[Instance],
        before: &BTreeSet<String>,
    ) -> Result<Vec<FailedMachine>> {
        let mut workers = Vec::new();
        for machine in machines {
            let offer =
                self.offers.iter().find(|offer| offer.instance_type == machine.instance_type);
            let engines = offer.map_or(Ok(1), |offer| engine_count(&self.spec, offer));
            // One that was up as soon as it was launched is another run's, and may have registered.
            let is_fresh = machine.state != InstanceState::Running
                && adopted.iter().all(|adopted| adopted.id != machine.id);
            let engines = engines.map_err(|error| Failure::Bug(error.to_string()))?;
            workers.push(Worker {
                id: machine.id.clone(),
                ip: machine.ip,
                engines: engines as usize,
                is_fresh,
            });
        }
        let what = format!("replica group {}", self.id);
        let (failed, any_registered) =
            readiness::workers(deadline, &self.router, &what, &workers, before).await?;
        if any_registered && !self.router_was_ready {
            let router = self.router.within(&readiness::closing(deadline));
            mark_live(&*router.cloud, &router.fleet, &self.address).await?;
        }
        Ok(failed)
    }

    /// Sets these tags on these machines.
    pub(crate) async fn tag(
        &self,
        machines: impl IntoIterator<Item = &Instance>,
        tags: &Tags,
    ) -> Result<()> {
        tag(&*self.router.cloud, &self.router.fleet, &self.id, machines, tags).await
    }

    /// Gives back the group's own tags to machines that have lost them. What one without a digest was
    /// made from, it still knows itself.
    pub(crate) async fn retag(&self, slots: &mut BTreeMap<u32, Instance>) -> Result<()> {
        let own = members::own_tags(&self.spec);
        let lasting = |tags: &Tags| -> Tags {
            let mut tags = tags.clone();
            tags.remove(tag::DIGEST);
            tags
        };
        let own = lasting(&own);
        let changed = slots.values().filter(|instance| !members::has_tags(instance, &own));
        self.tag(changed, &own).await?;
        let namespace = self.namespace_tag();
        let lost = |instance: &&Instance| {
            self.is_current(instance) && !members::has_tags(instance, &namespace)
        };
        self.tag(slots.values().filter(lost), &namespace).await?;
        let cloud = &self.router.cloud;
        for instance in slots.values_mut() {
            if instance.tags.contains_key(tag::DIGEST) {
                continue;
            }
            let id = instance.id.clone();
            let asked = made_from(&**cloud, &self.router.fleet, &id, domain::made_from::worker);
            // One that does not know it either is none of what is wanted, and is replaced.
            if let Some(spec) = asked.await?.spec() {
                let digest = Tags::from([(tag::DIGEST, spec.digest())]);
                self.tag([&*instance], &digest).await?;
                instance.tags.extend(digest);
            }
        }
        Ok(())
    }

    /// Orders the removal of these machines.
    pub(crate) async fn terminate(&self, ids: &[InstanceId]) -> Result<()> {
        terminate(&*self.router.cloud, &self.router.fleet, &self.id, ids).await
    }

    /// Waits until these machines are gone.
    pub(crate) async fn gone(&self, deadline: &Deadline, ids: &[InstanceId]) -> Result<()> {
        gone(deadline, &*self.router.cloud, &self.router.fleet, &self.id, ids).await
    }

    /// Removes these machines and waits until they are gone.
    pub(crate) async fn remove(&self, deadline: &Deadline, machines: &[Instance]) -> Result<()> {
        remove(deadline, &*self.router.cloud, &self.router.fleet, &self.id, machines).await
    }
}

/// Each takes some calls, of which an account may not make many at a time.
const COMPLETED_AT_ONCE: usize = 8;

/// Removes these machines and waits until they are gone.
pub(crate) async fn remove(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &GroupId,
    machines: &[Instance],
) -> Result<()> {
    if machines.is_empty() {
        return Ok(());
    }
    let ids: Vec<InstanceId> = machines.iter().map(|machine| machine.id.clone()).collect();
    terminate(cloud, fleet, id, &ids).await?;
    gone(deadline, cloud, fleet, id, &ids).await
}

/// Sets these tags on these machines.
pub(crate) async fn tag(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &GroupId,
    machines: impl IntoIterator<Item = &Instance>,
    tags: &Tags,
) -> Result<()> {
    let machines = machines.into_iter();
    let objects: Vec<_> =
        machines.map(|instance| ObjectId::Instance(instance.id.clone())).collect();
    if objects.is_empty() {
        return Ok(());
    }
    let doing = || format!("tag the machines of replica group {id}");
    cloud.tag(fleet, &objects, tags).await.doing(cloud.name(), doing)
}

async fn terminate(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &GroupId,
    ids: &[InstanceId],
) -> Result<()> {
    let doing = || format!("terminate machines of replica group {id}");
    cloud.terminate_instances(fleet, ids).await.doing(cloud.name(), doing)
}

async fn gone(
    deadline: &Deadline,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &GroupId,
    ids: &[InstanceId],
) -> Result<()> {
    let what = format!("machines of replica group {id}");
    readiness::gone(deadline, cloud, fleet, &what, |instance| ids.contains(&instance.id)).await
}
