//! The parts that numbers are kept in.
//!
//! A limb has fewer bits than its type. So products of two can be summed up by the hundred before
//! carries have to be looked at, and a number has room for some multiples of the modulus.

use core::ops::{Add, AddAssign};

use zeroize::Zeroize;

/// Where 64 x 64 -> 128 bit multiplication is an instruction.
#[cfg(any(cpubits = "64", all(not(cpubits = "32"), target_pointer_width = "64")))]
pub(crate) type Fastest = u64;
/// Where 32 x 32 -> 64 bit multiplication is all there is.
#[cfg(not(any(cpubits = "64", all(not(cpubits = "32"), target_pointer_width = "64"))))]
pub(crate) type Fastest = u32;

/// A limb of a number.
///
/// What is done with limbs takes the same instructions whatever they are.
pub(crate) trait Limb: Copy + Default + Zeroize + 'static {
    /// Bits of a limb. Where a number is carried, no limb has more.
    const BITS: u32;

    /// A sum of products: of at least 2^10 products of two limbs of `BITS` bits.
    type Sum: Copy + Default + Zeroize + Add<Output = Self::Sum> + AddAssign;

    /// Of a number of at most `BITS` bits.
    fn new(number: u64) -> Self;

    /// As a number.
    fn get(self) -> u64;

    /// The product.
    fn by(self, other: Self) -> Self::Sum;

    /// The lower `BITS` bits of a product.
    #[must_use]
    fn by_low(self, other: Self) -> Self;

    /// Twice the limb: `BITS` + 1 bits.
    #[must_use]
    fn doubled(self) -> Self;

    /// A sum's lower `BITS` bits.
    fn low(sum: Self::Sum) -> Self;

    /// A sum's other bits.
    fn high(sum: Self::Sum) -> Self::Sum;

    /// `carry + a - b c`; the carry and the result are numbers in two's complement.
    fn sub_product(carry: Self::Sum, a: Self, b: Self, c: Self) -> Self::Sum;

    /// The bits of a number in two's complement but for the lower `BITS`.
    fn high_signed(sum: Self::Sum) -> Self::Sum;

    /// `self - other - borrow`: the lower `BITS` bits, and the borrow, 0 or 1.
    fn sub_borrow(self, other: Self, borrow: Self) -> (Self, Self);

    /// This one, or the other where `other_if` is 1; it is 1 or 0.
    #[must_use]
    fn pick(self, other: Self, other_if: Self) -> Self;
}

macro_rules! limb {
    ($limb:ty, $sum:ty, $signed:ty, $bits:expr) => {
        impl Limb for $limb {
            const BITS: u32 = $bits;

            type Sum = $sum;

            #[inline(always)]
            fn new(number: u64) -> Self {
                number as $limb
            }

            #[inline(always)]
            fn get(self) -> u64 {
                self as u64
            }

            #[inline(always)]
            fn by(self, other: Self) -> $sum {
                self as $sum * other as $sum
            }

            #[inline(always)]
            fn by_low(self, other: Self) -> Self {
                self.wrapping_mul(other) & ((1 << $bits) - 1)
            }

            #[inline(always)]
            fn doubled(self) -> Self {
                self << 1
            }

            #[inline(always)]
            fn low(sum: $sum) -> Self {
                sum as $limb & ((1 << $bits) - 1)
            }

            #[inline(always)]
            fn high(sum: $sum) -> $sum {
                sum >> $bits
            }

            #[inline(always)]
            fn sub_product(carry: $sum, a: Self, b: Self, c: Self) -> $sum {
                carry.wrapping_add(a as $sum).wrapping_sub(b.by(c))
            }

            #[inline(always)]
            fn high_signed(sum: $sum) -> $sum {
                (sum as $signed >> $bits) as $sum
            }

            #[inline(always)]
            fn sub_borrow(self, other: Self, borrow: Self) -> (Self, Self) {
                let difference = self.wrapping_sub(other).wrapping_sub(borrow);
                (
                    difference & ((1 << $bits) - 1),
                    difference >> (<$limb>::BITS - 1),
                )
            }

            #[inline(always)]
            fn pick(self, other: Self, other_if: Self) -> Self {
                self ^ ((self ^ other) & other_if.wrapping_neg())
            }
        }
    };
}

limb!(u32, u64, i64, 27);
limb!(u64, u128, i128, 57);
