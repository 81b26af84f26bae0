//! Multiples of the base point, which are part of the program.
//!
//! `base_point.txt` has a point a line, x and y in hexadecimal: first the [`ODD`] odd multiples
//! G, 3 G, 5 G and so on, then the sums of the comb (see [`Tables::comb`]). A test computes it with
//! other arithmetic, and writes it with `UPDATE_BASE_POINT=1`.

use crate::{
    field::{Limbs29, Limbs64},
    point::Affine,
};

/// How many odd multiples there are.
pub(crate) const ODD: usize = 64;
/// How many bits of a scalar the comb takes at once: its teeth.
pub(crate) const TEETH: usize = 5;
/// The bits between two teeth.
pub(crate) const SPACING: usize = 52;
/// Into so many blocks the bits between two teeth are divided. Each has its own sums.
pub(crate) const BLOCKS: usize = 4;
/// The sums of a block: the sign of the highest tooth is always +.
pub(crate) const SUMS: usize = 1 << (TEETH - 1);

/// The multiples in a representation of the coordinates.
pub(crate) trait Tables: Sized + 'static {
    /// (2 i + 1) G at index i.
    fn odd() -> &'static [Affine<Self>; ODD];

    /// For each block b, at index i the sum of 2^(13 b) 2^(52 j) G for the five teeth j, negative for
    /// those of the lower four of which the bit in i is 0.
    fn comb() -> &'static [[Affine<Self>; SUMS]; BLOCKS];
}

const TEXT: &[u8] = include_bytes!("base_point.txt");
/// Two times 64 digits, a space and the line's end.
const LINE: usize = 130;

/// The value of the hexadecimal digits of 32 bits.
const fn word(mut at: usize) -> u32 {
    let end = at + 8;
    let mut word = 0;
    while at < end {
        let digit = match TEXT[at] {
            digit @ b'0'..=b'9' => digit - b'0',
            letter => letter - b'a' + 10,
        };
        word = word << 4 | digit as u32;
        at += 1;
    }
    word
}

/// A coordinate, in words of 32 bits, the lowest first.
const fn coordinate(line: usize, column: usize) -> [u32; 8] {
    let mut words = [0; 8];
    let mut at = 0;
    while at < 8 {
        words[7 - at] = word(line * LINE + column * 65 + at * 8);
        at += 1;
    }
    words
}

macro_rules! tables {
    ($field:ty) => {
        impl Tables for $field {
            fn odd() -> &'static [Affine<Self>; ODD] {
                static ODD_MULTIPLES: [Affine<$field>; ODD] = points(0);
                &ODD_MULTIPLES
            }

            fn comb() -> &'static [[Affine<Self>; SUMS]; BLOCKS] {
                static COMB: [[Affine<$field>; SUMS]; BLOCKS] = [
                    points(ODD),
                    points(ODD + SUMS),
                    points(ODD + 2 * SUMS),
                    points(ODD + 3 * SUMS),
                ];
                &COMB
            }
        }

        const fn points<const N: usize>(first: usize) -> [Affine<$field>; N] {
            const {
                assert!(TEXT.len() == (ODD + BLOCKS * SUMS) * LINE);
            }
            let zero = Affine {
                x: <$field>::new(&[0; 8]),
                y: <$field>::new(&[0; 8]),
            };
            let mut points = [zero; N];
            let mut at = 0;
            while at < N {
                points[at] = Affine {
                    x: <$field>::new(&coordinate(first + at, 0)),
                    y: <$field>::new(&coordinate(first + at, 1)),
                };
                at += 1;
            }
            points
        }
    };
}

#[cfg_attr(not(test), allow(dead_code, reason = "a build uses one of the two"))]
mod limbs29 {
    use super::*;
    tables!(Limbs29);
}

#[cfg_attr(not(test), allow(dead_code, reason = "a build uses one of the two"))]
mod limbs64 {
    use super::*;
    tables!(Limbs64);
}

#[cfg(test)]
mod bounds {
    use super::*;
    use crate::field::bounds::Bounds;
    tables!(Bounds);
}

#[cfg(test)]
mod trace {
    use super::*;
    use crate::field::trace::Traced;
    tables!(Traced);
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, string::String, vec::Vec};

    use p256::{
        ProjectivePoint, Scalar,
        elliptic_curve::{PrimeField as _, sec1::ToSec1Point as _},
    };

    use super::*;

    fn power(exponent: usize) -> Scalar {
        (0..exponent).fold(Scalar::ONE, |power, _| power.double())
    }

    fn scalars() -> Vec<Scalar> {
        let odd = (0..ODD as u64).map(|at| Scalar::from(2 * at + 1));
        let comb = (0..BLOCKS * SUMS).map(|at| {
            let (block, signs) = (at / SUMS, at % SUMS);
            let teeth = (0..TEETH).map(|tooth| {
                let term = power(block * SPACING / BLOCKS + tooth * SPACING);
                let plus = tooth + 1 == TEETH || signs >> tooth & 1 == 1;
                if plus { term } else { -term }
            });
            teeth.fold(Scalar::ZERO, |sum, term| sum + term)
        });
        odd.chain(comb).collect()
    }

    #[test]
    fn the_tables_are_the_multiples() {
        let mut text = String::new();
        for scalar in scalars() {
            let point = (ProjectivePoint::GENERATOR * scalar).to_affine();
            let bytes = point.to_sec1_point(false);
            let digits = bytes.as_bytes()[1..].iter().enumerate();
            for (at, byte) in digits {
                let gap = if at == 32 { " " } else { "" };
                write!(text, "{gap}{byte:02x}").unwrap();
            }
            text.push('\n');
        }
        if std::env::var_os("UPDATE_BASE_POINT").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/base_point.txt");
            std::fs::write(path, &text).unwrap();
        } else {
            assert_eq!(text.as_bytes(), TEXT, "run with UPDATE_BASE_POINT=1");
        }
        assert_eq!(Scalar::NUM_BITS, 256);
    }
}
