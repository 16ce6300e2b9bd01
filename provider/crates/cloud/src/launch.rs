//! Launching what a list of offers allows, in their order.

use crate::{Cloud, CloudError, ErrorKind, Instance, LaunchRequest, Offer};

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
/// no other one mends a quota, a permission or a bad request.
///
/// A repeat walks the offers anew and may take another one: whoever repeats has looked for what an
/// earlier run launched.
///
/// # Errors
/// Every attempt with the cloud's answer.
pub async fn launch_over_offers(
    cloud: &dyn Cloud,
    offers: &[Offer],
    request: &LaunchRequest,
) -> Result<Vec<Instance>, LaunchError> {
    let mut attempts = Vec::new();
    for offer in offers {
        let mut attempt = request.clone();
        attempt.offer = offer.clone();
        // Clouds hold a token to one request for good, also to one they refused.
        attempt.token = match offers {
            [_] => request.token.clone(),
            _ => format!("{}-{}", request.token, offer.instance_type),
        };
        match cloud.launch(&attempt).await {
            Ok(launched) => return Ok(launched),
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
    use expect_test::{Expect, expect};

    /// What the cloud was asked for, and what came of it.
    async fn check(offers: &[&str], script: &[ErrorKind], expect: Expect) {
        let cloud = Scripted::launches(script);
        let offers = offers.iter().map(|name| offer(name)).collect::<Vec<_>>();
        let result = launch_over_offers(&cloud, &offers, &launch_request()).await;
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
            a token=t
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
