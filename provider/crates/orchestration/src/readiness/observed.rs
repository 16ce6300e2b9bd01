//! What a router is seen to be at one moment: by its own answers, and by its console.

use super::access::RouterAccess;
use super::observations::Observed;
use crate::failure::{Doing, Result};
use crate::http::HttpRequest;
use crate::outages::ended_first;
use cloud::{Cloud, Deadline};
use domain::console::{Refusal, latest_state};
use domain::registration::{self, Accepted, Health};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Who is registered, and gets requests.
pub(crate) enum Registrations {
    /// From the router itself, which sends requests to all of them.
    Health(Health),
    /// From its console, a little later: it counts engines and does not tell them apart.
    Console {
        workers: BTreeMap<IpAddr, usize>,
        refused: BTreeMap<IpAddr, Refusal>,
        /// Whether the router itself answers too, with more engines than it routes to; only on its console
        /// it says which.
        answers: bool,
    },
}

impl Registrations {
    /// Whether the router itself was asked, and is healthy.
    pub(crate) fn is_from_router(&self) -> bool {
        matches!(self, Self::Health(_) | Self::Console { answers: true, .. })
    }

    /// The addresses with engines that the router has refused.
    pub(crate) fn refused(&self) -> BTreeMap<IpAddr, Refusal> {
        match self {
            Self::Health(_) => BTreeMap::new(),
            Self::Console { refused, .. } => refused.clone(),
        }
    }

    /// Engines per address, without those whose ids are in `before`.
    pub(crate) fn per_address(&self, before: &BTreeSet<String>) -> BTreeMap<IpAddr, usize> {
        match self {
            Self::Health(health) => health.per_address(before),
            Self::Console { workers, .. } => workers.clone(),
        }
    }

    /// The addresses that have an engine to which the router sends requests; none where nobody can tell.
    pub(crate) fn addresses(&self) -> Option<BTreeSet<IpAddr>> {
        let addresses: BTreeSet<IpAddr> = self.per_address(&BTreeSet::new()).into_keys().collect();
        // A console that names nobody may only lag behind: in doubt they serve.
        let tells = matches!(self, Self::Health(_)) || !addresses.is_empty();
        tells.then_some(addresses)
    }
}

impl Observed {
    /// Asks the router; without an answer when the operation ends first.
    pub(crate) async fn now(router: &RouterAccess) -> Self {
        Self::ask(router).await.unwrap_or_default()
    }

    /// What the router was seen to be a moment ago, by whoever waits side by side with this operation; or now.
    /// Where looking costs nothing, it is always now.
    ///
    /// # Errors
    /// When the operation ends first.
    pub(crate) async fn recent(deadline: &Deadline, router: &RouterAccess) -> Result<Arc<Self>> {
        let key = format!("{} {}", router.endpoint, router.instance);
        let age = router.cloud.profile().polling.shared_for;
        let seen = router.observations.recent(deadline, key, age, Self::ask(router)).await;
        let cut = seen.map_err(|why| ended_first(deadline, why, "health"));
        cut.doing(router.cloud.name(), || format!("ask the router at {}", router.ip))
    }

    async fn ask(router: &RouterAccess) -> Option<Self> {
        let health = HttpRequest::get(format!("{}/health", router.endpoint));
        Some(match router.cloud.bounded(router.http.send(health)).await? {
            Ok(answer) => Self {
                answers: answer.status == 200,
                health: registration::parse(&answer.body).ok(),
                ..Self::default()
            },
            Err(_) => Self::default(),
        })
    }

    /// Dynamo's ids of those that it lists.
    pub(crate) fn instance_ids(&self) -> BTreeSet<String> {
        self.health.iter().flat_map(Health::instance_ids).collect()
    }

    /// Who is registered, and gets requests.
    pub(crate) async fn registrations(&self, router: &RouterAccess) -> Result<Registrations> {
        if let Some(health) = &self.health {
            let accepted = self.accepted(router).await;
            if accepted.is_none_or(|accepted| !health.exceeds(accepted)) {
                return Ok(Registrations::Health(health.clone()));
            }
        }
        let state = latest_state(self.console(router).await?);
        let (workers, refused) =
            state.map(|state| (state.workers(), state.refused())).unwrap_or_default();
        Ok(Registrations::Console { workers, refused, answers: self.health.is_some() })
    }

    /// What it has printed, or why that cannot be read.
    pub(crate) async fn console(&self, router: &RouterAccess) -> Result<&str> {
        let RouterAccess { cloud, fleet, instance, .. } = router;
        let read = || async {
            match cloud.console(fleet, instance).await {
                Ok(console) => Ok(Ok(console.text)),
                // What the end of one operation has cut off is no answer for another.
                Err(error) if error.kind.is_cut_off() => Err(error),
                Err(error) => Ok(Err(error)),
            }
        };
        let console = match self.console.get_or_try_init(read).await {
            Ok(Ok(text)) => Ok(text.as_str()),
            Ok(Err(error)) => Err(error.clone()),
            Err(error) => Err(error),
        };
        console.doing(cloud.name(), || format!("read the console of {instance}"))
    }

    async fn accepted(&self, router: &RouterAccess) -> Option<Accepted> {
        let ask = || async {
            let mut url = reqwest::Url::parse(&router.endpoint).map_err(|_| Unasked)?;
            url.path_segments_mut().map_err(|()| Unasked)?.extend([
                "v1",
                "models",
                &router.model,
                "ready",
            ]);
            // What the end of one operation has cut off is no answer for another.
            let answer = router.cloud.bounded(router.http.send(HttpRequest::get(url))).await;
            let answer = answer.ok_or(Unasked)?.ok();
            let accepted = |body: &str| registration::parse_accepted(body).ok();
            Ok::<_, Unasked>(answer.and_then(|answer| accepted(&answer.body)))
        };
        self.accepted.get_or_try_init(ask).await.ok().copied().flatten()
    }
}

/// There is no answer, because nobody was asked.
struct Unasked;
