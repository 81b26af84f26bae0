//! Four limbs of 64 bits, for machines that multiply 64 by 64 bits.
//!
//! A number x is held as 2^256 x modulo p (Montgomery's form), always from 0 to p - 1: so of size 1,
//! and all sizes of [`Field`] are allowed. Additions subtract p where there is one to subtract.

use super::Field;
use crate::{
    carry::{self, add_carry, multiply_add, sub_borrow},
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

/// A product, its lowest limb first.
type Wide = [u64; 8];

#[inline(always)]
const fn product(a: &[u64; 4], b: &[u64; 4]) -> Wide {
    let mut wide = [0; 8];
    let mut i = 0;
    while i < 4 {
        let (w0, carry) = multiply_add(wide[i], a[i], b[0], 0);
        let (w1, carry) = multiply_add(wide[i + 1], a[i], b[1], carry);
        let (w2, carry) = multiply_add(wide[i + 2], a[i], b[2], carry);
        let (w3, carry) = multiply_add(wide[i + 3], a[i], b[3], carry);
        [wide[i], wide[i + 1], wide[i + 2], wide[i + 3], wide[i + 4]] = [w0, w1, w2, w3, carry];
        i += 1;
    }
    wide
}

/// As [`product`] of a number with itself: the products that come twice are made once.
#[inline(always)]
const fn square(a: &[u64; 4]) -> Wide {
    let (w1, carry) = multiply_add(0, a[0], a[1], 0);
    let (w2, carry) = multiply_add(0, a[0], a[2], carry);
    let (w3, w4) = multiply_add(0, a[0], a[3], carry);
    let (w3, carry) = multiply_add(w3, a[1], a[2], 0);
    let (w4, w5) = multiply_add(w4, a[1], a[3], carry);
    let (w5, w6) = multiply_add(w5, a[2], a[3], 0);

    let d1 = w1 << 1;
    let d2 = w2 << 1 | w1 >> 63;
    let d3 = w3 << 1 | w2 >> 63;
    let d4 = w4 << 1 | w3 >> 63;
    let d5 = w5 << 1 | w4 >> 63;
    let d6 = w6 << 1 | w5 >> 63;
    let d7 = w6 >> 63;

    let (w0, carry) = multiply_add(0, a[0], a[0], 0);
    let (w1, carry) = add_carry(d1, carry, 0);
    let (w2, high) = multiply_add(d2, a[1], a[1], carry);
    let (w3, carry) = add_carry(d3, high, 0);
    let (w4, high) = multiply_add(d4, a[2], a[2], carry);
    let (w5, carry) = add_carry(d5, high, 0);
    let (w6, high) = multiply_add(d6, a[3], a[3], carry);
    [w0, w1, w2, w3, w4, w5, w6, d7 + high]
}

/// Divides a number of four limbs by 2^64 modulo p: adds the multiple of p that makes the lowest limb
/// 0, which is that limb itself, since p is -1 modulo 2^64. The result is below p + 2^192.
#[inline(always)]
const fn reduce_limb(limbs: [u64; 4]) -> [u64; 4] {
    let times = limbs[0];
    // `times` (2^96 - 1): the -1 leaves a lowest limb of 0.
    let (r0, carry) = add_carry(limbs[1], times << 32, 0);
    let (r1, carry) = add_carry(limbs[2], times >> 32, carry);
    let (r2, r3) = multiply_add(limbs[3], times, P[3], carry);
    [r0, r1, r2, r3]
}

/// Divides by 2^256 modulo p (Montgomery). Takes what is below 2^256 p.
#[inline(always)]
const fn reduce(wide: Wide) -> [u64; 4] {
    let [w0, w1, w2, w3, high @ ..] = wide;
    let low = reduce_limb(reduce_limb(reduce_limb(reduce_limb([w0, w1, w2, w3]))));
    // The lower half became at most p, and the higher is below p.
    let (sum, carry) = carry::add(&low, &high);
    carry::below(&P, &sum, carry)
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
        Self(reduce(product(&limbs, &MONTGOMERY_SQUARED.0)))
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
        let [n0, n1, n2, n3] = self.0;
        let number = reduce([n0, n1, n2, n3, 0, 0, 0, 0]);
        let mut words = [0; 8];
        for (words, limb) in words.as_chunks_mut::<2>().0.iter_mut().zip(number) {
            *words = [limb as u32, (limb >> 32) as u32];
        }
        super::bytes(words)
    }

    #[inline(never)]
    fn mul(&self, other: &Self) -> Self {
        Self(reduce(product(&self.0, &other.0)))
    }

    #[inline(never)]
    fn square(&self) -> Self {
        Self(reduce(square(&self.0)))
    }

    #[inline(never)]
    fn mul_sub(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        let [a0, a1, a2, a3, a4, a5, a6, a7] = product(&a.0, &b.0);
        let [c0, c1, c2, c3, c4, c5, c6, c7] = product(&c.0, &d.0);
        let (d0, borrow) = sub_borrow(a0, c0, 0);
        let (d1, borrow) = sub_borrow(a1, c1, borrow);
        let (d2, borrow) = sub_borrow(a2, c2, borrow);
        let (d3, borrow) = sub_borrow(a3, c3, borrow);
        let (d4, borrow) = sub_borrow(a4, c4, borrow);
        let (d5, borrow) = sub_borrow(a5, c5, borrow);
        let (d6, borrow) = sub_borrow(a6, c6, borrow);
        let (d7, borrow) = sub_borrow(a7, c7, borrow);
        // Above -p^2: with 2^256 p it is positive, and below that.
        let addend = carry::masked(&P, borrow.wrapping_neg());
        let ([h0, h1, h2, h3], _) = carry::add(&[d4, d5, d6, d7], &addend);
        Self(reduce([d0, d1, d2, d3, h0, h1, h2, h3]))
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
