//! How slow a client may be.

use std::time::Duration;

use tokio::time::Instant;

/// A minimum rate: a grace period, and then an average number of bytes per second.
#[derive(Clone, Copy, Debug)]
pub(super) struct MinRate {
    /// How long no bytes at all may be transferred.
    pub grace: Duration,
    pub bytes_per_second: u32,
}

impl MinRate {
    /// By when the next byte must be transferred if `bytes` were transferred since `start`.
    pub(super) fn deadline(&self, start: Instant, bytes: usize) -> Instant {
        start
            + self.grace
            + Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_byte_earns_time() {
        let rate = MinRate {
            grace: Duration::from_secs(10),
            bytes_per_second: 1024,
        };
        let start = Instant::now();
        assert_eq!(rate.deadline(start, 0) - start, Duration::from_secs(10));
        assert_eq!(
            rate.deadline(start, 512) - start,
            Duration::from_millis(10_500)
        );
        assert_eq!(
            rate.deadline(start, 65_536) - start,
            Duration::from_secs(74)
        );
    }
}
