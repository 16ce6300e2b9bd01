//! A cloud that does not answer: a refresh of many resources waits for it once, and a stop ends every wait.

use super::fleet::FleetResource;
use super::replica_group::ReplicaGroupResource;
use super::service::ServiceResource;
use crate::clouds::Clouds;
use crate::session::Session;
use cloud::scripted::Scripted;
use cloud::{Calls, Managed};
use plugin::{ApplyRequest, DynResource, Outcome, Private, Value, resource};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Terraform looks at so many resources at a time.
const AT_ONCE: usize = 10;

const READ: Duration = Duration::from_secs(60);

/// A session whose cloud never answers, and what it was asked.
fn silent() -> (Arc<Session>, Arc<Calls>) {
    let cloud = Managed::new(Scripted::silent());
    let session = Arc::new(Session::default());
    session.configure(Clouds::of(&cloud));
    (session, cloud.calls())
}

/// A service and many groups of it, in one fleet.
fn of_one_fleet(session: &Arc<Session>) -> Vec<(Box<dyn DynResource>, Json)> {
    let mut resources = vec![
        (resource(FleetResource::new(Arc::clone(session))), fleet("lab")),
        (
            resource(ServiceResource::new(Arc::clone(session))),
            json!({ "id": "local/local/lab/tiny@3f9a1c2e" }),
        ),
    ];
    resources.extend((0..198).map(|number| {
        let id = format!("local/local/lab/tiny@3f9a1c2e/group-{number}");
        (resource(ReplicaGroupResource::new(Arc::clone(session))), json!({ "id": id }))
    }));
    resources
}

/// As many fleets of one region.
fn of_many_fleets(session: &Arc<Session>) -> Vec<(Box<dyn DynResource>, Json)> {
    let one = |number| {
        let state = fleet(&format!("lab-{number}"));
        (resource(FleetResource::new(Arc::clone(session))), state)
    };
    (0..200).map(one).collect()
}

fn fleet(name: &str) -> Json {
    let id = format!("local/local/{name}");
    json!({ "id": id, "cloud": "local", "region": "local", "name": name })
}

/// Reads all of them, as a refresh does.
async fn refresh(
    resources: &[(Box<dyn DynResource>, Json)],
    cancel: &CancellationToken,
) -> Vec<Outcome> {
    let turns = &Semaphore::new(AT_ONCE);
    let each = resources.iter().map(|(resource, state)| async move {
        let _turn = turns.acquire().await;
        let state = state_of(&**resource, state);
        resource.read(state, Private::default(), cancel.clone()).await
    });
    futures::future::join_all(each).await
}

fn state_of(resource: &dyn DynResource, state: &Json) -> Value {
    let mut state = state.clone();
    state["timeouts"] = json!({ "read": "60s" });
    resource.upgrade(resource.schema().version, state).expect("a state")
}

/// The one error of an outcome.
fn error_of(outcome: &Outcome) -> String {
    let errors: Vec<_> = outcome.diagnostics.iter().collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    format!("{}\n{}", errors[0].summary, errors[0].detail)
}

#[tokio::test(start_paused = true)]
async fn two_hundred_resources_wait_once_for_a_cloud_that_does_not_answer() {
    for resources_of in [of_one_fleet, of_many_fleets] {
        let (session, calls) = silent();
        let resources = resources_of(&session);
        assert_eq!(resources.len(), 200);
        let begun = Instant::now();
        let outcomes = refresh(&resources, &CancellationToken::new()).await;
        let taken = begun.elapsed();
        assert!(taken >= READ && taken <= READ.mul_f64(1.1), "{taken:?}");
        for ((_, state), outcome) in resources.iter().zip(&outcomes) {
            let error = error_of(outcome);
            assert!(
                error.contains("Cloud did not answer in time: could not read fleet"),
                "{error}"
            );
            assert!(error.contains("get_fleet"), "{error}");
            assert!(error.contains("`timeouts.read` (1m) was over"), "{error}");
            assert_eq!(
                outcome.state.member("id"),
                &Value::String(state["id"].as_str().unwrap().to_owned())
            );
        }
        let asked = calls.counts().values().sum::<u64>();
        assert!(asked <= AT_ONCE as u64, "{asked} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_refresh_that_waits_for_the_cloud() {
    let (session, _) = silent();
    let (resources, cancel) = (of_one_fleet(&session), CancellationToken::new());
    let stop = async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        cancel.cancel();
        Instant::now()
    };
    let (stopped, outcomes) = tokio::join!(stop, refresh(&resources, &cancel));
    assert!(stopped.elapsed() < Duration::from_secs(2), "{:?}", stopped.elapsed());
    assert_eq!(outcomes.len(), 200);
    assert!(error_of(&outcomes[0]).contains("Stopped: could not read fleet local/local/lab"));
}

#[tokio::test(start_paused = true)]
async fn a_removal_ends_with_its_time_and_with_a_stop() {
    for is_stopped in [false, true] {
        for (resource, state) in [of_many_fleets, of_one_fleet]
            .map(|of| {
                let (session, _) = silent();
                let mut all = of(&session);
                all.truncate(3);
                all
            })
            .into_iter()
            .flatten()
        {
            let cancel = CancellationToken::new();
            let stop = async {
                tokio::time::sleep(Duration::from_secs(7)).await;
                if is_stopped {
                    cancel.cancel();
                }
            };
            let prior = state_of(&*resource, &state);
            let request = ApplyRequest { prior, ..ApplyRequest::default() };
            let begun = Instant::now();
            let (outcome, ()) = tokio::join!(resource.apply(request, cancel.clone()), stop);
            // A group's removal may have to wait for answers that run.
            let minutes = if resource.type_name() == "disagg_replica_group" { 30 } else { 20 };
            let limit = if is_stopped { 9 } else { minutes * 66 };
            let limit = Duration::from_secs(limit);
            assert!(begun.elapsed() <= limit, "{}: {:?}", resource.type_name(), begun.elapsed());
            assert!(outcome.diagnostics.has_error());
            assert!(!outcome.state.is_null(), "what may be there stays in the state");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_ends_with_its_time() {
    let (session, _) = silent();
    let resource = resource(ServiceResource::new(session));
    let begun = Instant::now();
    let outcome = resource.import("local/local/lab/tiny", CancellationToken::new()).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(5 * 60));
    let error = error_of(&outcome);
    assert!(error.contains("the limit of 5m was over"), "{error}");
}
