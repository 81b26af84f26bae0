//! Random numbers for the choice of requests: the same numbers for the same seed.

use std::{ops::Range, time::Duration};

/// SplitMix64 (Steele, Lea and Flood, 2014). Not for keys.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The sequence number `stream` of `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed ^ stream.wrapping_mul(0xd129_0d3b_3f5c_a9e5));
        random.next_u64();
        random
    }

    /// Another sequence, which follows from this one.
    pub fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Whether something of this probability, in hundredths, happens.
    pub fn percent(&mut self, probability: usize) -> bool {
        self.below(100) < probability
    }

    /// Waits for some of these milliseconds.
    pub async fn pause(&mut self, range_ms: Range<usize>) {
        let pause = range_ms.start + self.below(range_ms.len());
        tokio::time::sleep(Duration::from_millis(pause as u64)).await;
    }

    /// Waits for about this time: up to twice as long, on average as long. Not at all if it is 0.
    pub async fn pause_about(&mut self, average: Duration) {
        if !average.is_zero() {
            let share = self.below(2001) as f64 / 1000.0;
            tokio::time::sleep(average.mul_f64(share)).await;
        }
    }
}
