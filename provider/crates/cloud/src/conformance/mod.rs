//! The contract as a program: what every implementation of [`Cloud`] must pass.
//!
//! It makes one fleet, works on it, and leaves nothing. What a cloud does by itself (machines that
//! stop or disappear, zones that are full) is asked for through [`Sabotage`], where the test has
//! the means; without it those rules are left out.

mod rules;
pub mod wait;

use self::wait::{Schedule, WaitError};
use crate::{
    Cloud, CloudError, ErrorKind, FleetKey, Instance, InstanceId, InstanceState, LaunchRequest,
    Market, Offer, Phase, TagFilter, Tags, tag,
};
use async_trait::async_trait;
use std::{collections::BTreeSet, fmt::Debug, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A cloud to be examined.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The cloud.
    pub cloud: &'a dyn Cloud,
    /// What it can do to its machines, if anything.
    pub sabotage: Option<&'a dyn Sabotage>,
    /// The region to work in.
    pub region: String,
    /// A fleet name that nobody else uses.
    pub fleet: String,
    /// The cheapest machine there is.
    pub offer: Offer,
    /// User data of a machine that prints [`Subject::console_line`] on its console.
    pub user_data: Vec<u8>,
    /// A line, without its end.
    pub console_line: String,
    /// How often to look while waiting.
    pub schedule: Schedule,
    /// How long a machine may take to come up or to go.
    pub patience: Duration,
}

/// What happens to machines in real life, on demand.
#[async_trait]
pub trait Sabotage: Debug + Send + Sync {
    /// Powers a machine off behind the provider's back.
    async fn stop(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Makes a machine run without working; `Unsupported` where the cloud's list does not tell.
    async fn impair(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Makes a machine disappear.
    async fn lose(&self, fleet: &FleetKey, id: &InstanceId) -> crate::Result<()>;
    /// Lets the zone have no more than `machines` of the subject's offer; `None` lifts that.
    async fn limit(&self, machines: Option<usize>) -> crate::Result<()>;
}

/// A rule that the cloud does not keep.
#[derive(Debug, thiserror::Error)]
#[error("{rule}: {found}")]
pub struct Violation {
    /// The rule.
    pub rule: &'static str,
    /// What was found instead.
    pub found: String,
}

type Outcome<T = ()> = Result<T, Violation>;

/// Examines a cloud.
///
/// # Errors
/// The first rule that is not kept. What was made until then is left for a look.
pub async fn run(subject: &Subject<'_>) -> Outcome {
    let examination = Examination { subject, key: subject.key(&subject.fleet) };
    examination.absence().await?;
    examination.fleet().await?;
    let address = examination.address().await?;
    let router = examination.router(&address).await?;
    examination.workers(&router).await?;
    examination.ingress().await?;
    if let Some(sabotage) = subject.sabotage {
        examination.accidents(sabotage, &router).await?;
        examination.full_zone(sabotage).await?;
    }
    examination.teardown(&address, &router).await
}

impl Subject<'_> {
    fn key(&self, fleet: &str) -> FleetKey {
        FleetKey { region: self.region.clone(), name: fleet.to_owned() }
    }
}

struct Examination<'a> {
    subject: &'a Subject<'a>,
    key: FleetKey,
}

impl Examination<'_> {
    /// Waits until the instance is in this state; `None` is gone.
    async fn reach(
        &self,
        rule: &'static str,
        id: &InstanceId,
        state: Option<InstanceState>,
    ) -> Outcome<Option<Instance>> {
        self.until(rule, async || {
            let all = self.cloud().list_instances(&self.key, &TagFilter::all()).await?;
            let found = all.into_iter().find(|instance| instance.id == *id);
            let reached = found.as_ref().map(|instance| instance.state) == state;
            Ok(if reached { Ok(found) } else { Err(found) })
        })
        .await
    }

    /// Looks until `look` answers `Ok(Ok(_))`; `Ok(Err(_))` is what was seen instead.
    async fn until<T, S: Debug>(
        &self,
        rule: &'static str,
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
            WaitError::Failed(error) => violation(rule, error),
            WaitError::Interrupted(why) => violation(rule, format!("{why}; last seen: {seen:?}")),
        })
    }

    fn launch(&self, group: &str, token: &str, count: u32) -> LaunchRequest {
        LaunchRequest {
            fleet: self.key.clone(),
            offer: self.subject.offer.clone(),
            count,
            disk_gb: 20,
            image: None,
            market: Market::OnDemand,
            reservation: None,
            egress: crate::Egress::default(),
            address: None,
            user_data: self.subject.user_data.clone(),
            identity: None,
            token: token.to_owned(),
            tags: self.tags(group, token),
        }
    }

    fn tags(&self, group: &str, token: &str) -> Tags {
        let pairs = [
            (tag::MANAGED_BY, tag::MANAGED_BY_US),
            (tag::FLEET, &self.key.name),
            (tag::GROUP, group),
            (tag::LAUNCH, token),
            (tag::PHASE, Phase::Creating.as_str()),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn filter(&self, group: &str) -> TagFilter {
        TagFilter::all().and(tag::FLEET, &self.key.name).and(tag::GROUP, group)
    }

    fn cloud(&self) -> &dyn Cloud {
        self.subject.cloud
    }
}

fn ids(instances: &[Instance]) -> BTreeSet<&InstanceId> {
    instances.iter().map(|instance| &instance.id).collect()
}

fn ok<T>(rule: &'static str, result: crate::Result<T>) -> Outcome<T> {
    result.map_err(|error| violation(rule, format!("{:?}: {error}", error.kind)))
}

fn fails<T: Debug>(rule: &'static str, kind: ErrorKind, result: crate::Result<T>) -> Outcome {
    match result {
        Err(error) if error.kind == kind => Ok(()),
        Err(error) => Err(violation(rule, format!("not {kind:?} but {:?}: {error}", error.kind))),
        Ok(answer) => Err(violation(rule, format!("not {kind:?} but success: {answer:?}"))),
    }
}

fn equal<T: PartialEq + Debug>(rule: &'static str, found: &T, expected: &T) -> Outcome {
    expect(rule, found == expected, format!("{found:?} instead of {expected:?}"))
}

fn expect(rule: &'static str, kept: bool, found: impl ToString) -> Outcome {
    if kept { Ok(()) } else { Err(violation(rule, found)) }
}

fn violation(rule: &'static str, found: impl ToString) -> Violation {
    Violation { rule, found: found.to_string() }
}
