//! How often to look, and for how long a cloud may not know yet what it has just launched.

use cloud::{Cloud, CloudName};
use plugin::{Ctx, Interrupted};
use std::time::Duration;
use tokio::time::Instant;

/// Early first looks, then fewer; on the local cloud looks are cheap and boots are short.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    next: Duration,
    longest: Duration,
    listing_lag: Duration,
}

impl Pace {
    pub(super) fn new(cloud: &dyn Cloud) -> Self {
        let (longest, listing_lag) = match cloud.name() {
            CloudName::Local => (Duration::from_millis(400), Duration::ZERO),
            CloudName::Aws | CloudName::Gcp | CloudName::Azure => {
                (Duration::from_secs(10), Duration::from_secs(120))
            }
        };
        Self { start: Instant::now(), next: Duration::from_millis(50), longest, listing_lag }
    }

    /// Looks at least this often.
    pub(super) fn at_most(mut self, pause: Duration) -> Self {
        self.longest = self.longest.min(pause);
        self
    }

    /// Whether a machine that the cloud does not list is gone, and not only too new to be listed.
    pub(super) fn absence_counts(&self, was_listed: bool) -> bool {
        was_listed || self.start.elapsed() >= self.listing_lag
    }

    /// Lets the next pause go by, unless the operation ends before.
    pub(super) async fn next(&mut self, ctx: &Ctx) -> Result<(), Interrupted> {
        let pause = self.next.min(self.longest);
        self.next = pause.mul_f64(1.4);
        ctx.checked(tokio::time::sleep(pause)).await
    }
}
