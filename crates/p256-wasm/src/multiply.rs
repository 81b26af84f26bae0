//! Multiples of points.

use zeroize::Zeroize;

use crate::{
    base_point::{BLOCKS, ODD, SPACING, SUMS, TEETH, Tables},
    field::Field,
    mask::Mask,
    point::{Addend, Affine, Jacobian},
    scalar::Scalar,
};

/// Bits of a digit of the secret scalar that a point is multiplied with.
const DIGIT_BITS: usize = 4;
/// How many digits there are.
const DIGITS: usize = 256 / DIGIT_BITS;
/// The odd multiples P, 3 P to 15 P of a point: for all digits of four bits with a sign.
const MULTIPLES: usize = 8;

/// A secret scalar as signs: the sum of s_i 2^i, where every s_i is 1 or -1.
///
/// An odd number k has such a form of any length above its own: bit i of
/// t = (k - 1) / 2 + 2^(length - 1) is 1 where s_i is 1, because the sum of (2 t_i - 1) 2^i is
/// 2 t - 2^length + 1, which is k. An even number is multiplied as its negative, which is odd, as n
/// is.
struct Signs {
    /// (k - 1) / 2, the lowest limb first.
    half: [u64; 4],
    /// Whether the product is to be negated.
    negative: Mask,
}

impl Signs {
    fn new(scalar: &Scalar) -> Self {
        let (mut odd, negative) = scalar.odd();
        let [l0, l1, l2, l3] = *odd.limbs();
        odd.zeroize();
        let half = [
            l0 >> 1 | l1 << 63,
            l1 >> 1 | l2 << 63,
            l2 >> 1 | l3 << 63,
            l3 >> 1,
        ];
        Self { half, negative }
    }

    /// The digit at a position, in the form of length 256: an odd number from -15 to 15.
    fn digit(&self, at: usize) -> Digit {
        let first = at * DIGIT_BITS;
        let mut bits = (self.half[first / 64] >> (first % 64)) as u32 & 15;
        if at == DIGITS - 1 {
            bits |= 8;
        }
        // 2 bits - 15; its magnitude is 2 index + 1.
        Digit::new(bits, 8)
    }

    /// The signs of all teeth at a place between two teeth, in the form of length 260.
    fn column(&self, place: usize) -> Digit {
        let mut bits = 0;
        for tooth in 0..TEETH {
            let at = tooth * SPACING + place;
            let bit = match at.checked_sub(256) {
                None => (self.half[at / 64] >> (at % 64)) as u32 & 1,
                Some(above) => u32::from(above == TEETH * SPACING - 1 - 256),
            };
            bits |= bit << tooth;
        }
        Digit::new(bits, SUMS as u32)
    }
}

impl Drop for Signs {
    fn drop(&mut self) {
        self.half.zeroize();
    }
}

/// Which entry of a table to add, or to subtract.
struct Digit {
    index: u32,
    negative: Mask,
}

impl Digit {
    /// Of signs, the highest of which has the value `half`: the lower ones are the index, all the
    /// other way round if it is negative.
    fn new(bits: u32, half: u32) -> Self {
        let negative = Mask::zero(bits & half);
        let index = (bits ^ negative.all_32() as u32) & (half - 1);
        Self { index, negative }
    }
}

/// P, 3 P to 15 P.
///
/// The sums are of 2 P and an odd multiple of at most 13 P. Those differ, and are not each other's
/// negative, since the order n of P is greater.
fn odd_multiples<F: Field>(point: &Affine<F>) -> [Addend<F>; MULTIPLES] {
    let first = point.to_jacobian();
    let twice = first.double().to_addend();
    let mut multiples = [first.to_addend(); MULTIPLES];
    for at in 1..MULTIPLES {
        multiples[at] = multiples[at - 1].point.add_unequal(&twice).to_addend();
    }
    multiples
}

/// The product of a secret scalar, which is not 0, and a point. Takes the same instructions for every
/// scalar.
///
/// The digits are added from the highest on. When digit j is added, the sum so far is 16 m P, where
/// m is the number of the higher digits: odd and positive, since the highest digit is. The addend is
/// d P with |d| <= 15 < 16 m. So 16 m - d and 16 m + d are not 0; and but for the last digit they
/// are less than k / 16^j + 32 < n. So no sum but the last can be of equal or opposite points.
pub(crate) fn multiply<F: Field>(scalar: &Scalar, point: &Affine<F>) -> Affine<F> {
    let signs = Signs::new(scalar);
    let table = odd_multiples(point);
    let pick = |at: usize| {
        let digit = signs.digit(at);
        let mut addend = Addend::pick(&table, digit.index);
        addend.negate_if(digit.negative);
        addend
    };
    let mut sum = pick(DIGITS - 1).point;
    for at in (0..DIGITS - 1).rev() {
        for _ in 0..DIGIT_BITS {
            sum = sum.double();
        }
        sum = match at {
            0 => sum.add_any(&pick(at)),
            _ => sum.add_unequal(&pick(at)),
        };
    }
    let mut product = sum.to_affine();
    product.negate_if(signs.negative);
    product
}

/// The product of a secret scalar, which is not 0, and the base point. Takes the same instructions
/// for every scalar.
///
/// With a comb (Lim and Lee, 1994) whose bits are signs: bit i = 52 j + 13 b + r belongs to tooth j
/// of block b, and is read in round r, from 12 down to 0. A round doubles the sum so far, m G, and
/// adds for each block a sum of all teeth, a G.
///
/// Before the last round no sum is of equal or opposite points. All bits read so far stand in m and
/// a at different powers of two, so that m + a and m - a are not 0. Bits 259 to 255 are +, -, -, -, -
/// for every scalar. Until they are all read, which is up to round 8, the highest power is at most
/// 2^251, and the magnitude of m + a and m - a below 2^252 < n. From round 7 on those five are
/// 2^(255 - r) together, and all others stand below that, so that the magnitude is below
/// 2^(256 - r) <= 2^255 < n. In the last round the sums are of a kind that takes any points.
pub(crate) fn multiply_base<F: Field + Tables>(scalar: &Scalar) -> Affine<F> {
    const ROUNDS: usize = SPACING / BLOCKS;
    let signs = Signs::new(scalar);
    let pick = |block: usize, round: usize| {
        let digit = signs.column(block * ROUNDS + round);
        let mut addend = Affine::pick(&F::comb()[block], digit.index);
        addend.negate_if(digit.negative);
        addend
    };
    let mut sum = pick(0, ROUNDS - 1).to_jacobian();
    for block in 1..BLOCKS {
        sum = sum.add_unequal_affine(&pick(block, ROUNDS - 1));
    }
    for round in (1..ROUNDS - 1).rev() {
        sum = sum.double();
        for block in 0..BLOCKS {
            sum = sum.add_unequal_affine(&pick(block, round));
        }
    }
    sum = sum.double();
    for block in 0..BLOCKS {
        sum = sum.add_any(&pick(block, 0).to_jacobian().to_addend());
    }
    let mut product = sum.to_affine();
    product.negate_if(signs.negative);
    product
}

/// Digits for odd multiples: the sum of d_i 2^i is the scalar; each d_i is 0 or odd.
type Sparse = [i8; 257];

/// The digits of a scalar with at least `width` zeros after each that is not (Guide to Elliptic Curve
/// Cryptography, algorithm 3.35). They are below 2^(width - 1) in magnitude.
fn sparse(scalar: &Scalar, width: usize) -> Sparse {
    let mut digits = [0; 257];
    let [l0, l1, l2, l3] = *scalar.limbs();
    let limbs = [l0, l1, l2, l3, 0, 0];
    let (mut at, mut carry) = (0, 0);
    while at < digits.len() {
        let (limb, shift) = (at / 64, at % 64);
        let low = limbs[limb] >> shift;
        if low & 1 == carry {
            at += 1;
            continue;
        }
        let above = limbs[limb + 1] << 1 << (63 - shift);
        let window = ((low | above) & ((1 << width) - 1)) + carry;
        carry = window >> (width - 1) & 1;
        digits[at] = (window as i16 - ((carry as i16) << width)) as i8;
        at += width;
    }
    digits
}

/// The index of an odd digit's magnitude in a table of odd multiples.
fn index(digit: i8) -> usize {
    usize::from(digit.unsigned_abs() / 2)
}

/// The sum of `base` G and `other` P; `None` is the point at infinity. The time depends on all of
/// them.
///
/// Both products share their doublings (Straus, 1964).
pub(crate) fn multiply_and_add_variable_time<F: Field + Tables>(
    base: &Scalar,
    other: &Scalar,
    point: &Affine<F>,
) -> Option<Jacobian<F>> {
    const BASE_WIDTH: usize = ODD.ilog2() as usize + 2;
    const OTHER_WIDTH: usize = MULTIPLES.ilog2() as usize + 2;
    let base = sparse(base, BASE_WIDTH);
    let other = sparse(other, OTHER_WIDTH);
    let table = odd_multiples(point);
    let mut sum: Option<Jacobian<F>> = None;
    for (base, other) in base.into_iter().zip(other).rev() {
        sum = sum.map(|sum| sum.double());
        if other != 0 {
            let mut addend = table[index(other)];
            addend.negate_if(Mask::bit((other < 0).into()));
            sum = Jacobian::add_variable_time(sum, &addend);
        }
        if base != 0 {
            let mut addend = F::odd()[index(base)];
            addend.negate_if(Mask::bit((base < 0).into()));
            sum = Jacobian::add_affine_variable_time(sum, &addend);
        }
    }
    sum
}

#[cfg(test)]
mod tests;
