//! EC2's clock, as its answers tell it.

use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_sdk_ec2::primitives::{DateTime, DateTimeFormat};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;

/// How many seconds EC2 was ahead of this computer at its latest answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    /// EC2's time in seconds since 1970; this computer's before the first answer.
    pub(crate) fn now(&self) -> u64 {
        let here = DateTime::from(SystemTime::now()).secs();
        u64::try_from(here + self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// What the header `Date` of an answer says. One that says nothing changes nothing.
    fn read(&self, date: &str, here: SystemTime) {
        if let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate) {
            self.0.store(date.secs() - DateTime::from(here).secs(), Ordering::Relaxed);
        }
    }
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.read(date, SystemTime::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_as_far_ahead_as_the_latest_answer_said() {
        let clock = Clock::default();
        let here = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (date, ahead) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 10:49:37 GMT", 7200),
            ("a while ago", 7200),
            ("Sun, 06 Nov 1994 08:49:07 GMT", -30),
        ] {
            clock.read(date, here);
            assert_eq!(clock.0.load(Ordering::Relaxed), ahead, "{date}");
        }
    }
}
