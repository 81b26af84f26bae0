//! Numbers for tests: repeatable, and many of them with long runs of equal bits, where carries go
//! far.

use std::{env, vec, vec::Vec};

use sha2::{Digest as _, Sha256};

/// How often tests repeat what they do with random numbers: `RSA_ROUNDS`, or a few dozen.
pub(crate) fn rounds() -> u64 {
    env::var("RSA_ROUNDS").map_or(50, |rounds| rounds.parse().expect("a number"))
}

pub(crate) struct Random {
    seed: u64,
    count: u64,
}

impl Random {
    /// `RSA_SEED` makes other numbers.
    pub(crate) fn new() -> Self {
        let seed = env::var("RSA_SEED").map_or(1, |seed| seed.parse().expect("a number"));
        Self { seed, count: 0 }
    }

    pub(crate) fn hash(&mut self) -> [u8; 32] {
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

    /// Any bytes. Every other time they are runs of ones and zeros.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        if self.below(2) == 0 {
            for chunk in bytes.chunks_mut(32) {
                chunk.copy_from_slice(&self.hash()[..chunk.len()]);
            }
            return bytes;
        }
        let mut at = 0;
        let mut one = self.below(2) == 1;
        while at < 8 * length {
            let end = (at + 1 + self.below(300)).min(8 * length);
            for bit in at..end {
                bytes[length - 1 - bit / 8] |= u8::from(one) << (bit % 8);
            }
            (at, one) = (end, !one);
        }
        bytes
    }

    /// An odd number of that many bits.
    pub(crate) fn odd(&mut self, bits: usize) -> Vec<u8> {
        let length = bits.div_ceil(8);
        let mut bytes = self.bytes(length);
        let unused = 8 * length - bits;
        bytes[0] = bytes[0] & (0xff >> unused) | 0x80 >> unused;
        bytes[length - 1] |= 1;
        bytes
    }
}

/// The bytes of hexadecimal digits.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
    let pairs = pairs.map(|pair| str::from_utf8(pair).expect("ASCII"));
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
        .collect()
}
