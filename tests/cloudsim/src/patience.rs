//! How slow this computer is, and so how long tests wait.

use std::time::Duration;

/// A limit on this computer: as many times longer as `DISAGG_TEST_PATIENCE` says, which is 1 without a word.
///
/// # Panics
/// When that is no number of 1 or more.
pub fn patient(limit: Duration) -> Duration {
    limit.mul_f64(patience())
}

/// How many times as slow as others it is.
///
/// # Panics
/// When that is no number of 1 or more.
pub fn patience() -> f64 {
    let Ok(factor) = std::env::var("DISAGG_TEST_PATIENCE") else { return 1.0 };
    let factor: f64 = factor.parse().expect("DISAGG_TEST_PATIENCE is a number");
    assert!((1.0..1000.0).contains(&factor), "DISAGG_TEST_PATIENCE is 1 or more");
    factor
}
