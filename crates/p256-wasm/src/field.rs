//! Numbers modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1, which the curve's coordinates are.
//!
//! Two representations, for two kinds of machine, under the same formulas. Tests run the formulas with
//! both, with one that keeps books of the worst case (`bounds`), and with one that notes what is
//! done (`trace`).

#[cfg(test)]
pub(crate) mod bounds;
#[cfg_attr(not(test), allow(dead_code, reason = "a build uses one of the two"))]
mod limbs29;
#[cfg_attr(not(test), allow(dead_code, reason = "a build uses one of the two"))]
mod limbs64;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod trace;

pub(crate) use self::{limbs29::Limbs29, limbs64::Limbs64};

use crate::mask::Mask;

/// Where 64 x 64 -> 128 bit multiplication is an instruction.
#[cfg(any(cpubits = "64", all(not(cpubits = "32"), target_pointer_width = "64")))]
pub(crate) type Fastest = Limbs64;
/// Where 32 x 32 -> 64 bit multiplication is all there is.
#[cfg(not(any(cpubits = "64", all(not(cpubits = "32"), target_pointer_width = "64"))))]
pub(crate) type Fastest = Limbs29;

/// A number modulo p. It may be represented in several ways; every operation says what it takes.
///
/// # Size
///
/// A number has a size, counted in steps of what a multiplication gives, which has size 1. Sums and
/// differences add the sizes of their terms: nothing is reduced. So a number of size s is between
/// -2 s p and 2 s p.
///
/// - `mul` and `square` take numbers whose sizes have a product of at most 8.
/// - `mul_sub` takes four numbers; the products of sizes of both pairs add up to at most 8.
/// - `add`, `sub` and `negate_if` take what has a sum of at most 6.
/// - `tight` takes at most 6 and gives 1. `half` takes at most 1 and gives 8/5.
///
/// No formula here depends on the numbers' values for this: `bounds` executes each of them once with
/// the largest numbers that there can be.
///
/// All take the same instructions whatever the numbers are.
pub(crate) trait Field: Copy + 'static {
    /// 0, of size 0.
    const ZERO: Self;
    /// 1, of size 1.
    const ONE: Self;
    /// The curve's b, of size 1.
    const B: Self;

    /// The number of 32 big-endian bytes, where it is less than p. Of size 1.
    fn from_bytes(bytes: &[u8; 32]) -> Option<Self>;

    /// The number, from 0 to p - 1. Takes a size of at most 6.
    fn to_bytes(&self) -> [u8; 32];

    /// The product, of size 1.
    #[must_use]
    fn mul(&self, other: &Self) -> Self;

    /// The square, of size 1.
    #[must_use]
    fn square(&self) -> Self;

    /// `a b - c d`, of size 1.
    fn mul_sub(a: &Self, b: &Self, c: &Self, d: &Self) -> Self;

    /// The sum.
    #[must_use]
    fn add(&self, other: &Self) -> Self;

    /// The difference.
    #[must_use]
    fn sub(&self, other: &Self) -> Self;

    /// The same number with size 1.
    #[must_use]
    fn tight(&self) -> Self;

    /// Half of the number.
    #[must_use]
    fn half(&self) -> Self;

    /// Whether it is 0 modulo p. Takes a size of at most 6.
    fn is_zero(&self) -> Mask;

    /// Its negative, or itself.
    fn negate_if(&mut self, yes: Mask);

    /// Becomes the other number, or remains.
    fn assign_if(&mut self, other: &Self, yes: Mask);

    /// The number for which the mask says yes, which is one. Reads all of them.
    fn pick<'a, const N: usize>(numbers: impl Fn(usize) -> &'a Self, this: &[Mask; N]) -> Self;

    /// Squares it several times.
    #[must_use]
    fn squared(&self, times: u32) -> Self {
        let mut power = *self;
        for _ in 0..times {
            power = power.square();
        }
        power
    }

    /// 1 / self, or 0 for 0. Takes size 1, gives size 1.
    ///
    /// As self^(p - 2) (Fermat): 255 squarings and 12 multiplications. p - 2 is, from the highest bit
    /// on, 32 ones, 31 zeros, 1, 96 zeros, 94 ones, 0, 1.
    #[must_use]
    fn invert(&self) -> Self {
        let (ones_30, ones_32) = ones_30_and_32(self);
        ones_32
            .squared(32)
            .mul(self)
            .squared(128)
            .mul(&ones_32)
            .squared(32)
            .mul(&ones_32)
            .squared(30)
            .mul(&ones_30)
            .squared(2)
            .mul(self)
    }

    /// A number whose square is this one, if there is one. Takes size 1.
    ///
    /// As self^((p + 1) / 4), since p is 3 modulo 4. (p + 1) / 4 = 2^254 - 2^222 + 2^190 + 2^94.
    fn square_root(&self) -> Option<Self> {
        let (_, ones_32) = ones_30_and_32(self);
        let root = ones_32
            .squared(32)
            .mul(self)
            .squared(96)
            .mul(self)
            .squared(94);
        let fits = root.square().sub(self).is_zero();
        fits.reveal().then_some(root)
    }
}

/// The powers 2^30 - 1 and 2^32 - 1.
fn ones_30_and_32<F: Field>(number: &F) -> (F, F) {
    let ones_2 = number.square().mul(number);
    let ones_4 = ones_2.squared(2).mul(&ones_2);
    let ones_6 = ones_4.squared(2).mul(&ones_2);
    let ones_12 = ones_6.squared(6).mul(&ones_6);
    let ones_24 = ones_12.squared(12).mul(&ones_12);
    let ones_30 = ones_24.squared(6).mul(&ones_6);
    let ones_32 = ones_30.squared(2).mul(&ones_2);
    (ones_30, ones_32)
}

/// p, in words of 32 bits, the lowest first.
const MODULUS: [u32; 8] = [
    0xffff_ffff,
    0xffff_ffff,
    0xffff_ffff,
    0,
    0,
    0,
    1,
    0xffff_ffff,
];

/// The curve's b, in the same words.
const B: [u32; 8] = [
    0x27d2_604b,
    0x3bce_3c3e,
    0xcc53_b0f6,
    0x651d_06b0,
    0x7698_86bc,
    0xb3eb_bd55,
    0xaa3a_93e7,
    0x5ac6_35d8,
];

/// Reads 32 big-endian bytes as words, where they are less than p.
fn words(bytes: &[u8; 32]) -> Option<[u32; 8]> {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().rev().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    // Compared from the highest word on. It is a public coordinate, or becomes one.
    let less = words.iter().rev().lt(MODULUS.iter().rev());
    less.then_some(words)
}

/// Writes words as 32 big-endian bytes.
fn bytes(words: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(words.iter().rev())
    {
        *bytes = word.to_be_bytes();
    }
    bytes
}
