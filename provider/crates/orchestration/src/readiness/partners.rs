//! Waiting for workers of other groups, which other operations bring up or take away.

use super::access::RouterAccess;
use super::pace::Pace;
use super::passing;
use super::router::recently_registered;
use crate::failure::Result;
use crate::poll::Poll;
use cloud::{Deadline, Instance};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Waits until `missing` finds nothing missing, in what the cloud lists and in the addresses to which the
/// router sends requests.
pub(crate) async fn others(
    deadline: &Deadline,
    router: &RouterAccess,
    what: &str,
    mut missing: impl FnMut(&[Instance], &BTreeSet<IpAddr>) -> Result<Option<String>>,
) -> Result<()> {
    let mut poll = Poll::new(deadline, Pace::new(&*router.cloud), what);
    loop {
        let look = async {
            let listed = router.listings.recent(deadline, &*router.cloud, &router.fleet).await?;
            // Nobody is served by a router that tells of nobody.
            let served = recently_registered(deadline, router).await?.unwrap_or_default();
            Ok((listed, served))
        };
        let seen = match passing(look.await)? {
            Ok((listed, served)) => match missing(&listed, &served)? {
                None => return Ok(()),
                Some(missing) => missing,
            },
            Err(seen) => seen,
        };
        poll.again(seen).await?;
    }
}
