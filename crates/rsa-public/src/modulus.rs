//! Powers modulo an odd number, by Montgomery multiplication.
//!
//! A number x stands for x / R, where R = 2^(`BITS` limbs). A product is made in columns, of which the
//! lower half becomes 0 by adding multiples of the modulus n, which leaves (a b + m n) / R.
//!
//! # Sizes
//!
//! R is at least 4 n. So the product of two numbers below 2 n is below (4 n^2 + R n) / R <= 2 n, and
//! nothing has to be subtracted between one multiplication and the next. That of a number below 2 n and
//! one below n is below 3/2 n.
//!
//! A column holds up to twice as many products as a number has limbs, which is 2 x 304 with 27 bits,
//! and 2 x 144 with 57, for a modulus of 8192 bits: fewer than 2^10.

use alloc::{vec, vec::Vec};
use core::hint::black_box;

use zeroize::Zeroizing;

use crate::{
    limb::Limb,
    number::{self, Number},
    products,
};

/// An odd modulus, with what is computed once for it.
#[derive(Clone)]
pub(crate) struct Modulus<L> {
    limbs: Number<L>,
    /// Its length.
    bits: usize,
    /// -1 / n modulo 2^`BITS`.
    inverse: L,
    /// R^2 modulo n, below 2 n.
    radix_squared: Number<L>,
}

impl<L: Limb> Modulus<L> {
    /// Of big-endian bytes without leading zeros: an odd number of 128 to 8192 bits.
    ///
    /// The time depends on it.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let bits = bytes.len() * 8 - bytes[0].leading_zeros() as usize;
        // Two bits more make R at least 4 n.
        let length = (bits + 2).div_ceil(L::BITS as usize);
        let limbs = number::from_bytes(bytes, length.next_multiple_of(4));
        let inverse = negative_inverse(limbs[0]);
        // The square root of R, times R: its square over R is R^2.
        let root = power_of_two(&limbs, bits, limbs.len() / 2 * 3);
        let mut columns = vec![L::Sum::default(); 2 * limbs.len()];
        products::square(&mut columns, &root);
        let mut modulus = Self {
            limbs,
            bits,
            inverse,
            radix_squared: root,
        };
        let mut radix_squared = vec![L::default(); modulus.limbs.len()];
        modulus.reduce(&mut radix_squared, &mut columns);
        modulus.radix_squared = radix_squared;
        modulus
    }

    /// The length in bits.
    pub(crate) fn bits(&self) -> usize {
        self.bits
    }

    /// A number's power, as the number is: big-endian bytes, as many as the modulus has.
    ///
    /// The number is below the modulus, the exponent odd and at least 3. The time depends on the
    /// modulus and the exponent alone.
    pub(crate) fn power(&self, base: &[u8], exponent: u64) -> Zeroizing<Vec<u8>> {
        let length = self.limbs.len();
        let base = Zeroizing::new(number::from_bytes::<L>(base, length));
        let mut columns = Zeroizing::new(vec![L::Sum::default(); 2 * length]);
        // The number times R.
        let mut factor = Zeroizing::new(vec![L::default(); length]);
        products::multiply(&mut columns, &base, &self.radix_squared);
        self.reduce(&mut factor, &mut columns);

        let mut power = factor.clone();
        for bit in (0..exponent.ilog2()).rev() {
            products::square(&mut columns, &power);
            self.reduce(&mut power, &mut columns);
            if exponent >> bit & 1 == 1 {
                // Last, with the number itself, which takes R away.
                let factor = if bit == 0 { &base } else { &factor };
                products::multiply(&mut columns, &power, factor);
                self.reduce(&mut power, &mut columns);
            }
        }
        self.subtract_once(&mut power);
        let mut bytes = Zeroizing::new(vec![0; self.bits.div_ceil(8)]);
        number::to_bytes(&power, &mut bytes);
        bytes
    }

    /// The number in the columns over R, modulo n. The columns become 0.
    fn reduce(&self, quotient: &mut [L], columns: &mut [L::Sum]) {
        let length = self.limbs.len();
        let mut carry = L::Sum::default();
        for at in (0..length & !7).step_by(8) {
            carry = self.reduce_rows::<8>(&mut columns[at..], carry);
        }
        if length % 8 == 4 {
            carry = self.reduce_rows::<4>(&mut columns[length - 4..], carry);
        }
        for (limb, column) in quotient.iter_mut().zip(&columns[length..]) {
            let sum = *column + carry;
            *limb = L::low(sum);
            carry = L::high(sum);
        }
        columns.fill(L::Sum::default());
    }

    /// Adds a multiple of n that makes the first columns 0. Their carry belongs to the next column.
    #[inline(always)]
    fn reduce_rows<const ROWS: usize>(&self, columns: &mut [L::Sum], mut carry: L::Sum) -> L::Sum {
        let (n, after) = self
            .limbs
            .split_first_chunk::<ROWS>()
            .expect("it is longer");
        let (own, others) = columns
            .split_first_chunk_mut::<ROWS>()
            .expect("it is longer");
        let mut rows = [L::default(); ROWS];
        for column in 0..ROWS {
            let mut sum = own[column] + carry;
            for row in 0..column {
                sum += rows[row].by(n[column - row]);
            }
            rows[column] = L::low(sum).by_low(self.inverse);
            carry = L::high(sum + rows[column].by(n[0]));
        }
        products::add_rows(others, &rows, n, after);
        carry
    }

    /// A number below 2 n becomes one below n.
    fn subtract_once(&self, number: &mut [L]) {
        let mut difference = Zeroizing::new(self.limbs.clone());
        let mut borrow = L::default();
        for (limb, from) in difference.iter_mut().zip(&*number) {
            (*limb, borrow) = from.sub_borrow(*limb, borrow);
        }
        // The compiler must not see that there are two cases, or it might branch.
        let below = black_box(borrow);
        for (limb, less) in number.iter_mut().zip(&*difference) {
            *limb = less.pick(*limb, below);
        }
    }
}

/// -1 / n modulo 2^`BITS`, of n's lowest limb.
fn negative_inverse<L: Limb>(limb: L) -> L {
    let odd = limb.get();
    // It is its own inverse modulo 8, and every step (Newton's) doubles the bits.
    let mut inverse = odd;
    for _ in 0..5 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
    }
    L::new(inverse.wrapping_neg() & ((1 << L::BITS) - 1))
}

/// 2^(`BITS` limbs) modulo n, below 2 n, for more limbs than n has; by long division, a limb of the
/// quotient at a time.
///
/// With w bits of n and of the remainder r, and B bits in a limb, a limb is estimated as q =
/// floor(r' v / 2^(w + 3)), where r' = floor(r / 2^s), n' = floor(n / 2^s), v = floor(2^(w + B + 3) /
/// (n' + 1)), and n' has w bits. That is at most r 2^B / n, and where r < 2 n, it is less by no more
/// than 2^B (r' + n' + 1) / (n' (n' + 1)) + r' / 2^(w + 3) + 1 < 3 2^B / 2^(w - 1) + 1/4 + 1 < 2, as w
/// = B + 4. So the next remainder, r 2^B - q n, is at least 0 and below 2 n again.
fn power_of_two<L: Limb>(modulus: &[L], bits: usize, limbs: usize) -> Number<L> {
    let limb_bits = L::BITS as usize;
    let used = limb_bits + 4;
    let drop = bits - used;
    let reciprocal =
        (1_u128 << (used + limb_bits + 3)) / (u128::from(number::shifted(modulus, drop)) + 1);

    // A power of 2 below n.
    let start = (bits - 1) / limb_bits;
    let mut remainder = vec![L::default(); modulus.len()];
    remainder[start] = L::new(1);
    for _ in start..limbs {
        let estimated = u128::from(number::shifted(&remainder, drop)) * reciprocal;
        let quotient = estimated >> (used + 3);
        let quotient = L::new(quotient as u64);
        let mut below = L::default();
        let mut carry = L::Sum::default();
        let fours = remainder.as_chunks_mut::<4>().0.iter_mut();
        for (limbs, n) in fours.zip(modulus.as_chunks::<4>().0) {
            for (limb, n) in limbs.iter_mut().zip(n) {
                let sum = L::sub_product(carry, below, quotient, *n);
                below = *limb;
                *limb = L::low(sum);
                carry = L::high_signed(sum);
            }
        }
    }
    remainder
}

#[cfg(test)]
mod tests;
