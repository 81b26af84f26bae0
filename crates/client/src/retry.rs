//! When to retry.

use std::time::Duration;

use getrandom::rand_core::{Rng as _, UnwrapErr};

/// How often and when a request is retried.
///
/// Retries follow network errors and HTTP 502, 503 and 504; and 429 if the server asks for a wait
/// with Retry-After that is not longer than `max_delay`. The wait before attempt n is random,
/// from zero to `base_delay` times 2^(n-2). It is at least what the server asks for with
/// Retry-After, and at most `max_delay`.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The largest number of attempts, including the first.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    pub base_delay: Duration,
    /// The longest wait before any attempt.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(10),
        }
    }
}

impl RetryPolicy {
    /// The wait after attempt number `attempt`, counted from 1; `after` is what the server asked for.
    pub(crate) fn delay(&self, attempt: u32, after: Option<Duration>) -> Duration {
        let longest = self
            .base_delay
            .saturating_mul(1 << (attempt - 1).min(20))
            .min(self.max_delay);
        let share = UnwrapErr(getrandom::SysRng).next_u32();
        let jittered = longest.mul_f64(f64::from(share) / f64::from(u32::MAX));
        jittered.max(after.unwrap_or_default().min(self.max_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let retry = RetryPolicy {
            attempts: 9,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(1),
        };
        for attempt in 1..40 {
            let longest = Duration::from_millis(100).saturating_mul(1 << (attempt - 1).min(20));
            assert!(retry.delay(attempt, None) <= longest.min(retry.max_delay));
        }
        let asked = Some(Duration::from_millis(700));
        assert!(retry.delay(1, asked) >= Duration::from_millis(700));
        let absurd = Some(Duration::from_secs(86_400));
        assert_eq!(retry.delay(1, absurd), retry.max_delay);
    }
}
