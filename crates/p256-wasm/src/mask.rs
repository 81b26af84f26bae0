//! Choices that take the same instructions whichever way they go.

use core::{hint::black_box, ops::Not};

/// Yes or no, as all bits or none.
#[derive(Clone, Copy)]
pub(crate) struct Mask(u32);

impl Mask {
    /// Of a bit, which is 0 or 1.
    pub(crate) fn bit(bit: u32) -> Self {
        debug_assert!(bit <= 1);
        // The compiler must not see that there are two cases, or it might branch.
        Self(black_box(bit).wrapping_neg())
    }

    /// Whether a number is 0.
    pub(crate) fn zero(number: u32) -> Self {
        // The highest bit of one of these is set, unless the number is 0.
        Self::bit(1 ^ ((number | number.wrapping_neg()) >> 31))
    }

    /// Whether a number is 0.
    pub(crate) fn zero_64(number: u64) -> Self {
        Self::zero(number as u32 | (number >> 32) as u32)
    }

    /// Whether both are.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// 32 bits that are this one.
    pub(crate) fn all_32(self) -> i32 {
        self.0 as i32
    }

    /// 64 bits that are this one.
    pub(crate) fn all_64(self) -> u64 {
        i64::from(self.0 as i32) as u64
    }

    /// To branch on. Only for what is no secret.
    pub(crate) fn reveal(self) -> bool {
        self.0 != 0
    }
}

impl Not for Mask {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}
