//! What operations of one process see together, and what they do not.

use crate::harness::{MINUTE, Run, SECOND, Stage, declared, settings};
use cloud::{CloudName, Deadline, ErrorKind};
use cloud_memory::{Effect, Memory, When};
use orchestration::failure::{Failure, Result};
use orchestration::snapshot::{Freshness, Snapshot};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const CLOUD: CloudName = CloudName::Gcp;

async fn cloud() -> (Memory, Stage) {
    let stage = Stage::empty(settings(CLOUD), &declared(CLOUD, &[])).await;
    (stage.again().0, stage)
}

async fn read(
    run: &Run,
    stage: &Stage,
    limit: Duration,
    freshness: Freshness,
) -> Result<Arc<Snapshot>> {
    let deadline = Deadline::after(limit, CancellationToken::new());
    run.orchestrator.snapshot(&deadline, &stage.declared.fleet.id, freshness).await
}

fn kind<T>(read: &Result<T>) -> Option<ErrorKind> {
    match read {
        Ok(_) => None,
        Err(Failure::Cloud { error, .. }) => Some(error.kind),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_read_once() {
    let (cloud, stage) = cloud().await;
    let run = Run::new(&cloud);
    let reads = (0..100).map(|_| read(&run, &stage, MINUTE, Freshness::Any));
    let read = futures::future::join_all(reads).await;
    assert!(read.iter().all(|read| kind(read).is_none()));
    let mut calls: Vec<_> = run.cloud.calls().into_iter().map(|call| call.operation).collect();
    calls.sort_unstable();
    assert_eq!(calls, ["get_fleet", "list_addresses", "list_instances"]);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_wait_once_for_a_cloud_that_does_not_answer() {
    let (cloud, stage) = cloud().await;
    let run = Run::new(&cloud);
    run.cloud.goes_wrong(When::Every("get_fleet"), Effect::NeverAnswers);
    let start = Instant::now();
    let reads = (0..100).map(|_| read(&run, &stage, MINUTE, Freshness::Any));
    let together = futures::future::join_all(reads).await;
    // Those that come after them have the same failure at once, for a while.
    let next = read(&run, &stage, MINUTE, Freshness::Any).await;
    assert!(together.iter().chain([&next]).all(|read| kind(read) == Some(ErrorKind::Timeout)));
    assert!(start.elapsed() < MINUTE + SECOND, "{:?}", start.elapsed());
    assert_eq!(run.cloud.count_calls(), 1);
    // Who has more time may well get an answer.
    run.cloud.goes_right();
    assert_eq!(kind(&read(&run, &stage, 3 * MINUTE, Freshness::Any).await), None);
}

/// Who wants to see all of it anew, as to remove what a failure has left, asks, whatever came of others.
#[tokio::test(start_paused = true)]
async fn the_failure_of_others_is_no_answer_to_who_asks_anew() {
    for freshness in [Freshness::New, Freshness::NewInstances] {
        let (cloud, stage) = cloud().await;
        let run = Run::new(&cloud);
        run.cloud.goes_wrong(When::Every("get_fleet"), Effect::Fails(ErrorKind::Unavailable));
        let failed = read(&run, &stage, MINUTE, Freshness::Any).await;
        assert_eq!(kind(&failed), Some(ErrorKind::Unavailable));
        run.cloud.goes_right();
        let calls = run.cloud.count_calls();
        let shared = read(&run, &stage, MINUTE, Freshness::Recent).await;
        assert_eq!((kind(&shared), run.cloud.count_calls()), (kind(&failed), calls));
        assert_eq!(kind(&read(&run, &stage, MINUTE, freshness).await), None, "{freshness:?}");
    }
}

/// A failure is shared for a while, and no longer.
#[tokio::test(start_paused = true)]
async fn an_outage_ends() {
    let (cloud, stage) = cloud().await;
    let run = Run::new(&cloud);
    run.cloud.goes_wrong(When::Every("get_fleet"), Effect::Fails(ErrorKind::Unavailable));
    read(&run, &stage, MINUTE, Freshness::Any).await.expect_err("an outage");
    run.cloud.goes_right();
    sleep(11 * SECOND).await;
    assert_eq!(kind(&read(&run, &stage, MINUTE, Freshness::Any).await), None);
}

/// A fleet that some servers do not know yet is there.
#[tokio::test(start_paused = true)]
async fn a_new_fleet_is_looked_for_more_than_once() {
    let settings = settings(CloudName::Aws);
    let stage = Stage::empty(settings, &declared(CloudName::Aws, &[])).await;
    let run = Run::new(&stage.again().0);
    for look in 1..3 {
        run.cloud.goes_wrong(When::Of("get_fleet", look), Effect::Stale(60 * MINUTE));
    }
    let seen = read(&run, &stage, MINUTE, Freshness::New).await.expect("a snapshot");
    assert!(seen.fleet.is_some());
}
