//! As bytes: for tests, where there are no such vectors. Its indices depend on secrets.

use core::{
    array::from_fn,
    ops::{BitAnd, BitXor, BitXorAssign},
};

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Word([u8; 16]);

impl Word {
    pub(crate) const ZERO: Self = Self([0; 16]);

    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(*bytes)
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    pub(crate) fn splat(byte: u8) -> Self {
        Self([byte; 16])
    }

    fn halves(self, change: impl Fn(u64) -> u64) -> Self {
        let number = u128::from_le_bytes(self.0);
        let [low, high] = [number as u64, (number >> 64) as u64].map(change);
        Self((u128::from(high) << 64 | u128::from(low)).to_le_bytes())
    }

    pub(crate) fn shl_halves(self, bits: u32) -> Self {
        self.halves(|half| half << bits)
    }

    pub(crate) fn shr_halves(self, bits: u32) -> Self {
        self.halves(|half| half >> bits)
    }

    pub(crate) fn shl_bytes(self, bits: u32) -> Self {
        Self(self.0.map(|byte| byte << bits))
    }

    pub(crate) fn shr_bytes(self, bits: u32) -> Self {
        Self(self.0.map(|byte| byte >> bits))
    }

    pub(crate) fn highest_bits(self) -> Self {
        Self(self.0.map(|byte| (byte >> 7) * 0xff))
    }

    pub(crate) fn look_up(self, at: Self) -> Self {
        Self(at.0.map(|at| self.0[usize::from(at)]))
    }

    #[rustfmt::skip]
    pub(crate) fn shuffle<
        const B0: usize, const B1: usize, const B2: usize, const B3: usize,
        const B4: usize, const B5: usize, const B6: usize, const B7: usize,
        const B8: usize, const B9: usize, const B10: usize, const B11: usize,
        const B12: usize, const B13: usize, const B14: usize, const B15: usize,
    >(self, other: Self) -> Self {
        let from = [B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15];
        Self(from.map(|at| if at < 16 { self.0[at] } else { other.0[at - 16] }))
    }
}

impl BitXor for Word {
    type Output = Self;

    fn bitxor(self, other: Self) -> Self {
        Self(from_fn(|at| self.0[at] ^ other.0[at]))
    }
}

impl BitXorAssign for Word {
    fn bitxor_assign(&mut self, other: Self) {
        *self = *self ^ other;
    }
}

impl BitAnd for Word {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(from_fn(|at| self.0[at] & other.0[at]))
    }
}
