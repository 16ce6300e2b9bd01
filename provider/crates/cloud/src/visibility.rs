//! Looking for what is there and may not be known everywhere yet.

use crate::Cloud;
use std::future::Future;
use tokio::time::Instant;

/// Looks until it shows, for twice as long as this cloud as a rule needs to know everywhere of what is there; once where each
/// answer holds for all. None is what has not shown. It waits by itself: who may be stopped drops it.
///
/// # Errors
/// The look's own.
pub async fn until_visible<T, E, F>(
    cloud: &dyn Cloud,
    mut look: impl FnMut() -> F,
) -> Result<Option<T>, E>
where
    F: Future<Output = Result<Option<T>, E>>,
{
    let (begun, propagation) = (Instant::now(), cloud.profile().propagation);
    loop {
        let found = look().await?;
        if found.is_some() || begun.elapsed() >= 2 * propagation.usual {
            return Ok(found);
        }
        tokio::time::sleep(propagation.usual / 2).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CloudName;
    use crate::scripted::Scripted;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// How often it is looked for what shows at the look of this number, and what comes of it.
    async fn looks(cloud: CloudName, shows_at: u32) -> (u32, Option<u32>) {
        let looks = AtomicU32::new(0);
        let cloud = Scripted::launches(&[]).called(cloud);
        let found = until_visible(&cloud, || async {
            let look = looks.fetch_add(1, Ordering::Relaxed) + 1;
            Ok::<_, Infallible>((look >= shows_at).then_some(look))
        });
        let Ok(found) = found.await;
        (looks.into_inner(), found)
    }

    #[tokio::test(start_paused = true)]
    async fn where_each_answer_holds_for_all_one_look_is_enough() {
        assert_eq!(looks(CloudName::Local, 2).await, (1, None));
        assert_eq!(looks(CloudName::Gcp, 2).await, (1, None));
        assert_eq!(looks(CloudName::Local, 1).await, (1, Some(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn elsewhere_it_has_time_to_show() {
        assert_eq!(looks(CloudName::Aws, 1).await, (1, Some(1)));
        assert_eq!(looks(CloudName::Aws, 4).await, (4, Some(4)));
        assert_eq!(looks(CloudName::Aws, 100).await, (5, None));
    }
}
