//! Encodings, and the vectors of Wycheproof.

use std::{format, vec::Vec};

use super::*;
use crate::{
    field::{Field, Limbs29, Limbs64},
    random::hex,
};

fn agree<F: Field>(secret: &SecretKey, point: &[u8]) -> Option<[u8; 32]> {
    let point = Affine::<F>::from_sec1(point)?;
    Some(multiply::multiply(&secret.scalar, &point).x.to_bytes())
}

#[test]
fn wycheproof() {
    let mut count = 0;
    for line in include_str!("../../testdata/wycheproof_ecdh.txt").lines() {
        let [number, point, secret, shared, result] = line.split(' ').collect::<Vec<_>>()[..]
        else {
            assert!(line.starts_with('#'), "{line}");
            continue;
        };
        let point = hex(point.trim_matches('-'));
        // Signed numbers, as short as they can be.
        let secret = hex(&format!("{:0>66}", secret));
        let secret = secret[1..].try_into().unwrap();
        let secret = SecretKey::from_bytes(&secret).unwrap();
        let valid = result != "invalid";
        let expected = valid.then(|| hex(shared).try_into().unwrap());
        assert_eq!(agree::<Limbs29>(&secret, &point), expected, "{number}");
        assert_eq!(agree::<Limbs64>(&secret, &point), expected, "{number}");
        count += 1;
    }
    assert_eq!(count, 355);
}

const N: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

#[test]
fn secret_keys_are_from_1_to_n_minus_1() {
    let key = |digits: &str| SecretKey::from_bytes(&hex(digits).try_into().unwrap());
    assert!(key(&"0".repeat(64)).is_none());
    assert!(key(N).is_none());
    assert!(key(&"f".repeat(64)).is_none());
    let largest = N.replace("2551", "2550");
    let largest = key(&largest).unwrap();
    let one = key(&format!("{:0>64}", 1)).unwrap();
    let [minus_g, g] = [largest, one].map(|key| key.public_key().to_sec1());
    assert_eq!(minus_g[..33], g[..33]);
    assert_ne!(minus_g, g);
}

#[test]
fn keys_are_generated_until_one_is_in_range() {
    let mut tries = [[0; 32], [0xff; 32], [7; 32]].into_iter();
    let key = SecretKey::generate(|bytes| bytes.copy_from_slice(&tries.next().unwrap()));
    assert_eq!(*key.to_bytes(), [7; 32]);
}

#[test]
fn points_are_read_in_both_forms() {
    for byte in 1..20 {
        let key = SecretKey::from_bytes(&[byte; 32]).unwrap().public_key();
        let whole = key.to_sec1();
        assert_eq!(PublicKey::from_sec1(&whole), Some(key));
        let mut short = [0; 33];
        short.copy_from_slice(&whole[..33]);
        short[0] = 2 | whole[64] & 1;
        assert_eq!(PublicKey::from_sec1(&short), Some(key));
        short[0] ^= 1;
        assert_ne!(PublicKey::from_sec1(&short), Some(key));
    }
}

#[test]
fn what_is_no_point_is_refused() {
    let whole = SecretKey::from_bytes(&[1; 32])
        .unwrap()
        .public_key()
        .to_sec1();
    for length in [0, 1, 33, 64] {
        assert!(PublicKey::from_sec1(&whole[..length]).is_none());
    }
    for kind in [0, 1, 2, 3, 5, 6, 7] {
        let mut other = whole;
        other[0] = kind;
        assert!(PublicKey::from_sec1(&other).is_none());
    }
    let mut longer = whole.to_vec();
    longer.push(0);
    assert!(PublicKey::from_sec1(&longer).is_none());
    for at in 1..65 {
        let mut other = whole;
        other[at] ^= 1;
        assert!(PublicKey::from_sec1(&other).is_none());
    }
    // The point at infinity; and 0, 0.
    assert!(PublicKey::from_sec1(&[0]).is_none());
    let mut zero = [0; 65];
    zero[0] = 4;
    assert!(PublicKey::from_sec1(&zero).is_none());
}

#[test]
fn a_secret_key_shows_nothing() {
    let key = SecretKey::from_bytes(&[1; 32]).unwrap();
    assert_eq!(format!("{key:?}"), "SecretKey(..)");
}
