//! The machines of a group that exists: watched, waited for, tagged, removed.

use super::drain::Draining;
use super::{members, model, this_computer};
use crate::error::{Doing, FailedMachine, Failure, MachineFailure, Result};
use crate::readiness::{self, RouterAccess, Worker};
use crate::resources::drift::needs_another;
use crate::resources::service::{find_by_id, mark_live, router_access};
use crate::session::{FleetView, Session};
use cloud::{
    Address, Cloud, Egress, FleetKey, Instance, InstanceId, InstanceState, ObjectId, Offer, Phase,
    Tags, tag,
};
use domain::engine::engine_count;
use domain::id::GroupId;
use domain::planner::Member;
use domain::spec::{GroupSpec, ServiceFacts};
use domain::user_data;
use plugin::{AttributePath, Ctx};
use schemas::ReplicaGroup;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::Semaphore;

/// A group and the router that its machines register with.
#[derive(Debug)]
pub(super) struct GroupAccess {
    pub(super) router: RouterAccess,
    pub(super) id: GroupId,
    pub(super) spec: GroupSpec,
    pub(super) facts: ServiceFacts,
    address: Address,
    router_was_ready: bool,
    /// Its creation, or its recovery, was seen to the end.
    router_is_finished: bool,
    pub(super) offers: Vec<Offer>,
    /// The image that new machines are made from, until a roll takes the newest.
    pub(super) pinned_image: Option<String>,
    /// How they go.
    pub(super) draining: Draining,
    /// Tokens of the machines in the view that this operation decides by.
    pub(super) seen_tokens: BTreeSet<String>,
}

/// Everything that is needed to work on a group whose service exists.
pub(super) async fn access(
    session: &Session,
    ctx: &Ctx,
    group: &ReplicaGroup,
    id: &GroupId,
    view: &FleetView,
) -> Result<GroupAccess> {
    let service = find_by_id(view, &id.service);
    let (facts, address) = service.facts(&id.service)?;
    let instance = service.router.as_ref().ok_or_else(|| Failure::Missing {
        what: format!("router of service {}", id.service),
        attribute: Some(AttributePath::root("service_id")),
        hint: "Its machine is gone, and workers without a router are paid for and do nothing. \
               Apply the service first, it is recovered at its address: \
               `terraform apply -target=disagg_service.NAME`."
            .to_owned(),
    })?;
    let cloud = session.cloud(ctx, id.service.fleet.cloud).await?;
    let spec = model::spec(group, id)?;
    let gpus = session.local_gpus(cloud.name());
    let offers =
        model::offers(&gpus, cloud.name(), &spec.resources).map_err(|error| Failure::Invalid {
            summary: "No machine fits".to_owned(),
            detail: format!("On cloud `{}`: {error}.", cloud.name()),
            attribute: Some(AttributePath::root("resources")),
        })?;
    let draining = Draining::new(session, &cloud, group, id, view)?;
    let (kind, runtime) = (&spec.engine.kind, spec.engine.runtime);
    if let Some(detail) = this_computer::driver_too_old(&gpus, kind, runtime, facts.version) {
        return Err(Failure::Invalid {
            summary: this_computer::DRIVER_TOO_OLD.to_owned(),
            detail,
            attribute: Some(AttributePath::root("resources").attribute("gpu")),
        });
    }
    let router = router_access(session, cloud, &facts, &address, instance)?;
    let router_was_ready = service.was_ready();
    Ok(GroupAccess {
        router,
        id: id.clone(),
        spec,
        facts,
        address,
        router_was_ready,
        router_is_finished: Phase::of(&instance.tags) == Phase::Ready,
        offers,
        pinned_image: group.image_id.known().cloned(),
        draining,
        seen_tokens: members::launch_tokens(view, id),
    })
}

impl GroupAccess {
    pub(super) fn id(&self) -> &GroupId {
        &self.id
    }

    /// The machines that it may be made of.
    pub(super) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    /// The digest that each machine is to have.
    pub(super) fn digest(&self) -> String {
        self.spec.digest()
    }

    /// Whether a machine is what is wanted: made of it, and not made into something else since.
    pub(super) fn is_current(&self, instance: &Instance) -> bool {
        instance.tags.get(tag::DIGEST) == Some(&self.digest()) && !needs_another(instance)
    }

    /// The machines as the planner wants to see them. Where nobody waits for registration, one that runs
    /// and was seen to its end is as ready as it is asked to be; and so it is where nobody can say who is
    /// registered, because in doubt it serves, and no roll may take the last that does.
    pub(super) async fn members(
        &self,
        group: &ReplicaGroup,
        slots: &BTreeMap<u32, Instance>,
    ) -> Result<Vec<Member>> {
        let registered = readiness::registered_addresses(&self.router).await?;
        let is_known = registered.is_some() && model::waits_for_registration(group);
        let registered = registered.unwrap_or_default();
        let is_registered =
            |instance: &Instance| instance.ip.is_some_and(|ip| registered.contains(&ip));
        // One that this operation has launched was seen to its end since it was listed as pending.
        let is_up = |instance: &Instance| {
            matches!(instance.state, InstanceState::Pending | InstanceState::Running)
                && Phase::of(&instance.tags) == Phase::Ready
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
    pub(super) async fn refused(&self, slots: &BTreeMap<u32, Instance>) -> Vec<FailedMachine> {
        let refusals = readiness::refusals(&self.router).await.unwrap_or_default();
        let refused = |instance: &Instance| {
            let refusal = refusals.get(&instance.ip?)?.clone();
            let reason = MachineFailure::Refused(refusal);
            Some(FailedMachine::new(&instance.id, instance.ip, reason))
        };
        slots.values().filter_map(refused).collect()
    }

    /// Refuses to launch anything for a router whose creation has not seen it ready, unless it is by now:
    /// GPUs would be paid for while it may never come. No machine is left by this error, so that it taints
    /// nothing.
    pub(super) async fn refuse_before_its_router(&self, listed: &[Instance]) -> Result<()> {
        if self.router_is_finished {
            return Ok(());
        }
        let Some(seen) = readiness::seen_unready(&self.router, listed).await? else {
            return Ok(());
        };
        let Self { router, id, .. } = self;
        Err(Failure::Invalid {
            summary: format!("Router of service {} is not ready", id.service),
            detail: format!(
                "Nothing was launched for replica group {id}: the apply that launched the router {} at {} has not \
                 seen it ready. Last seen: {seen}.\n\nApply again: the router is waited for and kept, and this \
                 group comes after it.",
                router.instance, router.ip
            ),
            attribute: Some(AttributePath::root("service_id")),
        })
    }

    pub(super) async fn start(&self, instance: &InstanceId) -> Result<()> {
        let cloud = &self.router.cloud;
        cloud
            .start_instance(&self.router.fleet, instance)
            .await
            .doing(cloud.name(), || format!("start machine {instance} of {}", self.id))
    }

    /// Puts the settings of a machine back.
    pub(super) async fn repair(&self, instance: &InstanceId) -> Result<()> {
        let cloud = &self.router.cloud;
        cloud
            .repair_instance(&self.router.fleet, instance)
            .await
            .doing(cloud.name(), || format!("put back the settings of {instance} of {}", self.id))
    }

    pub(super) async fn reboot(&self, instance: &InstanceId) -> Result<()> {
        let cloud = &self.router.cloud;
        cloud
            .reboot_instance(&self.router.fleet, instance)
            .await
            .doing(cloud.name(), || format!("reboot machine {instance} of {}", self.id))
    }

    /// Waits for the machines as the configuration says; answers those that failed. `adopted` are
    /// those among them that this operation neither launched nor woke.
    pub(super) async fn wait(
        &self,
        ctx: &Ctx,
        group: &ReplicaGroup,
        machines: &[Instance],
        adopted: &[Instance],
        before: &BTreeSet<String>,
    ) -> Result<Vec<FailedMachine>> {
        if machines.is_empty() {
            return Ok(Vec::new());
        }
        let mut failed = Vec::new();
        if self.spec.egress == Egress::ElasticIp {
            failed = self.complete(ctx, machines).await?;
        }
        let is_there = |machine: &&Instance| failed.iter().all(|gone| gone.id != machine.id.0);
        let machines: Vec<Instance> = machines.iter().filter(is_there).cloned().collect();
        if machines.is_empty() {
            return Ok(failed);
        }
        failed.extend(match model::waits_for_registration(group) {
            true => self.wait_for_registration(ctx, &machines, adopted, before).await?,
            false => {
                let ids: Vec<InstanceId> = machines.iter().map(|found| found.id.clone()).collect();
                self.wait_until_running(ctx, &ids).await?
            }
        });
        Ok(failed)
    }

    /// Gives each machine what it could not have before it ran, as soon as it runs; answers those that
    /// never did.
    async fn complete(&self, ctx: &Ctx, machines: &[Instance]) -> Result<Vec<FailedMachine>> {
        let turns = Semaphore::new(COMPLETED_AT_ONCE);
        let each = machines.iter().map(|machine| async {
            let gone = self.wait_until_running(ctx, std::slice::from_ref(&machine.id)).await?;
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
        ctx: &Ctx,
        ids: &[InstanceId],
    ) -> Result<Vec<FailedMachine>> {
        let what = format!("the workers of {}", self.id);
        readiness::running(ctx, &self.router, &what, ids, readiness::is_running).await
    }

    /// Waits until each of the machines has registered or has failed.
    async fn wait_for_registration(
        &self,
        ctx: &Ctx,
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
            readiness::workers(ctx, &self.router, &what, &workers, before).await?;
        if any_registered && !self.router_was_ready {
            mark_live(&*self.router.cloud, &self.router.fleet, &self.address).await?;
        }
        Ok(failed)
    }

    /// Sets these tags on these machines.
    pub(super) async fn tag(
        &self,
        machines: impl IntoIterator<Item = &Instance>,
        tags: &Tags,
    ) -> Result<()> {
        tag(&*self.router.cloud, &self.router.fleet, &self.id, machines, tags).await
    }

    /// Gives back the group's own tags to machines that have lost them. What one without a digest was
    /// made from, it still knows itself.
    pub(super) async fn retag(&self, slots: &mut BTreeMap<u32, Instance>) -> Result<()> {
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
            let data = cloud.user_data(&self.router.fleet, &id).await;
            let data = data.doing(cloud.name(), || format!("read the user data of {id}"))?;
            let made_from = data.and_then(|data| user_data::parse_worker(&data).ok());
            if let Some(made_from) = made_from {
                let digest = Tags::from([(tag::DIGEST.to_owned(), made_from.digest())]);
                self.tag([&*instance], &digest).await?;
                instance.tags.extend(digest);
            }
        }
        Ok(())
    }

    /// Orders the removal of these machines.
    pub(super) async fn terminate(&self, ids: &[InstanceId]) -> Result<()> {
        terminate(&*self.router.cloud, &self.router.fleet, &self.id, ids).await
    }

    /// Waits until these machines are gone.
    pub(super) async fn gone(&self, ctx: &Ctx, ids: &[InstanceId]) -> Result<()> {
        gone(ctx, &*self.router.cloud, &self.router.fleet, &self.id, ids).await
    }

    /// Removes these machines and waits until they are gone.
    pub(super) async fn remove(&self, ctx: &Ctx, machines: &[Instance]) -> Result<()> {
        remove(ctx, &*self.router.cloud, &self.router.fleet, &self.id, machines).await
    }
}

/// Each takes some calls, of which an account may not make many at a time.
const COMPLETED_AT_ONCE: usize = 8;

/// Removes these machines and waits until they are gone.
pub(super) async fn remove(
    ctx: &Ctx,
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
    gone(ctx, cloud, fleet, id, &ids).await
}

/// Sets these tags on these machines.
pub(super) async fn tag(
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
    ctx: &Ctx,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &GroupId,
    ids: &[InstanceId],
) -> Result<()> {
    let what = format!("machines of replica group {id}");
    readiness::gone(ctx, cloud, fleet, &what, |instance| ids.contains(&instance.id)).await
}
