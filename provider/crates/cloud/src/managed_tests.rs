use super::*;
use crate::ErrorKind;
use crate::scripted::{Scripted, launch_request};
use tokio_util::sync::CancellationToken;

/// Launches against a script of failures; answers the calls made, the result's kind and the time it
/// took.
async fn launch(script: &[ErrorKind]) -> (u64, Option<ErrorKind>, Duration) {
    let cloud = Managed::with(Scripted::launches(script), Backoff::default(), 7);
    let start = Instant::now();
    let result = cloud.launch(&launch_request()).await;
    let calls = cloud.calls().counts().get("launch").copied().unwrap_or_default();
    (calls, result.err().map(|error| error.kind), start.elapsed())
}

fn within(timeout: Duration) -> Deadline {
    Deadline {
        at: Instant::now() + timeout,
        cancel: CancellationToken::new(),
        called: "`timeouts.read` (5s)".to_owned(),
        over: Interrupted::Deadline,
    }
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_called_again() {
    let (calls, error, waited) = launch(&[ErrorKind::Throttled, ErrorKind::Unavailable]).await;
    assert_eq!((calls, error), (3, None));
    assert!(waited > Duration::ZERO && waited <= Duration::from_millis(750), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let (calls, error, waited) = launch(&[ErrorKind::Throttled; 20]).await;
    assert_eq!((calls, error), (6, Some(ErrorKind::Throttled)));
    assert!(waited <= Duration::from_secs(8), "{waited:?}");
    let (calls, error, waited) = launch(&[ErrorKind::NotVisibleYet; 20]).await;
    assert_eq!((calls, error), (9, Some(ErrorKind::NotVisibleYet)));
    assert!(waited <= Duration::from_secs(36), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn what_stays_is_not_called_again() {
    for kind in [
        ErrorKind::InsufficientCapacity,
        ErrorKind::QuotaExceeded,
        ErrorKind::PermissionDenied,
        ErrorKind::NotFound,
        ErrorKind::Conflict,
    ] {
        assert_eq!(launch(&[kind]).await, (1, Some(kind), Duration::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_until_the_deadline() {
    let cloud = Managed::new(Scripted::silent()).within(within(Duration::from_secs(5)));
    let request = launch_request();
    let start = Instant::now();
    let error = cloud.list_instances(&request.fleet, &LabelFilter::all()).await.unwrap_err();
    assert_eq!((error.kind, start.elapsed()), (ErrorKind::Timeout, Duration::from_secs(5)));
    assert_eq!(
        error.to_string(),
        "list_instances of r/f failed: `timeouts.read` (5s) was over before there was an answer"
    );
    // Nothing begins after it.
    let error = cloud.launch(&request).await.unwrap_err();
    assert_eq!((error.kind, start.elapsed()), (ErrorKind::Timeout, Duration::from_secs(5)));
    assert_eq!(cloud.calls().counts(), BTreeMap::from([("list_instances", 1)]));
    // Whoever has more time has the same cloud.
    let error = cloud.within(within(Duration::from_secs(2))).launch(&request).await.unwrap_err();
    assert_eq!((error.kind, start.elapsed()), (ErrorKind::Timeout, Duration::from_secs(7)));
    assert_eq!(cloud.calls().counts(), BTreeMap::from([("launch", 1), ("list_instances", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_at_the_deadline_with_what_failed_before_it() {
    let backoff = Backoff { first: Duration::from_secs(60), ..Backoff::default() };
    let script = Scripted::launches(&[ErrorKind::Throttled; 20]);
    let cloud = Managed::with(script, backoff, 7).within(within(Duration::from_millis(1)));
    let error = cloud.launch(&launch_request()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Timeout);
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("Launch failed: scripted"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_ends_what_reads_at_once_and_what_changes_a_moment_later() {
    let deadline = within(Duration::from_secs(60 * 60));
    let cloud = Managed::new(Scripted::silent()).within(deadline.clone());
    let request = launch_request();
    let stop = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        deadline.cancel.cancel();
    };
    let start = Instant::now();
    let ended = async |call: Result<()>| (call.map_err(|error| error.kind), start.elapsed());
    let filter = LabelFilter::all();
    let read = async { ended(cloud.list_instances(&request.fleet, &filter).await.map(drop)).await };
    let change = async { ended(cloud.launch(&request).await.map(drop)).await };
    let ((), read, change) = tokio::join!(stop, read, change);
    let cancelled = Err(ErrorKind::Cancelled);
    assert_eq!(read, (cancelled, Duration::from_secs(30)));
    assert_eq!(change, (cancelled, Duration::from_secs(30) + LAST_ANSWER));
    assert!(LAST_ANSWER < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_run_ends_a_pause() {
    let backoff = Backoff { first: Duration::from_secs(600), ..Backoff::default() };
    let backoff = Backoff { longest: Duration::from_secs(600), ..backoff };
    let deadline = within(Duration::from_secs(60 * 60));
    let script = Scripted::launches(&[ErrorKind::Throttled; 20]);
    let cloud = Managed::with(script, backoff, 7).within(deadline.clone());
    let request = launch_request();
    let stop = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        deadline.cancel.cancel();
    };
    let start = Instant::now();
    let ((), launched) = tokio::join!(stop, cloud.launch(&request));
    assert_eq!(launched.unwrap_err().kind, ErrorKind::Cancelled);
    assert_eq!(start.elapsed(), Duration::from_millis(1));
}

#[tokio::test]
async fn calls_are_counted_whatever_becomes_of_them() {
    let cloud = Managed::new(Scripted::launches(&[ErrorKind::QuotaExceeded]));
    let request = launch_request();
    assert!(cloud.launch(&request).await.is_err());
    assert!(cloud.launch(&request).await.is_ok());
    let listed = cloud.list_instances(&request.fleet, &LabelFilter::all()).await;
    assert_eq!(listed.map(|instances| instances.len()).ok(), Some(1));
    assert_eq!(cloud.calls().counts(), BTreeMap::from([("launch", 2), ("list_instances", 1)]));
}

#[test]
fn jitter_follows_from_the_seed() {
    let randoms = |seed| {
        let cloud = Managed::with(Scripted::launches(&[]), Backoff::default(), seed);
        [cloud.random(), cloud.random()]
    };
    assert_eq!(randoms(1), randoms(1));
    assert_ne!(randoms(1), randoms(2));
}
