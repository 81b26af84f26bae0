//! Against the crate `p256`, the vectors of Wycheproof and those of RFC 6979.

use std::vec::Vec;

use p256::ecdsa::{
    SigningKey, VerifyingKey,
    signature::hazmat::{PrehashSigner as _, PrehashVerifier as _},
};
use sha2::Digest as _;

use super::*;
use crate::{
    field::{Limbs29, Limbs64, bounds::Bounds},
    random::{Random, hex, rounds},
};

fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// The same with both representations.
fn verify_both(key: &[u8], digest: &[u8; 32], signature: &Signature) -> bool {
    let valid = verify(
        &Affine::<Limbs29>::from_sec1(key).unwrap(),
        digest,
        signature,
    );
    let other = verify(
        &Affine::<Limbs64>::from_sec1(key).unwrap(),
        digest,
        signature,
    );
    assert_eq!(valid, other);
    valid
}

/// Nonces and keys go through it.
#[test]
fn the_hash_is_wiped() {
    fn is_wiped<T: zeroize::ZeroizeOnDrop>() {}
    is_wiped::<Sha256>();
}

#[test]
fn wycheproof() {
    let mut key = Vec::new();
    let mut count = 0;
    for line in include_str!("../../testdata/wycheproof_ecdsa.txt").lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["#", ..] => {}
            ["key", digits] => key = hex(digits),
            [number, message, bytes, result] => {
                let signature = Signature::from_bytes(&hex(bytes.trim_matches('-')));
                let digest = digest(&hex(message.trim_matches('-')));
                let valid =
                    signature.is_some_and(|signature| verify_both(&key, &digest, &signature));
                assert_eq!(valid, result == "valid", "{number}");
                count += 1;
            }
            _ => panic!("{line}"),
        }
    }
    assert_eq!(count, 262);
}

#[test]
fn the_example_of_rfc_6979() {
    let key = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
    let key = SecretKey::from_bytes(&key.try_into().unwrap()).unwrap();
    for (message, r, s) in [
        (
            "sample",
            "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        ),
        (
            "test",
            "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
            "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
        ),
    ] {
        let signature = key.sign(&digest(message.as_bytes())).to_bytes();
        assert_eq!(signature.to_vec(), [hex(r), hex(s)].concat());
    }
}

#[test]
fn as_the_crate_p256_signs_and_verifies() {
    let mut random = Random::new();
    for _ in 0..rounds() {
        let key = SecretKey::generate(|bytes| bytes.copy_from_slice(&random.bytes()));
        let theirs = SigningKey::from_slice(&*key.to_bytes()).unwrap();
        let mut digest = random.bytes();
        let signature = key.sign(&digest);
        let bytes = signature.to_bytes();
        let signed: p256::ecdsa::Signature = theirs.sign_prehash(&digest).unwrap();
        assert_eq!(bytes.to_vec(), signed.to_bytes().to_vec());
        let public = key.public_key().to_sec1();
        assert!(verify_both(&public, &digest, &signature));
        digest[random.below(32)] ^= 1 << random.below(8);
        assert!(!verify_both(&public, &digest, &signature));
    }
}

/// Signatures that nobody made: keys are computed from them, so that they are valid (SEC 1, section
/// 4.1.6). So r, s and the digest can be at the edges.
#[test]
fn any_r_and_s() {
    let mut random = Random::new();
    let mut valid = 0;
    let small = |number: u8| {
        let mut bytes = [0; 32];
        bytes[31] = number;
        bytes
    };
    for round in 0..rounds() {
        let r = if round % 2 == 0 {
            random.bytes()
        } else {
            small(random.below(200) as u8)
        };
        let s = if round % 3 == 0 {
            small(random.below(5) as u8)
        } else {
            random.bytes()
        };
        let digest = if round % 5 == 0 {
            [0; 32]
        } else {
            random.bytes()
        };
        let Some(signature) = Signature::new(&r, &s) else {
            continue;
        };
        for x in [Some(r), scalar::plus_order_below_2_256(&signature.r)]
            .into_iter()
            .flatten()
        {
            let compressed = [&[2][..], &x].concat();
            let Some(point) = Affine::<Limbs64>::from_sec1(&compressed) else {
                continue;
            };
            // r^-1 (s R - e G)
            let inverse = signature.r.invert();
            let base = Scalar::ZERO.sub(&Scalar::reduced(&digest)).mul(&inverse);
            let other = signature.s.mul(&inverse);
            let Some(key) = multiply::multiply_and_add_variable_time(&base, &other, &point) else {
                continue;
            };
            let key = key.to_affine().to_sec1();
            assert!(verify_both(&key, &digest, &signature), "{round}");
            let theirs = VerifyingKey::from_sec1_bytes(&key).unwrap();
            let bytes = signature.to_bytes();
            let bytes = p256::ecdsa::Signature::from_slice(&bytes).unwrap();
            assert!(theirs.verify_prehash(&digest, &bytes).is_ok(), "{round}");
            valid += 1;
        }
    }
    assert!(valid > rounds() / 4);
}

#[test]
fn the_largest_numbers_fit() {
    let point = Affine::<Bounds>::from_sec1(&[2; 33]).map_or(
        Affine {
            x: Bounds::ONE,
            y: Bounds::ONE,
        },
        |point| point,
    );
    let signature = Signature::new(&[1; 32], &[2; 32]).unwrap();
    verify(&point, &[3; 32], &signature);
}

#[test]
fn scalars() {
    let mut random = Random::new();
    for _ in 0..rounds() {
        let [a, b] = [(); 2].map(|()| random.bytes());
        let Some(number) = Scalar::from_bytes(&a) else {
            continue;
        };
        let inverse = number.invert();
        assert!(inverse == number.invert_variable_time());
        assert!(number.mul(&inverse) == Scalar::ONE);
        let other = Scalar::reduced(&b);
        assert!(number.add(&other).sub(&other) == number);
        assert!(number.sub(&other).add(&other) == number);
    }
}
