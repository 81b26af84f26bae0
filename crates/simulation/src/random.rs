//! Pseudo-random numbers that are the same on every machine and in every version.

use std::vec::IntoIter;

/// SplitMix64 (Steele, Lea and Flood, 2014): fast, small, and good enough to draw schedules.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
    /// What somebody else has chosen, for the first numbers.
    choices: Option<IntoIter<u16>>,
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            choices: None,
        }
    }

    /// Numbers of which the first are chosen: two bytes decide a number, as far as it is compared
    /// with others below 65536. After them comes the sequence that their hash is the seed of.
    pub fn chosen(choices: &[u8]) -> Self {
        let mut digest = Digest::default();
        digest.bytes(choices);
        let pairs = choices.as_chunks().0.iter();
        let choices: Vec<u16> = pairs.map(|pair| u16::from_be_bytes(*pair)).collect();
        Self {
            state: digest.value(),
            choices: Some(choices.into_iter()),
        }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let drawn = mix(self.state);
        match self.choices.as_mut().and_then(Iterator::next) {
            Some(chosen) => u64::from(chosen) << 48 | drawn >> 16,
            None => drawn,
        }
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// One element.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// True with this probability, in thousandths.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        per_mille > 0 && self.below(1000) < per_mille as usize
    }

    /// Fills bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
    }
}

/// Spreads the bits of a number over all of its bits.
pub(crate) fn mix(number: u64) -> u64 {
    let z = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash that is the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Digest(u64);

impl Digest {
    pub fn number(&mut self, number: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ number.wrapping_add(0x9e37_79b9_7f4a_7c15));
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(word));
        }
    }

    pub fn value(self) -> u64 {
        self.0
    }
}
