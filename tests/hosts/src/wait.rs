//! Waiting for conditions, and telling how long it took.

use cloudsim::patient;
use std::time::{Duration, SystemTime};

/// Waits until there is an answer, for at most so many seconds on a computer that is not slow, and tells how
/// long it took.
///
/// # Panics
/// When there is none in time: with what `explain` says then.
pub fn wait_for<T>(
    what: &str,
    seconds: u64,
    mut answer: impl FnMut() -> Option<T>,
    explain: impl FnOnce() -> String,
) -> T {
    let (start, limit) = (SystemTime::now(), patient(Duration::from_secs(seconds)));
    loop {
        if let Some(answer) = answer() {
            tell(what, start);
            return answer;
        }
        let waited = start.elapsed().unwrap_or_default();
        if waited >= limit {
            panic!("waited {waited:?} without effect: {what}\n{}", explain());
        }
        // Processes on other hosts have no clock but the real one; nobody unparks this thread.
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// Does something, and tells how long it took.
pub fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = SystemTime::now();
    let result = work();
    tell(what, start);
    result
}

fn tell(what: &str, start: SystemTime) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    let seconds = start.elapsed().unwrap_or_default().as_secs_f64();
    eprintln!("{seconds:7.2} s  {test}: {what}");
}
