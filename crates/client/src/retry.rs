//! When to retry.

use std::time::Duration;

use getrandom::rand_core::{Rng as _, UnwrapErr};

/// How often and when a request is retried.
///
/// Retries follow network errors and HTTP 502, 503 and 504; and 429 if the server asks for a wait
/// with Retry-After. The wait before attempt n is what the server asks for, and a random time from
/// zero to `base_delay` times 2^(n-2), at most `max_delay`: so devices that were refused together do
/// not come back together. There is no retry if the server asks for longer than `max_delay`.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The largest number of attempts, including the first.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    pub base_delay: Duration,
    /// The longest random wait before any attempt, and the longest that a server may ask for.
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
    /// The wait after attempt number `attempt`, counted from 1, where another one may follow; `after` is
    /// what the server asked for.
    pub(crate) fn delay(&self, attempt: u32, after: Option<Duration>) -> Option<Duration> {
        let after = after.unwrap_or_default();
        if attempt >= self.attempts || after > self.max_delay {
            return None;
        }
        let longest = self
            .base_delay
            .saturating_mul(1 << (attempt - 1).min(20))
            .min(self.max_delay);
        let share = UnwrapErr(getrandom::SysRng).next_u32();
        Some(after + longest.mul_f64(f64::from(share) / f64::from(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        let retry = RetryPolicy {
            attempts: 9,
            base_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(1),
        };
        for attempt in 1..9 {
            let longest = Duration::from_millis(100).saturating_mul(1 << (attempt - 1));
            assert!(retry.delay(attempt, None).unwrap() <= longest.min(retry.max_delay));
        }
        assert_eq!(retry.delay(9, None), None);
    }

    #[test]
    fn a_wait_that_the_server_asks_for_is_not_the_same_for_all() {
        let retry = RetryPolicy::default();
        let asked = Duration::from_secs(7);
        let waits: HashSet<Duration> = (0..20)
            .map(|_| retry.delay(4, Some(asked)).unwrap())
            .collect();
        assert!(waits.len() > 1);
        assert!(waits.iter().all(|wait| *wait >= asked));
        assert!(waits.iter().all(|wait| *wait <= asked + retry.max_delay));
        let long = retry.max_delay + Duration::from_secs(1);
        assert_eq!(retry.delay(1, Some(long)), None);
    }
}
