//! Replica groups that change hands: the removal of one record offers what it had, and the creation of another
//! takes it. Both are operations of one process, in any order.

use crate::group::KnownGroup;
use cloud::Deadline;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// What is offered now, by the ids of the groups.
#[derive(Debug, Default)]
pub struct Handovers(watch::Sender<BTreeMap<String, Offer>>);

/// A group as its old record knows it.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) group: KnownGroup,
    taken: oneshot::Sender<()>,
}

impl Offer {
    /// From now on the new record has it. An offer that is dropped without this stays the old one's.
    pub(crate) fn take(self) {
        // Who has offered it waits for this, as long as its process lives.
        let _ = self.taken.send(());
    }
}

impl Handovers {
    /// Offers a group, and answers whether the new record has it.
    pub async fn offer(&self, deadline: &Deadline, id: &str, group: KnownGroup) -> bool {
        let (taken, mut is_taken) = oneshot::channel();
        self.0.send_modify(|offers| drop(offers.insert(id.to_owned(), Offer { group, taken })));
        if let Ok(Ok(answer)) = deadline.checked(timeout(LONGEST_OFFER, &mut is_taken)).await {
            return answer.is_ok();
        }
        let mut is_withdrawn = false;
        self.0.send_modify(|offers| is_withdrawn = offers.remove(id).is_some());
        // Who found it a moment before has not decided yet.
        !is_withdrawn && is_taken.await.is_ok()
    }

    /// What is offered of this group, now or in a moment.
    pub(crate) async fn find(&self, id: &str) -> Option<Offer> {
        let mut offers = self.0.subscribe();
        let comes = offers.wait_for(|offers| offers.contains_key(id));
        let came = matches!(timeout(ALL_HAVE_BEGUN, comes).await, Ok(Ok(_)));
        let mut offer = None;
        if came {
            self.0.send_modify(|offers| offer = offers.remove(id));
        }
        offer
    }
}

/// The creation at the new address may have to wait for what it depends on.
const LONGEST_OFFER: Duration = Duration::from_secs(60);

/// A run begins everything that depends on nothing at the same moment.
const ALL_HAVE_BEGUN: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;
    use tokio_util::sync::CancellationToken;

    fn group() -> KnownGroup {
        KnownGroup { slots: BTreeMap::from([(0, "i-1".to_owned())]), image: None }
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(20 * 60), CancellationToken::new())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_first_waits_for_the_other() {
        let (handovers, deadline) = (Handovers::default(), deadline());
        let pauses = [Duration::ZERO, Duration::from_secs(1)];
        for (before_offer, before_find) in [(pauses[0], pauses[1]), (pauses[1], pauses[0])] {
            let offer = async {
                tokio::time::sleep(before_offer).await;
                handovers.offer(&deadline, "a", group()).await
            };
            let find = async {
                tokio::time::sleep(before_find).await;
                let offer = handovers.find("a").await.expect("it is offered");
                assert_eq!(offer.group, group());
                offer.take();
            };
            assert_eq!(tokio::join!(offer, find), (true, ()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_takes_stays_where_it_is() {
        let (handovers, deadline) = (Handovers::default(), deadline());
        assert!(!handovers.offer(&deadline, "a", group()).await);
        assert!(handovers.find("a").await.is_none());
        // Who finds it and fails has not taken it.
        let find = async { drop(handovers.find("a").await) };
        assert_eq!(tokio::join!(handovers.offer(&deadline, "a", group()), find), (false, ()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_withdraws_what_nobody_has_found() {
        let (handovers, deadline, begun) = (Handovers::default(), deadline(), Instant::now());
        let stop = async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            deadline.cancel.cancel();
        };
        let (is_taken, ()) = tokio::join!(handovers.offer(&deadline, "a", group()), stop);
        assert_eq!((is_taken, begun.elapsed()), (false, Duration::from_secs(7)));
        assert!(handovers.find("a").await.is_none());
    }
}
