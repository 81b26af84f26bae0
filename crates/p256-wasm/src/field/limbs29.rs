//! Nine limbs of 29 bits, for machines that multiply 32 by 32 bits.
//!
//! A limb has a sign and is not reduced by sums and differences, so that they carry nothing: the
//! spare bits take what comes together. A number x is held as 2^261 x (Montgomery's form).
//!
//! # Bounds
//!
//! Size s (see [`Field`]) is, of each limb, at most s 2^28 in magnitude, and of the whole at most
//! 2 s p.
//!
//! - A multiplication adds up, in a 64-bit number, at most nine products of limbs: with sizes s and
//!   t, 9 s t 2^56. With s t <= 8 that is below 2^62.2. The reduction adds less than 2^55.
//! - Its result is (a b + m p) / 2^261 with 0 <= m < 2^261. With |a b| <= 4 s t p^2 <= 32 p^2 and
//!   2^261 > 32 p it is above -p and below 2 p, as size 1 has it.
//! - Sums of size at most 6, and what `tight` adds, fit 32 bits with sign: 6 2^28 + 2^28 < 2^31.

use super::Field;
use crate::mask::Mask;

/// A number, its lowest limb first.
#[derive(Clone, Copy)]
pub(crate) struct Limbs29([i32; LIMBS]);

const LIMBS: usize = 9;
const BITS: u32 = 29;
const LOW: i64 = (1 << BITS) - 1;
/// Limbs are brought between -HALF and HALF - 1.
const HALF: i64 = 1 << (BITS - 1);

/// The sums of products of limbs with the same weight.
type Wide = [i64; 2 * LIMBS - 1];

/// 2^522 modulo p.
const MONTGOMERY_SQUARED: Limbs29 = Limbs29::split(&[
    0x0000_0c00,
    0,
    0xffff_fc00,
    0xffff_efff,
    0xffff_fbff,
    0xffff_ffff,
    0xffff_f7ff,
    0x0000_13ff,
]);

impl Limbs29 {
    /// The number of words of 32 bits, of the lowest first, which is less than p.
    pub(crate) const fn new(words: &[u32; 8]) -> Self {
        Self(reduce(products(
            &Self::split(words).0,
            &MONTGOMERY_SQUARED.0,
        )))
    }

    /// The limbs of words, from 0 to 2^29 - 1: size 2.
    const fn split(words: &[u32; 8]) -> Self {
        let mut limbs = [0; LIMBS];
        let mut at = 0;
        while at < LIMBS {
            let first = at * BITS as usize;
            let (word, shift) = (first / 32, first % 32);
            let mut bits = words[word] as u64 >> shift;
            if word < 7 {
                bits |= (words[word + 1] as u64) << (32 - shift);
            }
            limbs[at] = (bits as i64 & LOW) as i32;
            at += 1;
        }
        Self(limbs)
    }

    /// Brings all limbs but the highest between -2^28 and 2^28 - 1.
    ///
    /// Takes limbs of at most 7 2^28 - 7 in magnitude.
    fn carry(mut self) -> Self {
        let mut carry = 0;
        for limb in &mut self.0[..LIMBS - 1] {
            let sum = *limb + carry;
            carry = (sum + HALF as i32) >> BITS;
            *limb = sum - (carry << BITS);
        }
        self.0[LIMBS - 1] += carry;
        self
    }

    /// Brings all limbs but the highest between 0 and 2^29 - 1. The highest has the number's sign.
    fn positive_limbs(mut self) -> Self {
        let mut carry = 0;
        for limb in &mut self.0[..LIMBS - 1] {
            let sum = *limb + carry;
            carry = sum >> BITS;
            *limb = sum & LOW as i32;
        }
        self.0[LIMBS - 1] += carry;
        self
    }

    /// Subtracts `times` p. Limbs change by at most 2^24 `times`.
    fn subtract_modulus(mut self, times: i32) -> Self {
        // The powers of two in p: 2^0, 2^(3 29 + 9), 2^(6 29 + 18), 2^(7 29 + 21), 2^(8 29 + 24).
        self.0[0] += times;
        self.0[3] -= times << 9;
        self.0[6] -= times << 18;
        self.0[7] += times << 21;
        self.0[8] -= times << 24;
        self
    }
}

/// The limbs, for products.
#[inline(always)]
const fn widened(limbs: &[i32; LIMBS]) -> [i64; LIMBS] {
    let mut wide = [0; LIMBS];
    let mut at = 0;
    while at < LIMBS {
        wide[at] = limbs[at] as i64;
        at += 1;
    }
    wide
}

/// Adds up the products of limbs. Written out, since the compiler leaves such loops.
#[inline(always)]
const fn products(a: &[i32; LIMBS], b: &[i32; LIMBS]) -> Wide {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = widened(a);
    let [b0, b1, b2, b3, b4, b5, b6, b7, b8] = widened(b);
    [
        a0 * b0,
        a0 * b1 + a1 * b0,
        a0 * b2 + a1 * b1 + a2 * b0,
        a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
        a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0,
        a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0,
        a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0,
        a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0,
        a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0,
        a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1,
        a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2,
        a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3,
        a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4,
        a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5,
        a6 * b8 + a7 * b7 + a8 * b6,
        a7 * b8 + a8 * b7,
        a8 * b8,
    ]
}

/// As [`products`] of a number with itself: those that come twice are made once.
#[inline(always)]
const fn squares(a: &[i32; LIMBS]) -> Wide {
    let [a0, a1, a2, a3, a4, a5, a6, a7, a8] = widened(a);
    let [d1, d2, d3, d4, d5, d6, d7, d8] = [
        2 * a1,
        2 * a2,
        2 * a3,
        2 * a4,
        2 * a5,
        2 * a6,
        2 * a7,
        2 * a8,
    ];
    [
        a0 * a0,
        a0 * d1,
        a0 * d2 + a1 * a1,
        a0 * d3 + a1 * d2,
        a0 * d4 + a1 * d3 + a2 * a2,
        a0 * d5 + a1 * d4 + a2 * d3,
        a0 * d6 + a1 * d5 + a2 * d4 + a3 * a3,
        a0 * d7 + a1 * d6 + a2 * d5 + a3 * d4,
        a0 * d8 + a1 * d7 + a2 * d6 + a3 * d5 + a4 * a4,
        a1 * d8 + a2 * d7 + a3 * d6 + a4 * d5,
        a2 * d8 + a3 * d7 + a4 * d6 + a5 * a5,
        a3 * d8 + a4 * d7 + a5 * d6,
        a4 * d8 + a5 * d7 + a6 * a6,
        a5 * d8 + a6 * d7,
        a6 * d8 + a7 * a7,
        a7 * d8,
        a8 * a8,
    ]
}

/// Divides by 2^261 modulo p (Montgomery), and carries.
///
/// Since p is -1 modulo 2^29, the multiple of p that makes the lowest limb 0 is that limb itself.
#[inline(always)]
const fn reduce(mut wide: Wide) -> [i32; LIMBS] {
    let mut i = 0;
    while i < LIMBS {
        let times = wide[i] & LOW;
        // `times` 2^0 of p leaves the lowest bits: what is above them goes on.
        wide[i + 1] += wide[i] >> BITS;
        wide[i + 3] += times << 9;
        wide[i + 6] += times << 18;
        wide[i + 7] -= times << 21;
        wide[i + 8] += times << 24;
        i += 1;
    }
    let mut limbs = [0; LIMBS];
    let mut carry = 0;
    let mut i = 0;
    while i < LIMBS - 1 {
        let sum = wide[LIMBS + i] + carry;
        carry = (sum + HALF) >> BITS;
        limbs[i] = (sum - (carry << BITS)) as i32;
        i += 1;
    }
    limbs[LIMBS - 1] = carry as i32;
    limbs
}

impl Field for Limbs29 {
    const ZERO: Self = Self([0; LIMBS]);
    const ONE: Self = Self::new(&[1, 0, 0, 0, 0, 0, 0, 0]);
    const B: Self = Self::new(&super::B);

    fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        super::words(bytes).map(|words| Self::new(&words))
    }

    fn to_bytes(&self) -> [u8; 32] {
        // Out of Montgomery's form. It is then at most 0.51 p in magnitude, so that one p makes a
        // negative number one from 0 to p - 1.
        let mut one = [0; LIMBS];
        one[0] = 1;
        let number = Self(reduce(products(&self.0, &one))).tight();
        let number = number.positive_limbs();
        let number = number.subtract_modulus(number.0[LIMBS - 1] >> 31);
        let number = number.positive_limbs();
        let mut words = [0; 8];
        for (at, word) in words.iter_mut().enumerate() {
            let (limb, shift) = (32 * at / BITS as usize, 32 * at as u32 % BITS);
            let bits = (number.0[limb] as u64) >> shift
                | (number.0[limb + 1] as u64) << (BITS - shift)
                | number
                    .0
                    .get(limb + 2)
                    .map_or(0, |&limb| (limb as u64) << (2 * BITS - shift));
            *word = bits as u32;
        }
        super::bytes(words)
    }

    #[inline(never)]
    fn mul(&self, other: &Self) -> Self {
        Self(reduce(products(&self.0, &other.0)))
    }

    #[inline(never)]
    fn square(&self) -> Self {
        Self(reduce(squares(&self.0)))
    }

    #[inline(never)]
    fn mul_sub(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        let mut wide = products(&a.0, &b.0);
        for (wide, less) in wide.iter_mut().zip(products(&c.0, &d.0)) {
            *wide -= less;
        }
        Self(reduce(wide))
    }

    #[inline(always)]
    fn add(&self, other: &Self) -> Self {
        let mut sum = *self;
        for (sum, other) in sum.0.iter_mut().zip(&other.0) {
            *sum += other;
        }
        sum
    }

    #[inline(always)]
    fn sub(&self, other: &Self) -> Self {
        let mut difference = *self;
        for (difference, other) in difference.0.iter_mut().zip(&other.0) {
            *difference -= other;
        }
        difference
    }

    /// Subtracts the multiple of p that leaves least: how often 2^256 is in it says the highest limb.
    #[inline(always)]
    fn tight(&self) -> Self {
        let times = (self.0[LIMBS - 1] + (1 << 23)) >> 24;
        self.subtract_modulus(times).carry()
    }

    #[inline(always)]
    fn half(&self) -> Self {
        // p is odd: with or without it, the number is even. It is the lowest limb that says which.
        let even = self.subtract_modulus(-(self.0[0] & 1)).0;
        let mut half = [0; LIMBS];
        for (at, half) in half.iter_mut().enumerate() {
            let lowest_above = even.get(at + 1).map_or(0, |limb| limb & 1);
            *half = (even[at] >> 1) + (lowest_above << (BITS - 1));
        }
        Self(half)
    }

    fn is_zero(&self) -> Mask {
        // Between -p and p only 0 is 0 modulo p, and these limbs have one way to be it.
        let limbs = self.tight().0;
        Mask::zero(limbs.iter().fold(0, |all, &limb| all | limb as u32))
    }

    #[inline(always)]
    fn negate_if(&mut self, yes: Mask) {
        let yes = yes.all_32();
        for limb in &mut self.0 {
            *limb = (*limb ^ yes) - yes;
        }
    }

    #[inline(always)]
    fn assign_if(&mut self, other: &Self, yes: Mask) {
        let yes = yes.all_32();
        for (limb, other) in self.0.iter_mut().zip(&other.0) {
            *limb ^= (*limb ^ other) & yes;
        }
    }

    #[inline(always)]
    fn pick<'a, const N: usize>(numbers: impl Fn(usize) -> &'a Self, this: &[Mask; N]) -> Self {
        Self(core::array::from_fn(|limb| {
            let limbs = (0..N).map(|at| numbers(at).0[limb] & this[at].all_32());
            limbs.fold(0, |picked, limb| picked | limb)
        }))
    }
}
