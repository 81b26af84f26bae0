//! Four limbs of 64 bits, for machines that multiply 64 by 64 bits.
//!
//! A number x is held as 2^256 x modulo p (Montgomery's form), always from 0 to p - 1: so of size 1,
//! and all sizes of [`Field`] are allowed. Additions subtract p where there is one to subtract.

use super::Field;
use crate::{
    carry::{self, add_carry, multiply_add},
    mask::Mask,
};

/// A number, its lowest limb first.
#[derive(Clone, Copy)]
pub(crate) struct Limbs64([u64; 4]);

const P: [u64; 4] = [u64::MAX, 0xffff_ffff, 0, 0xffff_ffff_0000_0001];

/// 2^512 modulo p.
const MONTGOMERY_SQUARED: Limbs64 = Limbs64([
    0x0000_0000_0000_0003,
    0xffff_fffb_ffff_ffff,
    0xffff_ffff_ffff_fffe,
    0x0000_0004_ffff_fffd,
]);

/// Divides a number of five limbs by 2^64 modulo p: adds the multiple of p that makes the lowest limb 0,
/// which is that limb itself, since p is -1 modulo 2^64.
#[inline(always)]
const fn reduce_limb(sum: [u64; 5]) -> [u64; 5] {
    let times = sum[0];
    // `times` (2^96 - 1): the -1 leaves a lowest limb of 0.
    let (r0, carry) = add_carry(sum[1], times << 32, 0);
    let (r1, carry) = add_carry(sum[2], times >> 32, carry);
    let (r2, carry) = multiply_add(sum[3], times, P[3], carry);
    let (r3, carry) = add_carry(sum[4], carry, 0);
    [r0, r1, r2, r3, carry]
}

#[inline(always)]
const fn montgomery(a: &[u64; 4], b: &[u64; 4]) -> [u64; 4] {
    let mut sum = [0; 5];
    let mut i = 0;
    while i < 4 {
        let (s0, carry) = multiply_add(sum[0], a[i], b[0], 0);
        let (s1, carry) = multiply_add(sum[1], a[i], b[1], carry);
        let (s2, carry) = multiply_add(sum[2], a[i], b[2], carry);
        let (s3, carry) = multiply_add(sum[3], a[i], b[3], carry);
        // Below 2 p before, so the fifth limb is at most 1; and the sum stays below 2^320.
        let (s4, _) = add_carry(sum[4], carry, 0);
        sum = reduce_limb([s0, s1, s2, s3, s4]);
        i += 1;
    }
    carry::below(&P, &[sum[0], sum[1], sum[2], sum[3]], sum[4])
}

impl Limbs64 {
    /// The number of words of 32 bits, of the lowest first, which is less than p.
    pub(crate) const fn new(words: &[u32; 8]) -> Self {
        let mut limbs = [0; 4];
        let mut at = 0;
        while at < 4 {
            limbs[at] = words[2 * at] as u64 | (words[2 * at + 1] as u64) << 32;
            at += 1;
        }
        Self(montgomery(&limbs, &MONTGOMERY_SQUARED.0))
    }
}

impl Field for Limbs64 {
    const ZERO: Self = Self([0; 4]);
    const ONE: Self = Self::new(&[1, 0, 0, 0, 0, 0, 0, 0]);
    const B: Self = Self::new(&super::B);

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        super::words(bytes).map(|words| Self::new(&words))
    }

    fn to_bytes(&self) -> [u8; 32] {
        let number = montgomery(&self.0, &[1, 0, 0, 0]);
        let mut words = [0; 8];
        for (words, limb) in words.as_chunks_mut::<2>().0.iter_mut().zip(number) {
            *words = [limb as u32, (limb >> 32) as u32];
        }
        super::bytes(words)
    }

    #[inline(never)]
    fn mul(&self, other: &Self) -> Self {
        Self(montgomery(&self.0, &other.0))
    }

    #[inline(never)]
    fn square(&self) -> Self {
        Self(montgomery(&self.0, &self.0))
    }

    fn mul_sub(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        a.mul(b).sub(&c.mul(d))
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        let (sum, high) = carry::add(&self.0, &other.0);
        Self(carry::below(&P, &sum, high))
    }

    #[inline(always)]
    fn sub(&self, other: &Self) -> Self {
        let (difference, lacks) = carry::subtract(&self.0, &other.0);
        Self(carry::add(&difference, &carry::masked(&P, lacks.wrapping_neg())).0)
    }

    #[inline(always)]
    fn tight(&self) -> Self {
        *self
    }

    #[inline(always)]
    fn half(&self) -> Self {
        // p is odd: with or without it, the number is even.
        let odd = (self.0[0] & 1).wrapping_neg();
        let (even, high) = carry::add(&self.0, &carry::masked(&P, odd));
        Self(carry::half(&even, high))
    }

    fn is_zero(&self) -> Mask {
        Mask::zero_64(self.0.iter().fold(0, |all, limb| all | limb))
    }

    #[inline(always)]
    fn negate_if(&mut self, yes: Mask) {
        let negative = Self::ZERO.sub(self);
        self.assign_if(&negative, yes);
    }

    #[inline(always)]
    fn assign_if(&mut self, other: &Self, yes: Mask) {
        let yes = yes.all_64();
        for (limb, other) in self.0.iter_mut().zip(&other.0) {
            *limb ^= (*limb ^ other) & yes;
        }
    }

    #[inline(always)]
    fn pick<'a, const N: usize>(numbers: impl Fn(usize) -> &'a Self, this: &[Mask; N]) -> Self {
        Self(core::array::from_fn(|limb| {
            let limbs = (0..N).map(|at| numbers(at).0[limb] & this[at].all_64());
            limbs.fold(0, |picked, limb| picked | limb)
        }))
    }
}
