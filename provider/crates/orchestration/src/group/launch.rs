//! Launching the machines of a group: all or none, and never twice, whoever else launches them.

use super::access::Group;
use super::members;
use crate::failure::{Doing, Failure, Result};
use crate::object::Object;
use crate::poll::Poll;
use crate::readiness::{self, Pace};
use cloud::{
    BootDocument, Cloud, Deadline, ErrorKind, Instance, InstanceId, LabelFilter, LaunchRequest,
    Offer, Phase, Tags, check_over_offers, launch_over_offers, tag,
};
use domain::boot_document::{self, BootDocumentError};
use domain::spec::{GroupSpec, ServiceFacts};
use std::time::Duration;

/// What a launch has come to.
#[derive(Debug)]
pub(crate) struct Launched {
    pub(crate) machines: Vec<Instance>,
    /// Why these are not as many as were asked for.
    pub(crate) shortfall: Option<Failure>,
}

impl Group {
    /// Launches `count` machines at once, or none, besides those that are `counted`: each of those has
    /// a token that is used up. A machine that has appeared since is not counted, and its token not
    /// used up: whoever launched it, this launch finds it and makes no second one. It falls short where
    /// only a part was found and the rest cannot be had.
    pub(crate) async fn launch(
        &self,
        deadline: &Deadline,
        count: u32,
        count_tags: Tags,
        counted: &[Instance],
    ) -> Result<Launched> {
        let mut tags = self.tags();
        tags.extend(count_tags);
        let is_used = |token: &String| {
            let mut tokens = counted.iter().filter_map(|machine| machine.tags.get(tag::LAUNCH));
            self.seen_tokens.contains(token) || tokens.any(|used| used == token)
        };
        let mut machines: Vec<Instance> = Vec::new();
        for attempt in 1..=MOST_LAUNCHES {
            let Some(missing @ 1..) = (count as usize).checked_sub(machines.len()) else {
                return Ok(Launched { machines, shortfall: None });
            };
            let missing = u32::try_from(missing).unwrap_or(u32::MAX);
            // Below the 64 characters that EC2 takes, also with an instance type after it. The
            // digest stands for the group and for the user data.
            let token = format!("{}-{}-{missing}-{attempt}", self.id.service.uid, self.digest);
            if is_used(&token) {
                continue;
            }
            tags.insert(tag::LAUNCH, token.clone());
            let request = self.request(missing, token, tags.clone())?;
            let launched = match self.launch_or_find(deadline, request).await {
                Ok(launched) => launched,
                Err(failure) if machines.is_empty() => return Err(failure),
                Err(failure) => return Ok(Launched { machines, shortfall: Some(failure) }),
            };
            // Of a set that another run launched some may be gone, and of some the tag may be lost.
            let is_new = |one: &Instance| {
                one.state.is_up()
                    && one.phase() != Phase::Draining
                    && counted.iter().chain(&machines).all(|known| known.id != one.id)
            };
            let new: Vec<Instance> = launched.into_iter().filter(is_new).collect();
            machines.extend(new);
        }
        let doing = self.launching(count);
        Err(Failure::Bug(format!("could not {doing}: {MOST_LAUNCHES} tokens are used up")))
    }

    /// The machines of this launch, whoever made it; none when its token is used up.
    async fn launch_or_find(
        &self,
        deadline: &Deadline,
        request: LaunchRequest,
    ) -> Result<Vec<Instance>> {
        let (cloud, token) = (&*self.router.cloud, request.token.as_str());
        match launch_over_offers(cloud, &self.offers, &request).await {
            Ok(launched) => Ok(self.keep_preferred_offer(token, launched).await),
            Err(error) if error.kind() == ErrorKind::TokenSpent => Ok(Vec::new()),
            // The same group was launched with a newer image, another key or another count in its tags.
            Err(error) if error.kind() == ErrorKind::Conflict => {
                self.find_launched(deadline, token).await
            }
            Err(error) => {
                // Without an answer it may have been launched all the same.
                let router = self.router.within(&readiness::last_words(deadline));
                if error.kind().may_be_done()
                    && let Ok(found) = self.of_launch(&*router.cloud, token).await
                    && !found.is_empty()
                {
                    return Ok(found);
                }
                Err(Failure::Launch {
                    cloud: cloud.name(),
                    doing: self.launching(request.count),
                    error,
                })
            }
        }
    }

    /// Each offer has a token of its own, so that two runs of which one fell back to another offer may
    /// both launch. So who falls back reads who else has launched, and the machines of the offer that comes
    /// later go again. Who is faster than that list leaves a set too many, which is found as one later; and
    /// so does one whose list fails, because what was launched must not be lost for it.
    async fn keep_preferred_offer(
        &self,
        token: &str,
        mut launched: Vec<Instance>,
    ) -> Vec<Instance> {
        let place = |one: &Instance| {
            self.offers.iter().position(|offer| offer.instance_type == one.instance_type)
        };
        if launched.iter().all(|one| place(one) == Some(0)) {
            return launched;
        }
        match self.of_launch(&*self.router.cloud, token).await {
            Ok(found) => {
                let is_new = |one: &Instance| launched.iter().all(|known| known.id != one.id);
                let of_others: Vec<Instance> =
                    found.into_iter().filter(|one| one.state.is_up() && is_new(one)).collect();
                launched.extend(of_others);
            }
            Err(failure) => tracing::warn!(?failure, "who else has launched is not known"),
        }
        let first = launched.iter().filter_map(place).min();
        let (kept, later): (Vec<_>, Vec<_>) =
            launched.into_iter().partition(|one| place(one) == first);
        let later: Vec<InstanceId> = later.into_iter().map(|one| one.id).collect();
        if !later.is_empty()
            && let Err(failure) = self.terminate(&later).await
        {
            tracing::warn!(?failure, ?later, "machines too many are left for the next operation");
        }
        kept
    }

    /// Machines that were launched with this token a moment ago may not be listed yet.
    async fn find_launched(&self, deadline: &Deadline, token: &str) -> Result<Vec<Instance>> {
        let patience = self.router.cloud.profile().propagation.patience();
        let listed = format!("machines of {} to be listed", self.id);
        let mut poll = Poll::new(deadline, Pace::every(LISTING_PAUSE), listed);
        loop {
            let found = self.of_launch(&*self.router.cloud, token).await?;
            let is_over = poll.round() >= MOST_LISTS && poll.pace.waited() >= patience;
            if patience.is_zero() || !found.is_empty() || is_over {
                return Ok(found);
            }
            poll.again("another run has launched them").await?;
        }
    }

    async fn of_launch(&self, cloud: &dyn Cloud, token: &str) -> Result<Vec<Instance>> {
        let fleet = &self.router.fleet;
        let of_launch = LabelFilter::all().and(tag::LAUNCH, token);
        let found = cloud.list_instances(fleet, &of_launch).await;
        found.doing(cloud.name(), || format!("see who else launched {}", self.id))
    }

    fn launching(&self, count: u32) -> String {
        let machines = if count == 1 { "machine" } else { "machines" };
        format!("launch {count} {machines} of replica group {}", self.id)
    }

    /// Whether the cloud would launch `count` machines, as far as it can tell.
    pub(crate) async fn check_launch(&self, count: usize) -> Result<()> {
        let cloud = &*self.router.cloud;
        let mut tags = self.tags();
        tags.extend(members::scale_tag(&self.policy.scale));
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let request = self.request(count, format!("check-{}", self.digest), tags)?;
        let doing = || format!("launch machines of replica group {}", self.id);
        check_over_offers(cloud, &self.offers, &request).await.map_err(|error| Failure::Launch {
            cloud: cloud.name(),
            doing: doing(),
            error,
        })
    }

    fn request(&self, count: u32, token: String, tags: Tags) -> Result<LaunchRequest> {
        let none = || Failure::Bug(format!("{} has no offers", self.id));
        let offer = self.offers.first().cloned().ok_or_else(none)?;
        let document = boot_document(&self.spec, &self.facts, &offer)?;
        let contradiction = || Failure::Purchase(self.id.clone());
        let purchase = self.spec.purchase().ok_or_else(contradiction)?;
        Ok(LaunchRequest {
            fleet: self.router.fleet.clone(),
            offer,
            count,
            disk_gb: self.spec.resources.disk_gb.unwrap_or(DISK_GB),
            image: self.spec.image.clone().or_else(|| self.policy.image.clone()),
            purchase,
            placed: true,
            egress: self.spec.egress,
            address: None,
            document,
            identity: self.spec.identity.clone(),
            token,
            tags,
        })
    }

    fn tags(&self) -> Tags {
        let mut tags = members::own_tags(&self.spec);
        tags.extend(self.namespace_tag());
        tags.extend(Phase::Creating.tag());
        tags
    }
}

/// What a worker of this offer boots from.
///
/// # Errors
/// When there is none, or it is too large for the cloud.
pub fn boot_document(
    spec: &GroupSpec,
    facts: &ServiceFacts,
    offer: &Offer,
) -> Result<BootDocument> {
    check_boot_document(spec, facts, offer)?;
    boot_document::worker_document(spec, facts, offer).map_err(|error| refused(spec, error))
}

/// Whether there is a boot document for a worker of this offer, without making it.
///
/// # Errors
/// When there is none, or it is too large for the cloud.
pub fn check_boot_document(spec: &GroupSpec, facts: &ServiceFacts, offer: &Offer) -> Result<()> {
    let limit = user_data_limit(spec);
    boot_document::check_worker_document(spec, facts, offer, limit)
        .map_err(|error| refused(spec, error))
}

fn user_data_limit(spec: &GroupSpec) -> usize {
    spec.service_id.fleet.cloud.profile().user_data_bytes
}

fn refused(spec: &GroupSpec, error: BootDocumentError) -> Failure {
    Failure::BootDocument { what: Object::from(&spec.id()), error }
}

/// Root disk of a worker in GB, when none is asked for and the model's size is not known.
const DISK_GB: u32 = 200;

/// Machines that another launch has made are in one of so many lists; the pause between two.
const MOST_LISTS: u32 = 5;
const LISTING_PAUSE: Duration = Duration::from_secs(2);

/// Tokens that a cloud may still know from machines that are gone.
const MOST_LAUNCHES: u32 = 200;
