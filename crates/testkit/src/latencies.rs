//! A histogram of response times.

use std::time::Duration;

use hdrhistogram::Histogram;

/// How many decimal digits of a latency are kept.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why a value can always be recorded.
const RESIZES: &str = "the histogram resizes itself";

/// Response times, counted in microseconds with three significant digits.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new(SIGNIFICANT_DIGITS).expect("a number of digits from 0 to 5"))
    }
}

impl Latencies {
    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        // `saturating_record` would not resize the histogram, but clamp the value.
        self.0.record(us).expect(RESIZES);
    }

    /// Counts all of `other` too.
    pub fn add(&mut self, other: &Self) {
        self.0.add(&other.0).expect(RESIZES);
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The latency that this share of the requests (0 to 1) did not exceed, in milliseconds; `None`
    /// if there are none.
    pub fn percentile_ms(&self, share: f64) -> Option<f64> {
        let us = self.0.value_at_quantile(share);
        // Rounded down, so that no percentile is above the maximum.
        (!self.is_empty()).then(|| self.0.lowest_equivalent(us) as f64 / 1000.0)
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(latencies: I) -> Self {
        let mut all = Self::default();
        for latency in latencies {
            all.record(latency);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let mut all: Latencies = (1..=99).map(Duration::from_millis).collect();
        all.add(&[Duration::from_secs(75)].into_iter().collect());
        assert_eq!(all.len(), 100);
        for (share, expected) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 75_000.0)] {
            let found = all.percentile_ms(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.001, "{share}: {found}");
        }
        assert_eq!(Latencies::default().percentile_ms(0.5), None);
    }
}
