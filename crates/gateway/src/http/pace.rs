//! How slow a client may be.

use std::time::Duration;

use tokio::time::Instant;

/// A least speed: some time for free, and then so many bytes a second on the average.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long nothing at all may come or go.
    pub grace: Duration,
    pub bytes_per_second: u32,
}

impl Pace {
    /// When the next byte is due of which `bytes` have gone since `start`.
    pub(super) fn due(&self, start: Instant, bytes: usize) -> Instant {
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
        let pace = Pace {
            grace: Duration::from_secs(10),
            bytes_per_second: 1024,
        };
        let start = Instant::now();
        assert_eq!(pace.due(start, 0) - start, Duration::from_secs(10));
        assert_eq!(pace.due(start, 512) - start, Duration::from_millis(10_500));
        assert_eq!(pace.due(start, 65_536) - start, Duration::from_secs(74));
    }
}
