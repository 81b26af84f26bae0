//! Numbers for tests: repeatable, and many of them with long runs of equal bits, where carries go
//! far.

use sha2::{Digest as _, Sha256};

/// How often tests repeat what they do with random numbers: `P256_ROUNDS`, or a few hundred.
pub(crate) fn rounds() -> u64 {
    std::env::var("P256_ROUNDS").map_or(500, |rounds| rounds.parse().expect("a number"))
}

pub(crate) struct Random {
    seed: u64,
    count: u64,
}

impl Random {
    /// `P256_SEED` makes other numbers.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("P256_SEED").map_or(1, |seed| seed.parse().expect("a number"));
        Self { seed, count: 0 }
    }

    fn hash(&mut self) -> [u8; 32] {
        self.count += 1;
        let hash = Sha256::new().chain_update(self.seed.to_le_bytes());
        hash.chain_update(self.count.to_le_bytes())
            .finalize()
            .into()
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let [b0, b1, b2, b3, ..] = self.hash();
        u32::from_le_bytes([b0, b1, b2, b3]) as usize % end
    }

    /// Any 32 bytes. Every other time they are runs of ones and zeros.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        if self.below(2) == 0 {
            return self.hash();
        }
        let mut bytes = [0; 32];
        let mut at = 0;
        let mut one = self.below(2) == 1;
        while at < 256 {
            let end = (at + 1 + self.below(80)).min(256);
            for bit in at..end {
                bytes[31 - bit / 8] |= u8::from(one) << (bit % 8);
            }
            (at, one) = (end, !one);
        }
        bytes
    }
}

/// The bytes of hexadecimal digits.
pub(crate) fn hex(digits: &str) -> std::vec::Vec<u8> {
    let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
    let pairs = pairs.map(|pair| str::from_utf8(pair).expect("ASCII"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}
