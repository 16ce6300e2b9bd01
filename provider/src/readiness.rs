//! Watching machines become ready: over HTTP where the router can be reached, on the serial
//! console always. The first proof wins.
//!
//! Everything here looks and waits; nothing is changed or removed.

use crate::error::{Doing, FailedMachine, Failure, MachineFailure, Result};
use cloud::{Cloud, FleetKey, Instance, InstanceId, TagFilter};
use domain::{console, registration};
use plugin::{Ctx, Interrupted};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A service's router, as its watchers need it.
#[derive(Debug)]
pub(crate) struct RouterAccess {
    pub(crate) cloud: Arc<dyn Cloud>,
    pub(crate) fleet: FleetKey,
    pub(crate) instance: InstanceId,
    pub(crate) ip: IpAddr,
    /// `http://address:port`.
    pub(crate) endpoint: String,
    /// The boot of before it was started or rebooted: what its console says of that one is past.
    pub(crate) past_boot: Option<String>,
}

/// A worker that is to register.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) id: InstanceId,
    pub(crate) ip: IpAddr,
    /// Engine processes on it; it is registered when all of them are.
    pub(crate) engines: usize,
    /// Launched or woken by this very operation: an engine that was registered before it is not its
    /// own. One that is adopted from an operation that died may have registered already.
    pub(crate) is_fresh: bool,
}

/// What became of a launch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) registered: Vec<InstanceId>,
    pub(crate) failed: Vec<FailedMachine>,
}

/// Waits until the router serves.
pub(crate) async fn router(ctx: &Ctx, router: &RouterAccess) -> Result<()> {
    let http = http_client()?;
    let mut pauses = Pauses::new(&*router.cloud);
    loop {
        let seen = match look_at_router(&http, router).await? {
            RouterLook::Ready => return Ok(()),
            RouterLook::Failed(reason) => {
                return Err(Failure::Boot {
                    what: "the router".to_owned(),
                    machines: vec![FailedMachine {
                        id: router.instance.to_string(),
                        address: router.ip.to_string(),
                        reason,
                    }],
                    kept: true,
                });
            }
            RouterLook::NotYet(seen) => seen,
        };
        pauses.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("the router at {}", router.ip),
            seen,
            why,
            kept: true,
        })?;
    }
}

/// What a look at a router tells.
#[derive(Debug)]
pub(crate) enum RouterLook {
    Ready,
    NotYet(String),
    Failed(MachineFailure),
}

/// The boot that a machine's console tells of last.
pub(crate) async fn latest_boot(
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    id: &InstanceId,
) -> Result<Option<String>> {
    let console = console_of(cloud, fleet, id).await?;
    Ok(console::latest_state(&console).map(|state| state.boot))
}

/// One look at the router.
pub(crate) async fn look_at_router(
    http: &reqwest::Client,
    router: &RouterAccess,
) -> Result<RouterLook> {
    if get_ok(http, &format!("{}/health", router.endpoint)).await {
        return Ok(RouterLook::Ready);
    }
    let Some(instance) = find(router).await? else {
        return Ok(RouterLook::Failed(MachineFailure::Gone));
    };
    let console = console_of(&*router.cloud, &router.fleet, &router.instance).await?;
    let state = console::latest_state(&console);
    if state.is_some() && state.as_ref().map(|state| &state.boot) == router.past_boot.as_ref() {
        return Ok(RouterLook::NotYet(format!("machine {}, not booted again yet", instance.state)));
    }
    if let Some(failure) = console::failure(&console) {
        return Ok(RouterLook::Failed(MachineFailure::Reported(failure)));
    }
    match state {
        Some(state) if state.is_ready() => Ok(RouterLook::Ready),
        Some(state) => Ok(RouterLook::NotYet(format!("machine {}, {state}", instance.state))),
        None => Ok(RouterLook::NotYet(format!(
            "machine {}, nothing on its console yet",
            instance.state
        ))),
    }
}

/// Instances that the router lists now, by their ids in Dynamo: what was registered before a
/// launch proves nothing about it, also when an address is used again.
pub(crate) async fn registrations(router: &RouterAccess) -> Result<BTreeSet<String>> {
    let http = http_client()?;
    let health = health(&http, &router.endpoint).await;
    Ok(health.iter().flat_map(|health| health.instance_ids()).collect())
}

/// The addresses that have an engine registered now.
pub(crate) async fn registered_addresses(router: &RouterAccess) -> Result<BTreeSet<IpAddr>> {
    let seen = look_at_registrations(&http_client()?, router).await?;
    Ok(seen.per_address(&BTreeSet::new()).into_keys().collect())
}

/// Waits until each of the workers has registered or has failed.
pub(crate) async fn workers(
    ctx: &Ctx,
    router: &RouterAccess,
    group: &str,
    workers: &[Worker],
    before: &BTreeSet<String>,
) -> Result<Outcome> {
    let http = http_client()?;
    let mut outcome = Outcome::default();
    let mut waiting: BTreeMap<InstanceId, &Worker> =
        workers.iter().map(|worker| (worker.id.clone(), worker)).collect();
    let mut pauses = Pauses::new(&*router.cloud);
    while !waiting.is_empty() {
        let seen = look_at_registrations(&http, router).await?;
        let (registered, fresh) = (seen.per_address(&BTreeSet::new()), seen.per_address(before));
        waiting.retain(|id, worker| {
            let registered = if worker.is_fresh { &fresh } else { &registered };
            let done = registered.get(&worker.ip).is_some_and(|count| *count >= worker.engines);
            if done {
                outcome.registered.push(id.clone());
            }
            !done
        });
        for failed in failures(router, &waiting).await? {
            waiting.remove(&InstanceId(failed.id.clone()));
            outcome.failed.push(failed);
        }
        if waiting.is_empty() {
            break;
        }
        if registered.is_empty() {
            stop_if_router_failed(&http, router).await?;
        }
        match pauses.next(ctx).await {
            Ok(()) => {}
            Err(Interrupted::Deadline) => {
                for worker in waiting.values() {
                    outcome.failed.push(silent(router, worker).await?);
                }
                break;
            }
            Err(why) => {
                return Err(Failure::Interrupted {
                    waiting_for: format!("the workers of {group}"),
                    seen: format!("{} of {} registered", outcome.registered.len(), workers.len()),
                    why,
                    kept: true,
                });
            }
        }
    }
    Ok(outcome)
}

/// Waits until a real chat completion and the probe's path are answered.
pub(crate) async fn endpoint(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    endpoint: &str,
    model: &str,
    probe: &EndpointProbe,
) -> Result<()> {
    let http = http_client()?;
    let mut pauses = Pauses::new(cloud);
    pauses.longest = pauses.longest.min(probe.interval);
    loop {
        let seen = match chat(&http, endpoint, model).await {
            Ok(()) => match status(http.get(format!("{endpoint}{}", probe.path))).await {
                Ok(200) => return Ok(()),
                Ok(code) => format!("the chat completion answers, `{}` answers {code}", probe.path),
                Err(error) => format!("the chat completion answers, `{}`: {error}", probe.path),
            },
            Err(seen) => seen,
        };
        pauses.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("a chat completion of model `{model}` at {endpoint}/v1"),
            seen,
            why,
            kept: false,
        })?;
    }
}

/// What must answer besides the chat completion.
#[derive(Debug)]
pub(crate) struct EndpointProbe {
    pub(crate) path: String,
    pub(crate) interval: Duration,
}

/// Waits until the cloud no longer lists any instance that matches.
pub(crate) async fn gone(
    ctx: &Ctx,
    cloud: &dyn Cloud,
    fleet: &FleetKey,
    what: &str,
    is_meant: impl Fn(&Instance) -> bool,
) -> Result<()> {
    let mut pauses = Pauses::new(cloud);
    loop {
        let listed = cloud
            .list_instances(fleet, &TagFilter::all())
            .await
            .doing(cloud.name(), || format!("watch the removal of {what}"))?;
        let left: Vec<_> = listed.iter().filter(|instance| is_meant(instance)).collect();
        if left.is_empty() {
            return Ok(());
        }
        let seen = left
            .iter()
            .map(|instance| format!("{} is {}", instance.id, instance.state))
            .collect::<Vec<_>>()
            .join(", ");
        pauses.next(ctx).await.map_err(|why| Failure::Interrupted {
            waiting_for: format!("the removal of {what}"),
            seen,
            why,
            kept: true,
        })?;
    }
}

/// The frame of a clean-up after a failure: the operation's own time may be over, and what it
/// launched must go all the same.
pub(crate) fn grace() -> Ctx {
    Ctx::new(Duration::from_secs(10 * 60), CancellationToken::new())
}

/// The client of one wait, which all its looks share.
pub(crate) fn http_client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .connect_timeout(Duration::from_secs(2))
        // The router is inside the fleet; a proxy for the internet is no way to it.
        .no_proxy()
        .build()
        .map_err(|error| Failure::Bug(format!("no HTTP client: {error}")))
}

async fn stop_if_router_failed(http: &reqwest::Client, router: &RouterAccess) -> Result<()> {
    match look_at_router(http, router).await? {
        RouterLook::Failed(reason) => Err(Failure::Boot {
            what: "the router, which the workers wait for,".to_owned(),
            machines: vec![FailedMachine {
                id: router.instance.to_string(),
                address: router.ip.to_string(),
                reason,
            }],
            kept: false,
        }),
        RouterLook::Ready | RouterLook::NotYet(_) => Ok(()),
    }
}

/// One look at who is registered.
enum Registrations {
    /// From the router itself.
    Health(registration::Health),
    /// From its console, a little later: it counts engines and does not tell them apart.
    Console(BTreeMap<IpAddr, usize>),
}

impl Registrations {
    fn per_address(&self, before: &BTreeSet<String>) -> BTreeMap<IpAddr, usize> {
        match self {
            Self::Health(health) => health.per_address(before),
            Self::Console(workers) => workers.clone(),
        }
    }
}

async fn look_at_registrations(
    http: &reqwest::Client,
    router: &RouterAccess,
) -> Result<Registrations> {
    if let Some(health) = health(http, &router.endpoint).await {
        return Ok(Registrations::Health(health));
    }
    let console = console_of(&*router.cloud, &router.fleet, &router.instance).await?;
    let workers = console::latest_state(&console).map(|state| state.workers());
    Ok(Registrations::Console(workers.unwrap_or_default()))
}

async fn failures(
    router: &RouterAccess,
    waiting: &BTreeMap<InstanceId, &Worker>,
) -> Result<Vec<FailedMachine>> {
    let listed = router
        .cloud
        .list_instances(&router.fleet, &TagFilter::all())
        .await
        .doing(router.cloud.name(), || "watch the workers".to_owned())?;
    let mut failed = Vec::new();
    for (id, worker) in waiting {
        let alive = listed.iter().any(|instance| instance.id == *id && instance.state.is_up());
        let reason = if alive {
            let console = console_of(&*router.cloud, &router.fleet, id).await?;
            let Some(failure) = console::failure(&console) else { continue };
            MachineFailure::Reported(failure)
        } else {
            MachineFailure::Gone
        };
        failed.push(FailedMachine { id: id.to_string(), address: worker.ip.to_string(), reason });
    }
    Ok(failed)
}

async fn silent(router: &RouterAccess, worker: &Worker) -> Result<FailedMachine> {
    let console = console_of(&*router.cloud, &router.fleet, &worker.id).await?;
    let lines: Vec<String> = console.lines().map(str::to_owned).collect();
    let last = lines.len().saturating_sub(30);
    Ok(FailedMachine {
        id: worker.id.to_string(),
        address: worker.ip.to_string(),
        reason: MachineFailure::Silent(lines[last..].to_vec()),
    })
}

async fn find(router: &RouterAccess) -> Result<Option<Instance>> {
    let listed = router
        .cloud
        .list_instances(&router.fleet, &TagFilter::all())
        .await
        .doing(router.cloud.name(), || "watch the router".to_owned())?;
    Ok(listed.into_iter().find(|instance| instance.id == router.instance && instance.state.is_up()))
}

async fn console_of(cloud: &dyn Cloud, fleet: &FleetKey, id: &InstanceId) -> Result<String> {
    let console = cloud.console(fleet, id).await;
    console.map(|console| console.text).doing(cloud.name(), || format!("read the console of {id}"))
}

async fn health(http: &reqwest::Client, endpoint: &str) -> Option<registration::Health> {
    let answer = http.get(format!("{endpoint}/health")).send().await.ok()?;
    registration::parse(&answer.text().await.ok()?).ok()
}

async fn get_ok(http: &reqwest::Client, url: &str) -> bool {
    matches!(status(http.get(url)).await, Ok(200))
}

async fn status(request: reqwest::RequestBuilder) -> Result<u16, String> {
    match request.send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(reason(&error)),
    }
}

async fn chat(http: &reqwest::Client, endpoint: &str, model: &str) -> Result<(), String> {
    let request = json!({
        "model": model,
        "messages": [{ "role": "user", "content": "ping" }],
        "max_tokens": 1,
    });
    let answer = http.post(format!("{endpoint}/v1/chat/completions")).json(&request).send().await;
    match answer {
        Ok(answer) if answer.status().as_u16() == 200 => Ok(()),
        Ok(answer) => {
            let code = answer.status().as_u16();
            let text = answer.text().await.unwrap_or_default();
            let text: String = text.chars().take(200).collect();
            Err(format!("the chat completion answers {code} {text}"))
        }
        Err(error) => Err(reason(&error)),
    }
}

/// What is wrong with a request, down to its cause.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(below) = cause {
        text = format!("{text}: {below}");
        cause = below.source();
    }
    text
}

/// Early first looks, then fewer; on the local cloud looks are cheap and boots are short.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    pub(crate) fn new(cloud: &dyn Cloud) -> Self {
        let longest = match cloud.name() {
            cloud::CloudName::Local => Duration::from_millis(400),
            cloud::CloudName::Aws | cloud::CloudName::Gcp | cloud::CloudName::Azure => {
                Duration::from_secs(10)
            }
        };
        Self { next: Duration::from_millis(50), longest }
    }

    /// Lets the next pause go by, unless the operation ends before.
    pub(crate) async fn next(&mut self, ctx: &Ctx) -> Result<(), Interrupted> {
        let pause = self.next.min(self.longest);
        self.next = pause.mul_f64(1.4);
        ctx.checked(tokio::time::sleep(pause)).await
    }
}
