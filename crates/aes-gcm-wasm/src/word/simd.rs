//! As a vector.

#[cfg(not(target_feature = "simd128"))]
compile_error!("needs vectors: build with -Ctarget-feature=+simd128, as .cargo/config.toml does");

use core::{
    arch::wasm32::{
        i8x16_lt, i8x16_shl, i8x16_shuffle, i8x16_swizzle, u8x16_shr, u8x16_splat, u64x2,
        u64x2_extract_lane, u64x2_shl, u64x2_shr, v128, v128_and, v128_xor,
    },
    ops::{BitAnd, BitXor, BitXorAssign},
};

#[derive(Clone, Copy)]
pub(crate) struct Word(v128);

impl Default for Word {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Word {
    pub(crate) const ZERO: Self = Self(u64x2(0, 0));

    #[inline(always)]
    pub(crate) fn from_bytes(bytes: &[u8; 16]) -> Self {
        // Two loads; lanes of bytes would be 16.
        let number = u128::from_le_bytes(*bytes);
        Self(u64x2(number as u64, (number >> 64) as u64))
    }

    #[inline(always)]
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let low = u64x2_extract_lane::<0>(self.0);
        let high = u64x2_extract_lane::<1>(self.0);
        ((u128::from(high) << 64) | u128::from(low)).to_le_bytes()
    }

    /// The same byte 16 times.
    #[inline(always)]
    pub(crate) fn splat(byte: u8) -> Self {
        Self(u8x16_splat(byte))
    }

    /// Shifts each half, which is a little-endian number, to the left.
    #[inline(always)]
    pub(crate) fn shl_halves(self, bits: u32) -> Self {
        Self(u64x2_shl(self.0, bits))
    }

    /// Shifts each half, which is a little-endian number, to the right.
    #[inline(always)]
    pub(crate) fn shr_halves(self, bits: u32) -> Self {
        Self(u64x2_shr(self.0, bits))
    }

    /// Shifts each byte to the left.
    #[inline(always)]
    pub(crate) fn shl_bytes(self, bits: u32) -> Self {
        Self(i8x16_shl(self.0, bits))
    }

    /// Shifts each byte to the right.
    #[inline(always)]
    pub(crate) fn shr_bytes(self, bits: u32) -> Self {
        Self(u8x16_shr(self.0, bits))
    }

    /// 0xff for each byte whose highest bit is set, and 0 for others.
    #[inline(always)]
    pub(crate) fn highest_bits(self) -> Self {
        Self(i8x16_lt(self.0, Self::ZERO.0))
    }

    /// Takes this for a table of 16 bytes, and looks each byte of `at` up, which is below 16.
    #[inline(always)]
    pub(crate) fn look_up(self, at: Self) -> Self {
        Self(i8x16_swizzle(self.0, at.0))
    }

    /// Bytes of this, from 0, and of another, from 16.
    #[rustfmt::skip]
    #[inline(always)]
    pub(crate) fn shuffle<
        const B0: usize, const B1: usize, const B2: usize, const B3: usize,
        const B4: usize, const B5: usize, const B6: usize, const B7: usize,
        const B8: usize, const B9: usize, const B10: usize, const B11: usize,
        const B12: usize, const B13: usize, const B14: usize, const B15: usize,
    >(self, other: Self) -> Self {
        Self(i8x16_shuffle::<B0, B1, B2, B3, B4, B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15>(
            self.0, other.0,
        ))
    }
}

impl BitXor for Word {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self(v128_xor(self.0, other.0))
    }
}

impl BitXorAssign for Word {
    #[inline(always)]
    fn bitxor_assign(&mut self, other: Self) {
        *self = *self ^ other;
    }
}

impl BitAnd for Word {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self(v128_and(self.0, other.0))
    }
}
