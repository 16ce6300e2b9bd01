//! Launching what a list of offers allows, in their order.

use crate::exhausted::Exhausted;
use crate::{Cloud, CloudError, ErrorKind, Instance, LaunchRequest, Managed, Offer};

/// No offer could be launched. Nothing of any attempt is left behind.
#[derive(Debug, thiserror::Error)]
#[error("{}", summary(.attempts))]
pub struct LaunchError {
    /// What was tried, in that order, with the cloud's answer.
    pub attempts: Vec<(Offer, CloudError)>,
}

impl LaunchError {
    /// What kind of failure it is as a whole: the one that ended the walk. Of a walk that came to
    /// its end, missing capacity says more than a type the zone does not know.
    pub fn kind(&self) -> ErrorKind {
        let kinds = || self.attempts.iter().map(|(_, error)| error.kind);
        match kinds().next_back() {
            Some(last) if !another_offer_may_do(last) => last,
            Some(last) => {
                kinds().find(|kind| *kind == ErrorKind::InsufficientCapacity).unwrap_or(last)
            }
            None => ErrorKind::InvalidRequest,
        }
    }
}

/// Launches `request` with the first of `offers` that the cloud can give; the offer and the token in
/// `request` are replaced for each attempt. The next offer is tried only when the cloud lacks the machine:
/// no other one mends a quota, a permission or a bad request. An offer of which this process was told a moment ago
/// that the cloud has no more comes last.
///
/// A repeat walks the offers anew and may take another one: whoever repeats has looked for what an
/// earlier run launched.
///
/// # Errors
/// Every attempt with the cloud's answer.
pub async fn launch_over_offers(
    cloud: &Managed,
    offers: &[Offer],
    request: &LaunchRequest,
) -> Result<Vec<Instance>, LaunchError> {
    walk(cloud, cloud.exhausted(), offers, request).await
}

async fn walk(
    cloud: &dyn Cloud,
    exhausted: &Exhausted,
    offers: &[Offer],
    request: &LaunchRequest,
) -> Result<Vec<Instance>, LaunchError> {
    let mut attempts = Vec::new();
    for offer in exhausted.last(offers, request) {
        let mut attempt = request.clone();
        attempt.offer = offer.clone();
        // Clouds hold a token to one request for good, also to one they refused.
        attempt.token = attempt.token_of_offer();
        match cloud.launch(&attempt).await {
            Ok(launched) => {
                exhausted.forget(&attempt);
                return Ok(launched);
            }
            Err(error) => {
                if error.kind == ErrorKind::InsufficientCapacity {
                    exhausted.remember(&attempt);
                }
                let go_on = another_offer_may_do(error.kind);
                attempts.push((offer.clone(), error));
                if !go_on {
                    break;
                }
            }
        }
    }
    Err(LaunchError { attempts })
}

/// Whether the cloud would launch `request` with one of `offers`, as far as it can tell.
///
/// # Errors
/// Every attempt with the cloud's answer.
pub async fn check_over_offers(
    cloud: &dyn Cloud,
    offers: &[Offer],
    request: &LaunchRequest,
) -> Result<(), LaunchError> {
    let mut attempts = Vec::new();
    for offer in offers {
        let attempt = LaunchRequest { offer: offer.clone(), ..request.clone() };
        match cloud.check_launch(&attempt).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                let go_on = another_offer_may_do(error.kind);
                attempts.push((offer.clone(), error));
                if !go_on {
                    break;
                }
            }
        }
    }
    Err(LaunchError { attempts })
}

fn another_offer_may_do(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InsufficientCapacity | ErrorKind::Unsupported)
}

fn summary(attempts: &[(Offer, CloudError)]) -> String {
    if attempts.is_empty() {
        return "there is no offer to launch".to_owned();
    }
    let tried = attempts.iter().map(|(offer, error)| format!("{}: {error}", offer.instance_type));
    format!("no offer could be launched: {}", tried.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{Scripted, launch_request, offer};
    use crate::{Backoff, Deadline, Managed};
    use expect_test::{Expect, expect};
    use std::time::Duration;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    /// What the cloud was asked for, and what came of it.
    async fn check(offers: &[&str], script: &[ErrorKind], expect: Expect) {
        let cloud = Scripted::launches(script);
        let offers = offers.iter().map(|name| offer(name)).collect::<Vec<_>>();
        let result = walk(&cloud, &Exhausted::default(), &offers, &launch_request()).await;
        let mut text = String::new();
        for request in cloud.requests() {
            text += &format!("{} token={}\n", request.offer.instance_type, request.token);
        }
        text += &match result {
            Ok(launched) => format!("launched {}\n", launched.len()),
            Err(error) => format!("{:?}: {error}\n", error.kind()),
        };
        expect.assert_eq(&text);
    }

    #[tokio::test]
    async fn the_first_offer_does() {
        check(
            &["a"],
            &[],
            expect![[r#"
            a token=t-a
            launched 1
        "#]],
        )
        .await;
    }

    #[tokio::test]
    async fn missing_capacity_goes_on_to_the_next() {
        let script = [ErrorKind::InsufficientCapacity, ErrorKind::Unsupported];
        check(
            &["a", "b", "c"],
            &script,
            expect![[r#"
            a token=t-a
            b token=t-b
            c token=t-c
            launched 1
        "#]],
        )
        .await;
    }

    #[tokio::test]
    async fn at_the_end_capacity_is_the_reason() {
        let script = [ErrorKind::InsufficientCapacity, ErrorKind::Unsupported];
        check(&["a", "b"], &script, expect![[r#"
            a token=t-a
            b token=t-b
            InsufficientCapacity: no offer could be launched: a: Launch failed: scripted; b: Launch failed: scripted
        "#]])
        .await;
    }

    /// As on Google Cloud and Azure, where capacity is known a while after a launch was accepted.
    fn deciding_after_a_minute(script: &[ErrorKind]) -> (Managed, Deadline) {
        let scripted = Scripted::launches(script).deciding_after(Duration::from_secs(60));
        let deadline = Deadline {
            at: Instant::now() + Duration::from_secs(150),
            cancel: CancellationToken::new(),
            called: "`timeouts.create` (150s)".to_owned(),
            over: crate::Interrupted::Deadline,
        };
        (Managed::with(scripted, Backoff::NONE, 0).within(deadline.clone()), deadline)
    }

    #[tokio::test(start_paused = true)]
    async fn capacity_that_is_known_late_reaches_the_next_offer() {
        let (cloud, _) = deciding_after_a_minute(&[ErrorKind::InsufficientCapacity]);
        let start = Instant::now();
        let (offers, request) = (["a", "b"].map(offer), launch_request());
        let launched = launch_over_offers(&cloud, &offers, &request).await.unwrap();
        assert_eq!(launched[0].instance_type, "b");
        assert_eq!(start.elapsed(), Duration::from_secs(120));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_that_is_known_late_stops_the_walk() {
        let (cloud, _) = deciding_after_a_minute(&[ErrorKind::QuotaExceeded]);
        let (offers, request) = (["a", "b"].map(offer), launch_request());
        let error = launch_over_offers(&cloud, &offers, &request).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts.len()), (ErrorKind::QuotaExceeded, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_decided_by_the_operation_s_end_may_be_done() {
        let (cloud, _) = deciding_after_a_minute(&[ErrorKind::InsufficientCapacity; 3]);
        let (start, offers) = (Instant::now(), ["a", "b", "c", "d"].map(offer));
        let error = launch_over_offers(&cloud, &offers, &launch_request()).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts.len()), (ErrorKind::Timeout, 3));
        assert!(error.kind().may_be_done());
        assert_eq!(start.elapsed(), Duration::from_secs(150));

        let (cloud, deadline) = deciding_after_a_minute(&[]);
        let (start, request) = (Instant::now(), launch_request());
        let stop = async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            deadline.cancel.cancel();
        };
        let (launched, ()) = tokio::join!(launch_over_offers(&cloud, &offers, &request), stop);
        assert_eq!(launched.unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(start.elapsed() < Duration::from_secs(32));
    }

    #[tokio::test]
    async fn a_quota_stops_the_walk() {
        check(
            &["a", "b"],
            &[ErrorKind::QuotaExceeded],
            expect![[r#"
            a token=t-a
            QuotaExceeded: no offer could be launched: a: Launch failed: scripted
        "#]],
        )
        .await;
    }

    /// The types in the order in which the launches of several groups ask for them.
    async fn asked(script: &[ErrorKind], offers: &[&str], pauses: &[u64]) -> String {
        let (cloud, exhausted) = (Scripted::launches(script), Exhausted::default());
        let offers = offers.iter().map(|name| offer(name)).collect::<Vec<_>>();
        for pause in pauses {
            tokio::time::advance(Duration::from_secs(*pause)).await;
            let _ = walk(&cloud, &exhausted, &offers, &launch_request()).await;
        }
        let requests = cloud.requests();
        requests.iter().map(|request| request.offer.instance_type.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_capacity_is_tried_last_by_the_next_group_and_first_again_later() {
        let none = ErrorKind::InsufficientCapacity;
        assert_eq!(asked(&[none], &["a", "b"], &[0, 60]).await, "abb");
        assert_eq!(asked(&[none], &["a", "b"], &[0, 60, 600]).await, "abba");
        // It is tried all the same when there is nothing else, and then it counts again.
        assert_eq!(asked(&[none], &["a"], &[0, 60]).await, "aa");
        assert_eq!(asked(&[none, ErrorKind::Unsupported], &["a", "b"], &[0, 0]).await, "abb");
        assert_eq!(asked(&[none, none, none], &["a", "b"], &[0, 0, 0]).await, "ababb");
        // A quota says nothing about the machines.
        assert_eq!(asked(&[ErrorKind::QuotaExceeded], &["a", "b"], &[0, 60]).await, "aa");
    }

    #[tokio::test(start_paused = true)]
    async fn operations_of_one_cloud_share_what_they_know() {
        let scripted = Scripted::launches(&[ErrorKind::InsufficientCapacity]);
        let cloud = Managed::with(scripted, Backoff::NONE, 0);
        let (offers, request) = (["a", "b"].map(offer), launch_request());
        for _ in 0..2 {
            let deadline = Deadline::after(Duration::from_secs(60), CancellationToken::new());
            let launched =
                launch_over_offers(&cloud.within(deadline), &offers, &request).await.unwrap();
            assert_eq!(launched[0].instance_type, "b");
        }
    }

    #[tokio::test]
    async fn no_offer_is_a_bad_request() {
        check(
            &[],
            &[],
            expect![[r#"
            InvalidRequest: there is no offer to launch
        "#]],
        )
        .await;
    }
}
