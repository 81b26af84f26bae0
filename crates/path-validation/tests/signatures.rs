//! RSA signatures that OpenSSL made, with keys as certificates have them.

use std::collections::BTreeSet;

use anonymous_domains_path_validation::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512};
use pkcs1::{
    RsaPublicKeyRef, UintRef,
    der::{Decode as _, Encode as _},
};

const OPENSSL: &str = include_str!("../../rsa-public/testdata/openssl.txt");

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
    let pairs = pairs.map(|pair| str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// The RSAPublicKey of RFC 8017 appendix A.1.1.
fn der(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = RsaPublicKeyRef {
        modulus: UintRef::new(modulus).unwrap(),
        public_exponent: UintRef::new(exponent).unwrap(),
    };
    let der = key.to_der().unwrap();
    assert!(RsaPublicKeyRef::from_der(&der).is_ok());
    der
}

#[test]
fn rsa_with_each_hash() {
    let mut algorithm = None;
    let mut key = Vec::new();
    let mut verified = BTreeSet::new();
    for line in OPENSSL.lines().filter(|line| !line.starts_with('#')) {
        match line.split(' ').collect::<Vec<_>>()[..] {
            [scheme, modulus, exponent] => {
                key = der(&hex(modulus), &hex(exponent));
                algorithm = match scheme {
                    "pkcs1-sha256" => Some((scheme, RSA_PKCS1_SHA256)),
                    "pkcs1-sha384" => Some((scheme, RSA_PKCS1_SHA384)),
                    "pkcs1-sha512" => Some((scheme, RSA_PKCS1_SHA512)),
                    _ => None,
                };
            }
            [_, message, signature, _] => {
                let Some((scheme, algorithm)) = algorithm else {
                    continue;
                };
                let (message, mut signature) = (hex(message), hex(signature));
                let verify = |message: &[u8], signature: &[u8]| {
                    algorithm.verify_signature(&key, message, signature)
                };
                assert!(verify(&message, &signature).is_ok());
                assert!(verify(b"another", &signature).is_err());
                signature[20] ^= 1;
                assert!(verify(&message, &signature).is_err());
                verified.insert(scheme);
            }
            _ => panic!("neither a key nor a case: {line}"),
        }
    }
    assert_eq!(verified.len(), 3);
}

#[test]
fn keys_that_are_none() {
    let lines = OPENSSL
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let key = lines
        .clone()
        .find(|words| words[0] == "pkcs1-sha256")
        .unwrap();
    let case = lines.clone().find(|words| words.len() == 4).unwrap();
    let (modulus, exponent) = (hex(key[1]), hex(key[2]));
    let (message, signature) = (hex(case[1]), hex(case[2]));
    let verify = |key: &[u8]| RSA_PKCS1_SHA256.verify_signature(key, &message, &signature);
    let key = der(&modulus, &exponent);
    assert!(verify(&key).is_ok());

    let mut even = modulus.clone();
    *even.last_mut().unwrap() &= 0xfe;
    for other in [
        vec![],
        key[..key.len() - 1].to_vec(),
        [&key[..], &[0]].concat(),
        der(&even, &exponent),
        der(&modulus[1..], &exponent),
        der(&modulus, &[1]),
        der(&modulus, &[4]),
    ] {
        assert!(verify(&other).is_err());
    }
}
