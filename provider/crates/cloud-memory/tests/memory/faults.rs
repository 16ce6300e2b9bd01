//! What goes wrong with calls.

use crate::harness::{cloud, key, launch};
use cloud::{Cloud, ErrorKind, LabelFilter};
use cloud_memory::{Effect, Memory, When};
use expect_test::expect;
use std::time::Duration;
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// What becomes of a launch, for its caller and in the cloud, ten seconds later.
async fn launched(effect: Effect) -> (Option<Result<usize, ErrorKind>>, usize) {
    let cloud = cloud(|_| {}).await;
    cloud.goes_wrong(When::Of("launch", 1), effect);
    let request = launch("t", 2);
    let called = tokio::select! {
        called = timeout(SECOND, cloud.launch(&request)) => called.ok(),
        () = cloud.death() => None,
    };
    tokio::time::sleep(10 * SECOND).await;
    let told = called.map(|called| called.map(|all| all.len()).map_err(|error| error.kind));
    (told, cloud.machines().len())
}

#[tokio::test(start_paused = true)]
async fn a_call_has_its_effect_or_not_and_its_caller_knows_or_not() {
    let unavailable = ErrorKind::Unavailable;
    for (effect, expected) in [
        (Effect::Fails(ErrorKind::Throttled), (Some(Err(ErrorKind::Throttled)), 0)),
        (Effect::AnswerLost(unavailable), (Some(Err(unavailable)), 2)),
        (Effect::NeverAnswers, (None, 0)),
        (Effect::AnswerNeverComes, (None, 2)),
        (Effect::DecidedAfter(SECOND / 2), (Some(Ok(2)), 2)),
        // Its caller has gone, and the cloud decides all the same.
        (Effect::DecidedAfter(5 * SECOND), (None, 2)),
        (Effect::AnsweredAfter(SECOND / 2), (Some(Ok(2)), 2)),
        (Effect::AnsweredAfter(5 * SECOND), (None, 2)),
        (Effect::DiesBefore, (None, 0)),
        (Effect::DiesAfter, (None, 2)),
    ] {
        assert_eq!(launched(effect).await, expected, "{effect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_died_calls_nothing_and_another_one_does() {
    let cloud = cloud(|_| {}).await;
    cloud.goes_wrong(When::Call(1), Effect::DiesAfter);
    let other = cloud.another_process();
    let start = Instant::now();
    let (first, second) = (launch("t-1", 1), launch("t-2", 1));
    tokio::select! {
        _ = cloud.launch(&first) => panic!("an answer"),
        () = cloud.death() => {}
    }
    assert!(timeout(SECOND, cloud.launch(&second)).await.is_err());
    assert_eq!(start.elapsed(), SECOND);
    assert_eq!(other.machines().len(), 1);
    other.launch(&second).await.unwrap();
    assert_eq!(other.machines().len(), 2);
    let story =
        |cloud: &Memory| cloud.calls().iter().map(|call| format!("{call}\n")).collect::<String>();
    expect![[r#"
        launch t-1: no answer  <- DiesAfter
    "#]]
    .assert_eq(&story(&cloud));
    expect![[r#"
        launch t-2
    "#]]
    .assert_eq(&story(&other));
}

#[tokio::test(start_paused = true)]
async fn capacity_quota_and_tokens() {
    let cloud = cloud(|_| {}).await;
    cloud.limit("small", Some(2));
    let kind = async |token: &str, count| {
        cloud.launch(&launch(token, count)).await.err().map(|error| error.kind)
    };
    assert_eq!(kind("a", 3).await, Some(ErrorKind::InsufficientCapacity));
    cloud.set_quota(Some(1));
    assert_eq!(kind("a", 2).await, Some(ErrorKind::QuotaExceeded));
    cloud.set_quota(None);
    assert_eq!(kind("a", 2).await, None);
    assert_eq!(kind("a", 1).await, Some(ErrorKind::Conflict));
    for machine in cloud.machines() {
        cloud.lose(&machine.id);
    }
    assert_eq!(kind("a", 2).await, Some(ErrorKind::TokenSpent));
    assert_eq!(cloud.count_launched(), 2);
}

#[tokio::test(start_paused = true)]
async fn everything_goes_on_from_a_snapshot() {
    let cloud = cloud(|_| {}).await;
    cloud.launch(&launch("t", 1)).await.unwrap();
    let before = cloud.snapshot();
    for count in 1..4 {
        let world = Memory::from(before.clone());
        world.launch(&launch("u", count)).await.unwrap();
        let all = world.list_instances(&key(), &LabelFilter::all()).await.unwrap();
        assert_eq!(all.len(), 1 + count as usize);
    }
    assert_eq!(cloud.machines().len(), 1);
}

/// The same calls have the same answers, to the letter.
#[tokio::test(start_paused = true)]
async fn nothing_is_left_to_chance() {
    let run = async || {
        let cloud = cloud(|_| {}).await;
        for token in ["a", "b"] {
            cloud.launch(&launch(token, 2)).await.unwrap();
            tokio::time::sleep(SECOND).await;
        }
        format!("{:?}", cloud.machines())
    };
    let first = run().await;
    // Only the time since its beginning counts.
    assert_eq!(first, run().await);
}
