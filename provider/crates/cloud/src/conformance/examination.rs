//! One rule on one fleet: what a rule works with, its verdict, and the removal of what it has made.

use super::wait::{self, WaitError};
use super::{Sabotage, Subject};
use crate::{
    Address, AddressRequest, Cloud, CloudError, Egress, ErrorKind, Feature, Fleet, FleetKey,
    FleetRequest, Instance, InstanceId, InstanceState, LabelFilter, LaunchRequest, Phase,
    PlacementStrategy, Purchase, SiteFilter, Tags, tag,
};
use std::{collections::BTreeSet, fmt::Debug};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Why a rule's examination ends before its end.
#[derive(Debug)]
pub(super) enum Ended {
    Violation(String),
    NotExamined(String),
}

pub(super) type Outcome<T = ()> = Result<T, Ended>;

impl From<CloudError> for Ended {
    fn from(error: CloudError) -> Self {
        Self::Violation(format!("{:?}: {error}", error.kind))
    }
}

pub(super) struct Examination<'a> {
    pub(super) subject: &'a Subject<'a>,
    /// The rule's own fleet.
    pub(super) key: FleetKey,
}

impl<'a> Examination<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, key: FleetKey) -> Self {
        Self { subject, key }
    }

    pub(super) async fn remove_all(&self) -> Outcome {
        if let Some(sabotage) = self.subject.sabotage {
            sabotage.limit(None).await?;
        }
        let listed = self.cloud().list_instances(&self.key, &LabelFilter::all()).await?;
        self.terminate(&listed).await?;
        for address in self.cloud().list_addresses(&self.key, &LabelFilter::all()).await? {
            self.cloud().release_address(&self.key, &address.id).await?;
        }
        Ok(self.cloud().delete_fleet(&self.key).await?)
    }

    /// Terminates instances, and waits until they are gone.
    pub(super) async fn terminate(&self, instances: &[Instance]) -> Outcome {
        let ids: Vec<InstanceId> = instances.iter().map(|instance| instance.id.clone()).collect();
        self.cloud().terminate_instances(&self.key, &ids).await?;
        for id in &ids {
            self.reach(id, None).await?;
        }
        Ok(())
    }

    pub(super) fn cloud(&self) -> &'a dyn Cloud {
        self.subject.cloud
    }

    pub(super) fn has(&self, feature: Feature) -> bool {
        self.cloud().profile().features.contains(&feature)
    }

    /// The means of the test to make accidents happen.
    pub(super) fn sabotage(&self) -> Outcome<&'a dyn Sabotage> {
        let sabotage = self.subject.sabotage;
        sabotage.ok_or_else(|| not_examined("the test has no means to make it happen"))
    }

    /// The request for the rule's fleet.
    pub(super) async fn fleet_request(&self) -> Outcome<FleetRequest> {
        let offered = SiteFilter {
            instance_types: vec![self.subject.offer.instance_type.clone()],
            ..SiteFilter::default()
        };
        let sites = self.cloud().find_sites(&self.key.region, &offered).await?;
        let site = sites.into_iter().next().ok_or_else(|| violation("no site has the offer"))?;
        Ok(FleetRequest {
            key: self.key.clone(),
            zone: site.zone,
            subnet: None,
            fabrics: BTreeSet::from([self.subject.offer.interconnect]),
            placement: PlacementStrategy::Zone,
            tags: self.tags("fleet", "fleet-1"),
        })
    }

    /// The rule's fleet, made.
    pub(super) async fn fleet(&self) -> Outcome<Fleet> {
        Ok(self.cloud().create_fleet(&self.fleet_request().await?).await?)
    }

    /// The request for an address that clients outside need not reach: a public one may cost a quota.
    pub(super) fn address_request(&self, name: &str) -> AddressRequest {
        let token = self.token(name);
        AddressRequest {
            fleet: self.key.clone(),
            public: Some(false),
            tags: self.tags("address", &token),
            token,
        }
    }

    pub(super) async fn address(&self, name: &str) -> Outcome<Address> {
        Ok(self.cloud().reserve_address(&self.address_request(name)).await?)
    }

    /// The request for instances, whose token is made of their group's name.
    pub(super) fn launch_request(&self, group: &str, count: u32) -> LaunchRequest {
        let token = self.token(group);
        LaunchRequest {
            fleet: self.key.clone(),
            offer: self.subject.offer.clone(),
            count,
            disk_gb: 20,
            image: None,
            purchase: Purchase::OnDemand,
            placed: true,
            egress: Egress::default(),
            address: None,
            document: self.subject.document.clone(),
            identity: None,
            tags: self.tags(group, &token),
            token,
        }
    }

    /// Instances that run.
    pub(super) async fn running(&self, request: &LaunchRequest) -> Outcome<Vec<Instance>> {
        let mut running = Vec::new();
        for instance in self.cloud().launch(request).await? {
            running.push(self.reach_running(&instance.id).await?);
        }
        equal("instances", &running.len(), &(request.count as usize))?;
        Ok(running)
    }

    /// One instance that runs.
    pub(super) async fn one_running(&self, request: &LaunchRequest) -> Outcome<Instance> {
        let running = self.running(request).await?.into_iter().next();
        running.ok_or_else(|| violation("a launch of no instance"))
    }

    /// A token that no other rule has: some clouds remember theirs for a region.
    pub(super) fn token(&self, name: &str) -> String {
        format!("{}-{name}", self.key.name)
    }

    fn tags(&self, group: &str, token: &str) -> Tags {
        let pairs = [
            (tag::MANAGED_BY, tag::MANAGED_BY_US),
            (tag::FLEET, &self.key.name),
            (tag::GROUP, group),
            (tag::LAUNCH, token),
            (tag::PHASE, Phase::Creating.as_str()),
        ];
        pairs.map(|(label, value)| (label, value.to_owned())).into()
    }

    pub(super) fn filter(&self, group: &str) -> LabelFilter {
        LabelFilter::all().and(tag::FLEET, &self.key.name).and(tag::GROUP, group)
    }

    pub(super) async fn listed(&self, filter: &LabelFilter) -> Outcome<BTreeSet<InstanceId>> {
        Ok(ids(&self.cloud().list_instances(&self.key, filter).await?))
    }

    pub(super) async fn reach_running(&self, id: &InstanceId) -> Outcome<Instance> {
        let reached = self.reach(id, Some(InstanceState::Running)).await?;
        reached.ok_or_else(|| violation(format!("{id} is gone")))
    }

    /// Waits until the instance is in this state; `None` is gone.
    pub(super) async fn reach(
        &self,
        id: &InstanceId,
        state: Option<InstanceState>,
    ) -> Outcome<Option<Instance>> {
        self.until(&format!("{id} is {state:?}"), async || {
            let all = self.cloud().list_instances(&self.key, &LabelFilter::all()).await?;
            let found = all.into_iter().find(|instance| instance.id == *id);
            let reached = found.as_ref().map(|instance| instance.state) == state;
            Ok(if reached { Ok(found) } else { Err(found) })
        })
        .await
    }

    /// Looks until `look` answers `Ok(Ok(_))`; `Ok(Err(_))` is what was seen instead.
    pub(super) async fn until<T, S: Debug>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Result<T, S>, CloudError>,
    ) -> Outcome<T> {
        let mut seen = None;
        let deadline = Instant::now() + self.subject.patience;
        let never = CancellationToken::new();
        let waited = wait::until(&never, deadline, self.subject.schedule, async || {
            Ok::<_, CloudError>(match look().await? {
                Ok(answer) => Some(answer),
                Err(instead) => {
                    seen = Some(instead);
                    None
                }
            })
        })
        .await;
        waited.map_err(|error| match error {
            WaitError::Failed(error) => error.into(),
            WaitError::Interrupted(why) => {
                violation(format!("waiting until {what}: {why}; last seen: {seen:?}"))
            }
        })
    }
}

pub(super) fn ids(instances: &[Instance]) -> BTreeSet<InstanceId> {
    instances.iter().map(|instance| instance.id.clone()).collect()
}

pub(super) fn fails<T: Debug>(kind: ErrorKind, result: crate::Result<T>) -> Outcome<CloudError> {
    match result {
        Err(error) if error.kind == kind => Ok(error),
        Err(error) => Err(violation(format!("not {kind:?} but {:?}: {error}", error.kind))),
        Ok(answer) => Err(violation(format!("not {kind:?} but success: {answer:?}"))),
    }
}

pub(super) fn equal<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    expect(found == expected, format!("{what}: {found:?} instead of {expected:?}"))
}

pub(super) fn expect(kept: bool, found: impl ToString) -> Outcome {
    if kept { Ok(()) } else { Err(violation(found)) }
}

pub(super) fn violation(found: impl ToString) -> Ended {
    Ended::Violation(found.to_string())
}

pub(super) fn not_examined(why: impl ToString) -> Ended {
    Ended::NotExamined(why.to_string())
}
