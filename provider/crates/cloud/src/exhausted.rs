//! Offers of which a cloud has just said that it has no more: for a while they come last, so that each group of a run
//! does not ask for the same machine again before it goes on to the next.
//!
//! Deliberately not here: quotas. Another offer does not mend those, so they end a walk, and leave its order alone.

use crate::{FleetKey, LaunchRequest, Offer, Purchase};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What this process was refused for want of capacity, in one cloud.
#[derive(Debug, Default)]
pub(crate) struct Exhausted(Mutex<Vec<Refused>>);

#[derive(Debug)]
struct Refused {
    kind: Kind,
    /// How many machines were too many; fewer may still be there.
    count: u32,
    at: Instant,
}

/// Capacity is of a type in the zone and in the placement of a fleet, and every way to buy has its own.
#[derive(Debug, PartialEq)]
struct Kind {
    fleet: FleetKey,
    placed: bool,
    purchase: Purchase,
    instance_type: String,
}

impl Kind {
    fn of(request: &LaunchRequest, offer: &Offer) -> Self {
        Self {
            fleet: request.fleet.clone(),
            placed: request.placed,
            purchase: request.purchase.clone(),
            instance_type: offer.instance_type.clone(),
        }
    }
}

impl Exhausted {
    /// The offers in their order, behind all others those that were refused to as many machines a while ago.
    pub(crate) fn last<'a>(
        &self,
        offers: &'a [Offer],
        request: &LaunchRequest,
    ) -> impl Iterator<Item = &'a Offer> + use<'a> {
        let refused = self.lock();
        let is_refused = |offer: &&Offer| {
            let kind = Kind::of(request, offer);
            refused.iter().any(|one| one.kind == kind && one.count <= request.count)
        };
        let (last, first): (Vec<_>, Vec<_>) = offers.iter().partition(is_refused);
        first.into_iter().chain(last)
    }

    /// Remembers that the cloud has not so many of it.
    pub(crate) fn remember(&self, request: &LaunchRequest) {
        let kind = Kind::of(request, &request.offer);
        let mut refused = self.lock();
        refused.retain(|one| one.kind != kind || one.count < request.count);
        refused.push(Refused { kind, count: request.count, at: Instant::now() });
    }

    /// Forgets what was refused of it: so many were there now.
    pub(crate) fn forget(&self, request: &LaunchRequest) {
        let kind = Kind::of(request, &request.offer);
        self.lock().retain(|one| one.kind != kind || one.count > request.count);
    }

    /// All that still counts.
    fn lock(&self) -> MutexGuard<'_, Vec<Refused>> {
        // No code panics while it holds this; if it did, the data would still be whole.
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|one| one.at.elapsed() < COUNTS_FOR);
        refused
    }
}

/// Capacity comes back within minutes, and the offers that were preferred with it.
const COUNTS_FOR: Duration = Duration::from_secs(3 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scripted::{launch_request, offer};

    fn request(instance_type: &str, count: u32) -> LaunchRequest {
        LaunchRequest { offer: offer(instance_type), count, ..launch_request() }
    }

    fn order(exhausted: &Exhausted, request: &LaunchRequest) -> String {
        let offers = ["a", "b", "c"].map(offer);
        exhausted.last(&offers, request).map(|offer| offer.instance_type.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_comes_last_for_a_while() {
        let exhausted = Exhausted::default();
        assert_eq!(order(&exhausted, &request("a", 2)), "abc");
        exhausted.remember(&request("a", 2));
        assert_eq!(order(&exhausted, &request("a", 2)), "bca");
        tokio::time::advance(COUNTS_FOR / 2).await;
        exhausted.remember(&request("b", 2));
        assert_eq!(order(&exhausted, &request("a", 2)), "cab");
        exhausted.remember(&request("c", 2));
        assert_eq!(
            order(&exhausted, &request("a", 2)),
            "abc",
            "of none more is known than of another"
        );
        tokio::time::advance(COUNTS_FOR / 2).await;
        assert_eq!(order(&exhausted, &request("a", 2)), "abc");
        exhausted.forget(&request("c", 2));
        assert_eq!(order(&exhausted, &request("a", 2)), "acb");
        tokio::time::advance(COUNTS_FOR / 2).await;
        assert_eq!(order(&exhausted, &request("a", 2)), "abc");
        assert_eq!(exhausted.lock().len(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_machines_another_fleet_and_another_purchase_are_not_refused() {
        let exhausted = Exhausted::default();
        exhausted.remember(&request("a", 4));
        let of = |change: &dyn Fn(&mut LaunchRequest)| {
            let mut request = request("a", 4);
            change(&mut request);
            order(&exhausted, &request)
        };
        assert_eq!(of(&|_| ()), "bca");
        assert_eq!(of(&|request| request.count = 5), "bca");
        assert_eq!(of(&|request| request.count = 3), "abc");
        assert_eq!(of(&|request| request.fleet.name = "other".to_owned()), "abc");
        assert_eq!(of(&|request| request.placed = true), "abc");
        assert_eq!(of(&|request| request.purchase = Purchase::Spot), "abc");
        // Three of them were there: four need not be.
        exhausted.forget(&request("a", 3));
        assert_eq!(of(&|_| ()), "bca");
        exhausted.remember(&request("a", 2));
        assert_eq!(of(&|request| request.count = 3), "bca");
    }
}
