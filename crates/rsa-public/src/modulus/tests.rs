use std::{vec, vec::Vec};

use crypto_bigint::{
    BoxedUint, Odd, Resize as _,
    modular::{BoxedMontyForm, BoxedMontyParams},
};

use super::*;
use crate::test_data::{Random, rounds};

const EXPONENTS: [u64; 8] = [
    3,
    5,
    17,
    257,
    65_537,
    (1 << 32) + 15,
    (1 << 33) - 1,
    (1 << 32) + 1,
];

/// As another crate computes it.
fn expected(modulus: &[u8], base: &[u8], exponent: u64) -> Vec<u8> {
    let number = BoxedUint::from_be_slice_vartime;
    let params = BoxedMontyParams::new(Odd::new(number(modulus)).unwrap());
    let base = number(base).resize(params.bits_precision());
    let power = BoxedMontyForm::new(base, &params).pow(&BoxedUint::from(exponent));
    let bytes = power.retrieve().to_be_bytes();
    bytes[bytes.len() - modulus.len()..].to_vec()
}

/// Numbers below the modulus: at the edges, and one any.
fn bases(modulus: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let length = modulus.len();
    let mut one = vec![0; length];
    one[length - 1] = 1;
    let mut less_one = modulus.to_vec();
    less_one[length - 1] -= 1;
    let mut any = random.bytes(length);
    if any[..] >= *modulus {
        any[0] = 0;
    }
    vec![vec![0; length], one, less_one, any]
}

fn check(modulus: &[u8], exponent: u64, random: &mut Random) {
    let narrow = Modulus::<u32>::new(modulus);
    let wide = Modulus::<u64>::new(modulus);
    for base in bases(modulus, random) {
        let expected = expected(modulus, &base, exponent);
        let what = || std::format!("{base:02x?}^{exponent} modulo {modulus:02x?}");
        assert_eq!(*narrow.power(&base, exponent), expected, "{}", what());
        assert_eq!(*wide.power(&base, exponent), expected, "{}", what());
    }
}

/// A power of 2 and 1, and a power of 2 less 1: the extremes of quotients, and of limbs.
fn extremes(bits: usize) -> [Vec<u8>; 2] {
    let length = bits.div_ceil(8);
    let top = 0x80_u8 >> (8 * length - bits);
    let mut low = vec![0; length];
    low[0] = top;
    low[length - 1] |= 1;
    let mut high = vec![0xff; length];
    high[0] = top | (top - 1);
    [low, high]
}

#[test]
fn of_every_length_there_is_a_block_for() {
    let mut random = Random::new();
    for bits in (1024..=8192)
        .step_by(509)
        .chain([2048, 3072, 4096, 8191, 8192])
    {
        for modulus in extremes(bits) {
            check(&modulus, 3, &mut random);
        }
        check(&random.odd(bits), 65_537, &mut random);
    }
}

/// Where lengths of limbs, blocks, words and bytes end.
#[test]
fn of_lengths_beside_each_other() {
    let mut random = Random::new();
    for bits in 1024..1024 + 4 * 57 + 10 {
        for modulus in extremes(bits) {
            check(&modulus, 3, &mut random);
        }
        check(&random.odd(bits), 17, &mut random);
    }
}

#[test]
fn of_random_moduli() {
    let mut random = Random::new();
    for _ in 0..rounds() {
        let bits = [1024, 2047, 2048, 2049, 3072, 4096][random.below(6)];
        let exponent = EXPONENTS[random.below(EXPONENTS.len())];
        check(&random.odd(bits), exponent, &mut random);
    }
}

/// For moduli that make estimates of quotients as wrong as they can be, too.
#[test]
fn remainders_are_below_twice_the_modulus() {
    fn check<L: Limb>(bytes: &[u8]) {
        let modulus = Modulus::<L>::new(bytes);
        let number = |number: &Number<L>| {
            let mut bytes = vec![0; 1100];
            number::to_bytes(number, &mut bytes);
            BoxedUint::from_be_slice_vartime(&bytes)
        };
        let n = number(&modulus.limbs);
        let remainders = (modulus.limbs.len()..2 * modulus.limbs.len())
            .map(|limbs| power_of_two(&modulus.limbs, modulus.bits, limbs));
        for remainder in remainders.chain([modulus.radix_squared.clone()]) {
            assert!(number(&remainder) < n.shl(1), "{bytes:02x?}");
        }
    }
    let mut random = Random::new();
    for _ in 0..2 * rounds() {
        let bits = 1024 + random.below(200);
        let mut modulus = random.odd(bits);
        if random.below(2) == 0 {
            // Just above a power of 2, or just below one, in the bits that estimates see.
            let fill = [0, 0xff][random.below(2)];
            modulus[1..7].fill(fill);
        }
        check::<u32>(&modulus);
        check::<u64>(&modulus);
    }
}

#[test]
fn numbers_as_bytes() {
    fn check<L: Limb>(bytes: &[u8]) {
        let number = number::from_bytes::<L>(bytes, (8 * bytes.len()).div_ceil(L::BITS as usize));
        let mut written = vec![0; bytes.len()];
        number::to_bytes(&number, &mut written);
        assert_eq!(written, bytes);
    }
    let mut random = Random::new();
    for length in 0..300 {
        let bytes = random.bytes(length);
        check::<u32>(&bytes);
        check::<u64>(&bytes);
    }
}
