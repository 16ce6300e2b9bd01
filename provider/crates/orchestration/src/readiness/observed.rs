//! What a router is seen to be at one moment: by its own answers, and by its console. Each is asked for when it is
//! first needed, and once, whoever judges by it.

use super::access::RouterAccess;
use super::machines::console;
use super::router::Registrations;
use crate::failure::Result;
use crate::http::HttpRequest;
use cloud::{Cloud, Deadline};
use domain::console::latest_state;
use domain::registration::{self, Accepted, Health};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use tokio::time::Instant;

/// The latest observation of each router, shared by all groups that wait for workers at it.
#[derive(Debug, Default)]
pub struct Observations(Mutex<BTreeMap<String, Arc<Latest>>>);

/// Locked while the router is being asked.
type Latest = tokio::sync::Mutex<Option<(Instant, Arc<Observed>)>>;

/// One observation.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Whether it is healthy, by its own answer.
    pub(crate) answers: bool,
    /// Whom it lists, healthy or not.
    health: Option<Health>,
    /// How many it routes to; none when it does not know its model, as before the first of them.
    accepted: OnceCell<Option<Accepted>>,
    console: OnceCell<String>,
}

impl Observations {
    /// What the router was seen to be a moment ago, by whoever waits side by side with this operation; or now.
    /// Where looking costs nothing, it is always now.
    pub(crate) async fn recent(&self, deadline: &Deadline, router: &RouterAccess) -> Arc<Observed> {
        let latest = self.of_router(format!("{} {}", router.endpoint, router.instance));
        // Somebody else's request may go on for longer than this operation.
        let Ok(mut latest) = deadline.checked(latest.lock()).await else {
            return Arc::new(Observed::nothing());
        };
        match &*latest {
            Some((at, seen)) if at.elapsed() < router.cloud.profile().polling.shared_for => {
                Arc::clone(seen)
            }
            _ => {
                let at = Instant::now();
                let seen = Arc::new(Observed::now(router).await);
                *latest = Some((at, Arc::clone(&seen)));
                seen
            }
        }
    }

    fn of_router(&self, router: String) -> Arc<Latest> {
        // Nothing panics while it holds this lock.
        let mut routers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routers.entry(router).or_default())
    }
}

impl Observed {
    /// Asks the router.
    pub(crate) async fn now(router: &RouterAccess) -> Self {
        let health = HttpRequest::get(format!("{}/health", router.endpoint));
        match router.cloud.bounded(router.http.send(health)).await {
            Some(Ok(answer)) => Self {
                answers: answer.status == 200,
                health: registration::parse(&answer.body).ok(),
                ..Self::nothing()
            },
            _ => Self::nothing(),
        }
    }

    fn nothing() -> Self {
        let (accepted, console) = (OnceCell::new(), OnceCell::new());
        Self { answers: false, health: None, accepted, console }
    }

    /// Dynamo's ids of those that it lists.
    pub(crate) fn instance_ids(&self) -> Vec<String> {
        self.health.as_ref().map(Health::instance_ids).unwrap_or_default()
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

    /// What it has printed.
    pub(crate) async fn console(&self, router: &RouterAccess) -> Result<&str> {
        let read = || console(&*router.cloud, &router.fleet, &router.instance);
        Ok(self.console.get_or_try_init(read).await?)
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
