//! How often to look, and for how long a cloud may not know yet what it has just launched.

use cloud::{Cloud, CloudName};
use plugin::{Ctx, Interrupted};
use std::time::Duration;
use tokio::time::Instant;

/// Early first looks, then fewer: never later after the event than a share of what the wait has taken.
/// On the local cloud looks are cheap and boots are short.
#[derive(Debug)]
pub(crate) struct Pace {
    start: Instant,
    shortest: Duration,
    longest: Duration,
    /// Of the time since the start.
    share: f64,
    listing_lag: Duration,
}

impl Pace {
    pub(crate) fn new(cloud: &dyn Cloud) -> Self {
        let start = Instant::now();
        match cloud.name() {
            CloudName::Local => Self {
                start,
                shortest: Duration::from_millis(20),
                longest: Duration::from_millis(400),
                share: 0.05,
                listing_lag: Duration::ZERO,
            },
            CloudName::Aws | CloudName::Gcp | CloudName::Azure => Self {
                start,
                shortest: Duration::from_millis(500),
                longest: Duration::from_secs(10),
                share: 0.25,
                listing_lag: Duration::from_secs(120),
            },
        }
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
    pub(crate) async fn next(&self, ctx: &Ctx) -> Result<(), Interrupted> {
        let pause = self.start.elapsed().mul_f64(self.share);
        let pause = pause.max(self.shortest).min(self.longest);
        ctx.checked(tokio::time::sleep(pause)).await
    }
}
