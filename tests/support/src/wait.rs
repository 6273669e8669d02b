//! Waiting for a condition with a deadline, never for luck.

use std::time::{Duration, Instant};

/// How often a condition is looked at.
pub(crate) const STEP: Duration = Duration::from_millis(5);

/// Polls `condition` until it holds; false when `timeout` passed first.
///
/// The caller asserts the answer, so that the failure shows the caller's line and words.
#[must_use = "a condition that never held is a failure to report"]
pub async fn wait_for(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(STEP).await;
    }
    true
}

/// [`wait_for`] for a thread that may block.
#[must_use = "a condition that never held is a failure to report"]
pub fn wait_for_blocking(timeout: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + timeout;
    while !condition() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(STEP);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{wait_for, wait_for_blocking};
    use std::time::Duration;

    #[tokio::test]
    async fn says_whether_the_condition_came() {
        let mut looks = 0;
        let third_look = || {
            looks += 1;
            looks == 3
        };
        assert!(wait_for(Duration::from_secs(5), third_look).await);
        assert!(!wait_for(Duration::from_millis(20), || false).await);
        assert!(wait_for_blocking(Duration::ZERO, || true));
        assert!(!wait_for_blocking(Duration::from_millis(20), || false));
    }
}
