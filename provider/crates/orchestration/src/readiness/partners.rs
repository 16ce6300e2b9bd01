//! Waiting for workers of other groups, which other operations bring up or take away.

use super::access::RouterAccess;
use super::pace::Pace;
use super::router::recently_registered;
use super::{ROUND_CUT, passing};
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
        let read = async {
            let listed = router.listings.recent(deadline, &*router.cloud, &router.fleet).await?;
            // Nobody is served by a router that tells of nobody.
            let served = recently_registered(deadline, router).await?.unwrap_or_default();
            Ok((listed, served))
        };
        // What others read may take them longer than this operation has.
        let seen = match deadline.checked(read).await {
            Err(_) => ROUND_CUT.to_owned(),
            Ok(read) => match passing(read)? {
                Ok((listed, served)) => match missing(&listed, &served)? {
                    None => return Ok(()),
                    Some(missing) => missing,
                },
                Err(seen) => seen,
            },
        };
        poll.again(seen).await?;
    }
}
