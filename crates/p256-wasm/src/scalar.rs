//! Numbers modulo n, the order of the base point.

use zeroize::Zeroize;

use crate::mask::Mask;

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
        Self(below_order(limbs(bytes), 0))
    }

    /// The number of 32 big-endian bytes, where it is from 1 to n - 1.
    pub(crate) fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        let number = Self(limbs(bytes));
        let (_, below) = subtract(&number.0, &N);
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
        let (negative, _) = subtract(&N, &self.0);
        let mut odd = *self;
        for (limb, negative) in odd.0.iter_mut().zip(negative) {
            *limb ^= (*limb ^ negative) & even.all_64();
        }
        (odd, even)
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let mut sum = [0; 4];
        let mut carry = false;
        for (at, sum) in sum.iter_mut().enumerate() {
            (*sum, carry) = self.0[at].carrying_add(other.0[at], carry);
        }
        Self(below_order(sum, u64::from(carry)))
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        self.montgomery(&other.montgomery(&MONTGOMERY_SQUARED))
    }

    /// 1 / self, or 0 for 0. The time does not depend on the number.
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
    /// The binary extended Euclidean algorithm (Knuth, The Art of Computer Programming, 4.5.2).
    pub(crate) fn invert_variable_time(&self) -> Self {
        let (mut u, mut v) = (self.0, N);
        // u = a x and v = b x modulo n, where x is self.
        let (mut a, mut b) = (Self::ONE, Self::ZERO);
        while u != [0; 4] {
            while u[0] & 1 == 0 {
                u = half(u, 0);
                a = a.half();
            }
            let (difference, below) = subtract(&u, &v);
            if below == 1 {
                (v, u) = (u, subtract(&v, &u).0);
                (a, b) = (b, a);
            } else {
                u = difference;
            }
            a = a.sub(&b);
        }
        // v is the greatest common divisor, which is 1.
        b
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        let (difference, below) = subtract(&self.0, &other.0);
        let mut sum = [0; 4];
        let mut carry = false;
        for (at, sum) in sum.iter_mut().enumerate() {
            let addend = N[at] & below.wrapping_neg();
            (*sum, carry) = difference[at].carrying_add(addend, carry);
        }
        Self(sum)
    }

    fn half(&self) -> Self {
        let odd = (self.0[0] & 1).wrapping_neg();
        let mut sum = [0; 4];
        let mut carry = false;
        for (at, sum) in sum.iter_mut().enumerate() {
            (*sum, carry) = self.0[at].carrying_add(N[at] & odd, carry);
        }
        Self(half(sum, u64::from(carry)))
    }

    /// `self other / 2^256`.
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
            let (low, high) = sum[4].carrying_add(carry, false);
            (sum[3], sum[4]) = (low, u64::from(high));
        }
        let [low @ .., high] = sum;
        Self(below_order(low, high))
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

/// `a + b c + carry`, which is below 2^128: the low and the high half.
fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let sum = u128::from(a) + u128::from(b) * u128::from(c) + u128::from(carry);
    (sum as u64, (sum >> 64) as u64)
}

/// The difference, and 0 or 1 that it lacks at the top.
fn subtract(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], u64) {
    let mut difference = [0; 4];
    let mut borrow = false;
    for (at, difference) in difference.iter_mut().enumerate() {
        (*difference, borrow) = a[at].borrowing_sub(b[at], borrow);
    }
    (difference, u64::from(borrow))
}

/// A number below 2 n, with its fifth limb, less n where it is not below it.
fn below_order(mut limbs: [u64; 4], high: u64) -> [u64; 4] {
    let (less, borrow) = subtract(&limbs, &N);
    // All ones where it was below n.
    let keep = high.wrapping_sub(borrow);
    for (limb, less) in limbs.iter_mut().zip(less) {
        *limb = less ^ ((less ^ *limb) & keep);
    }
    limbs
}

/// Half of an even number of five limbs.
fn half(limbs: [u64; 4], high: u64) -> [u64; 4] {
    let [l0, l1, l2, l3] = limbs;
    [
        l0 >> 1 | l1 << 63,
        l1 >> 1 | l2 << 63,
        l2 >> 1 | l3 << 63,
        l3 >> 1 | high << 63,
    ]
}

/// The number plus n in big-endian bytes, where 32 are enough.
pub(crate) fn plus_order_below_2_256(number: &Scalar) -> Option<[u8; 32]> {
    let mut sum = [0; 4];
    let mut carry = false;
    for (at, sum) in sum.iter_mut().enumerate() {
        (*sum, carry) = number.0[at].carrying_add(N[at], carry);
    }
    (!carry).then(|| Scalar(sum).to_bytes())
}
