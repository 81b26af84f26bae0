//! How large the numbers of [`super::Limbs29`] can get: a representation that holds only that.
//!
//! Every operation takes the largest numbers that its operands can be, checks that it may have them,
//! and gives the largest that can result. So one run of a formula shows that it fits all numbers.

use super::Field;
use crate::mask::Mask;

/// The largest that a number can be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The size that [`Field`] gives it.
    size: f64,
    /// The magnitude of a limb, in 2^28.
    limb: f64,
    /// The magnitude of the whole, in p.
    whole: f64,
}

/// 2^261 / p is a little more than 32.
const MONTGOMERY: f64 = 32.0;

/// What `times` p adds to a limb, in 2^28: at most 2^24 `times`.
const MODULUS_LIMB: f64 = 1.0 / 16.0;

impl Bounds {
    pub(crate) const fn new(_: &[u32; 8]) -> Self {
        // A product of numbers below p and 2^256, as limbs from 0 to 2^29.
        Self::ONE
    }

    fn check(self) -> Self {
        assert!(
            self.limb <= self.size && self.whole <= 2.0 * self.size,
            "{self:?}"
        );
        // 32 bits with sign, and what a carry adds to them.
        assert!(self.size <= 6.0, "{self:?}");
        self
    }

    /// Of a reduced sum of products.
    fn products(pairs: &[(&Self, &Self)]) -> Self {
        let sum = |of: fn(&Self) -> f64| -> f64 { pairs.iter().map(|(a, b)| of(a) * of(b)).sum() };
        assert!(sum(|number| number.size) <= 8.0, "{pairs:?}");
        // Nine products of limbs, and what the reduction adds, in 63 bits.
        let wide = 9.0 * sum(|number| number.limb) * 2_f64.powi(56) + 2_f64.powi(55);
        assert!(wide < 2_f64.powi(63), "{pairs:?}");
        Self {
            size: 1.0,
            limb: 1.0,
            whole: sum(|number| number.whole) / MONTGOMERY + 1.0,
        }
        .check()
    }

    fn sum(self, other: &Self) -> Self {
        Self {
            size: self.size + other.size,
            limb: self.limb + other.limb,
            whole: self.whole + other.whole,
        }
        .check()
    }

    fn larger(&mut self, other: &Self) {
        self.size = self.size.max(other.size);
        self.limb = self.limb.max(other.limb);
        self.whole = self.whole.max(other.whole);
    }
}

impl Field for Bounds {
    const ZERO: Self = Self {
        size: 0.0,
        limb: 0.0,
        whole: 0.0,
    };
    const ONE: Self = Self {
        size: 1.0,
        limb: 1.0,
        // Two factors below p, and 1.
        whole: 1.0 / MONTGOMERY + 1.0,
    };
    const B: Self = Self::ONE;

    fn from_bytes(_: &[u8; 32]) -> Option<Self> {
        Some(Self::ONE)
    }

    fn to_bytes(&self) -> [u8; 32] {
        self.check();
        [0; 32]
    }

    fn mul(&self, other: &Self) -> Self {
        Self::products(&[(self, other)])
    }

    fn square(&self) -> Self {
        Self::products(&[(self, self)])
    }

    fn mul_sub(a: &Self, b: &Self, c: &Self, d: &Self) -> Self {
        Self::products(&[(a, b), (c, d)])
    }

    fn add(&self, other: &Self) -> Self {
        self.sum(other)
    }

    fn sub(&self, other: &Self) -> Self {
        self.sum(other)
    }

    fn tight(&self) -> Self {
        self.check();
        // The multiple of p is rounded from the highest limb, which other limbs of magnitude 7 2^28
        // make wrong by less than 8 in 2^24; and p is less than 2^256 by one of 2^32.
        let times = self.whole + 1.0;
        assert!(self.limb + times * MODULUS_LIMB <= 7.0, "{self:?}");
        Self {
            size: 1.0,
            limb: 1.0,
            whole: 0.51,
        }
    }

    fn half(&self) -> Self {
        assert!(self.size <= 1.0, "{self:?}");
        Self {
            size: 1.6,
            limb: (self.limb + MODULUS_LIMB) / 2.0 + 1.0,
            whole: (self.whole + 1.0) / 2.0,
        }
        .check()
    }

    fn is_zero(&self) -> Mask {
        let _ = self.tight();
        Mask::bit(0)
    }

    fn negate_if(&mut self, _: Mask) {}

    fn assign_if(&mut self, other: &Self, _: Mask) {
        self.larger(other);
    }

    fn pick<'a, const N: usize>(numbers: impl Fn(usize) -> &'a Self, _: &[Mask; N]) -> Self {
        let mut picked = Self::ZERO;
        (0..N).for_each(|at| picked.larger(numbers(at)));
        picked
    }
}
