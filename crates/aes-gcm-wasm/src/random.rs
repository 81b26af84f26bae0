//! Bytes for tests: repeatable.

use sha2::{Digest as _, Sha256};

pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Self(0)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) };
        self.0 += 1;
        let hash = Sha256::digest(self.0.to_le_bytes());
        core::array::from_fn(|at| hash[at])
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::from(u16::from_le_bytes(self.bytes())) % end
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
