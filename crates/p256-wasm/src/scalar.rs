//! Numbers modulo n, the order of the base point.

use core::fmt;

use zeroize::Zeroize;

use crate::{
    carry::{self, add_carry, multiply_add},
    mask::Mask,
};

/// A number from 0 to n - 1, its lowest limb first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scalar([u64; 4]);

/// n.
const N: [u64; 4] = [
    0xf3b9_cac2_fc63_2551,
    0xbce6_faad_a717_9e84,
    0xffff_ffff_ffff_ffff,
    0xffff_ffff_0000_0000,
];

/// -1 / n modulo 2^64.
const MINUS_INVERSE: u64 = 0xccd1_c8aa_ee00_bc4f;

/// 2^512 modulo n.
const MONTGOMERY_SQUARED: Scalar = Scalar([
    0x8324_4c95_be79_eea2,
    0x4699_799c_49bd_6fa6,
    0x2845_b239_2b6b_ec59,
    0x66e1_2d94_f3d9_5620,
]);

impl Scalar {
    pub(crate) const ZERO: Self = Self([0; 4]);
    pub(crate) const ONE: Self = Self([1, 0, 0, 0]);

    /// The number of 32 big-endian bytes modulo n.
    pub(crate) fn reduced(bytes: &[u8; 32]) -> Self {
        // Less than 2^256, which is less than 2 n.
        Self(carry::below(&N, &limbs(bytes), 0))
    }

    /// The number of 32 big-endian bytes, where it is from 1 to n - 1.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let number = Self(limbs(bytes));
        let (_, below) = carry::subtract(&number.0, &N);
        let below = Mask::bit(below as u32);
        // Which the caller tells anyway.
        below.and(!number.is_zero()).reveal().then_some(number)
    }

    /// 32 big-endian bytes.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let chunks = bytes.as_chunks_mut::<8>().0;
        for (bytes, limb) in chunks.iter_mut().zip(self.0.iter().rev()) {
            *bytes = limb.to_be_bytes();
        }
        bytes
    }

    /// The limbs, the lowest first.
    pub(crate) fn limbs(&self) -> &[u64; 4] {
        &self.0
    }

    /// Whether it is 0.
    pub(crate) fn is_zero(&self) -> Mask {
        Mask::zero_64(self.0.iter().fold(0, |all, limb| all | limb))
    }

    /// Its negative for an even number, or itself for an odd one: an odd number, unless it is 0. Says
    /// whether it is the negative.
    pub(crate) fn odd(&self) -> (Self, Mask) {
        let even = Mask::bit(1 ^ (self.0[0] & 1) as u32);
        let (negative, _) = carry::subtract(&N, &self.0);
        let mut odd = *self;
        for (limb, negative) in odd.0.iter_mut().zip(negative) {
            *limb ^= (*limb ^ negative) & even.all_64();
        }
        (odd, even)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (sum, high) = carry::add(&self.0, &other.0);
        Self(carry::below(&N, &sum, high))
    }

    #[inline(never)]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        self.montgomery(&other.montgomery(&MONTGOMERY_SQUARED))
    }

    /// 1 / self, or 0 for 0. The time does not depend on the number.
    #[inline(never)]
    pub(crate) fn invert(&self) -> Self {
        // self^(n - 2), by windows of four bits of the exponent, in Montgomery's form.
        let base = self.montgomery(&MONTGOMERY_SQUARED);
        let mut powers = [Self::ONE.montgomery(&MONTGOMERY_SQUARED); 16];
        for at in 1..16 {
            powers[at] = powers[at - 1].montgomery(&base);
        }
        let mut inverse = powers[0];
        for limb in [N[3], N[2], N[1], N[0] - 2] {
            for shift in (0..64).step_by(4).rev() {
                for _ in 0..4 {
                    inverse = inverse.montgomery(&inverse);
                }
                inverse = inverse.montgomery(&powers[(limb >> shift & 15) as usize]);
            }
        }
        powers.iter_mut().for_each(Zeroize::zeroize);
        inverse.montgomery(&Self::ONE)
    }

    /// 1 / self, in a time that depends on the number. It is not 0.
    ///
    /// Kaliski's almost inverse (1995), which is 2^k times it, and a division by 2^k.
    #[inline(never)]
    pub(crate) fn invert_variable_time(&self) -> Self {
        // Throughout, n = u s + v r; and modulo n, x r = -2^k u and x s = 2^k v, where x is self. The
        // greatest common divisor of u and v is 1. So r and s are below n while u and v are not 0.
        let (mut u, mut v) = (N, self.0);
        let (mut r, mut s) = ([0; 4], [1, 0, 0, 0]);
        let mut k = 0;
        let twos = |number: &[u64; 4]| number[0].trailing_zeros().min(63);
        while v[0] & 1 == 0 {
            let zeros = twos(&v);
            v = carry::shifted_right(&v, zeros);
            // r is 0.
            k += zeros;
        }
        // Both are odd: their difference is even.
        loop {
            let (difference, below) = carry::subtract(&u, &v);
            if difference == [0; 4] {
                break;
            }
            if below == 0 {
                u = difference;
                r = carry::add(&r, &s).0;
                while u[0] & 1 == 0 {
                    let zeros = twos(&u);
                    u = carry::shifted_right(&u, zeros);
                    s = carry::shifted_left(&s, zeros);
                    k += zeros;
                }
            } else {
                v = carry::subtract(&v, &u).0;
                s = carry::add(&s, &r).0;
                while v[0] & 1 == 0 {
                    let zeros = twos(&v);
                    v = carry::shifted_right(&v, zeros);
                    r = carry::shifted_left(&r, zeros);
                    k += zeros;
                }
            }
        }
        // u = v = 1, so s is 2^k times the inverse. k is below 512: every step but the first takes a bit
        // of u + v for each that it adds to k, and at most one more is added than u and v have.
        debug_assert!(k < 512);
        let mut inverse = Self(s);
        if k >= 256 {
            inverse = inverse.montgomery(&Self::ONE);
            k -= 256;
        }
        if k > 0 {
            let mut power = Self::ZERO;
            power.0[(256 - k) as usize / 64] = 1 << ((256 - k) % 64);
            inverse = inverse.montgomery(&power);
        }
        inverse
    }

    #[cfg(test)]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        let (difference, lacks) = carry::subtract(&self.0, &other.0);
        Self(carry::add(&difference, &carry::masked(&N, lacks.wrapping_neg())).0)
    }

    /// `self other / 2^256`.
    #[inline(never)]
    fn montgomery(&self, other: &Self) -> Self {
        let mut sum = [0; 5];
        for limb in self.0 {
            let mut carry = 0;
            for (sum, other) in sum.iter_mut().zip(&other.0) {
                (*sum, carry) = multiply_add(*sum, limb, *other, carry);
            }
            sum[4] += carry;
            // Adds the multiple of n that makes the lowest limb 0.
            let times = sum[0].wrapping_mul(MINUS_INVERSE);
            let (_, mut carry) = multiply_add(sum[0], times, N[0], 0);
            for at in 1..4 {
                (sum[at - 1], carry) = multiply_add(sum[at], times, N[at], carry);
            }
            (sum[3], sum[4]) = add_carry(sum[4], carry, 0);
        }
        let [low @ .., high] = sum;
        Self(carry::below(&N, &low, high))
    }
}

/// It may be a secret.
impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalar(..)")
    }
}

impl Zeroize for Scalar {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

fn limbs(bytes: &[u8; 32]) -> [u64; 4] {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().rev().zip(bytes.as_chunks::<8>().0) {
        *limb = u64::from_be_bytes(*bytes);
    }
    limbs
}

/// The number plus n in big-endian bytes, where 32 are enough.
pub(crate) fn plus_order_below_2_256(number: &Scalar) -> Option<[u8; 32]> {
    let (sum, high) = carry::add(&number.0, &N);
    (high == 0).then(|| Scalar(sum).to_bytes())
}
