use std::{string::String, vec};

use rsa::{
    BoxedUint, Oaep, Pkcs1v15Sign, Pss, RsaPublicKey,
    rand_core::{Infallible, TryCryptoRng, TryRng},
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::*;
use crate::test_data::{Random, hex, rounds};

const WYCHEPROOF: &str = include_str!("../../testdata/wycheproof.txt");
const OPENSSL: &str = include_str!("../../testdata/openssl.txt");

/// A signature, and what it is said to be.
struct Case {
    scheme: &'static str,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
    valid: bool,
}

impl Case {
    fn is_valid(&self, signature: &[u8]) -> bool {
        let key = PublicKey::new(&self.modulus, &self.exponent).unwrap();
        let message = &self.message;
        match self.scheme {
            "pkcs1-sha256" => {
                let digest = Sha256::digest(message).into();
                key.verify_pkcs1(Digest::Sha256(&digest), signature)
            }
            "pkcs1-sha384" => {
                let digest = Sha384::digest(message).into();
                key.verify_pkcs1(Digest::Sha384(&digest), signature)
            }
            "pkcs1-sha512" => {
                let digest = Sha512::digest(message).into();
                key.verify_pkcs1(Digest::Sha512(&digest), signature)
            }
            "pss-sha256" => key.verify_pss(&Sha256::digest(message).into(), signature),
            other => panic!("no such scheme: {other}"),
        }
    }

    /// According to the crate `rsa`.
    fn is_valid_elsewhere(&self, signature: &[u8]) -> bool {
        let key = elsewhere(&self.modulus, &self.exponent).unwrap();
        let message = &self.message;
        let pkcs1_256 = Pkcs1v15Sign::new::<Sha256>();
        let verified = match self.scheme {
            "pkcs1-sha256" => key.verify(pkcs1_256, &Sha256::digest(message), signature),
            "pkcs1-sha384" => key.verify(
                Pkcs1v15Sign::new::<Sha384>(),
                &Sha384::digest(message),
                signature,
            ),
            "pkcs1-sha512" => key.verify(
                Pkcs1v15Sign::new::<Sha512>(),
                &Sha512::digest(message),
                signature,
            ),
            _ => {
                let pss = Pss::<Sha256>::new_with_salt(32);
                key.verify(pss, &Sha256::digest(message), signature)
            }
        };
        verified.is_ok()
    }
}

fn elsewhere(modulus: &[u8], exponent: &[u8]) -> rsa::Result<RsaPublicKey> {
    let [modulus, exponent] = [modulus, exponent].map(BoxedUint::from_be_slice_vartime);
    RsaPublicKey::new(modulus, exponent)
}

fn cases(text: &'static str) -> impl Iterator<Item = Case> {
    let mut key = ("", vec![], vec![]);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(move |line| match line.split(' ').collect::<Vec<_>>()[..] {
        [scheme, modulus, exponent] => {
            key = (scheme, hex(modulus), hex(exponent));
            None
        }
        [_, message, signature, result] => {
            let (scheme, modulus, exponent) = key.clone();
            Some(Case {
                scheme,
                modulus,
                exponent,
                message: hex(message.trim_matches('-')),
                signature: hex(signature.trim_matches('-')),
                valid: result == "valid",
            })
        }
        _ => panic!("neither a key nor a case: {line}"),
    })
}

#[test]
fn vectors() {
    let mut number = [0, 0];
    for case in cases(WYCHEPROOF).chain(cases(OPENSSL)) {
        let signature = &case.signature;
        assert_eq!(case.is_valid(signature), case.valid, "{signature:02x?}");
        assert_eq!(case.is_valid_elsewhere(signature), case.valid);
        number[usize::from(case.valid)] += 1;
    }
    assert!(number[0] > 300 && number[1] > 100, "{number:?}");
}

/// `a + b`, which has as many bytes, or one more.
fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut sum = vec![];
    let mut carry = 0;
    for (a, b) in a.iter().rev().zip(b.iter().rev()) {
        let column = u16::from(*a) + u16::from(*b) + carry;
        sum.push(column as u8);
        carry = column >> 8;
    }
    sum.extend((carry > 0).then_some(1));
    sum.reverse();
    sum
}

#[test]
fn changed_signatures() {
    let mut random = Random::new();
    for case in cases(OPENSSL) {
        let (modulus, signature) = (&case.modulus, &case.signature);
        let length = signature.len();
        let small = |number| [&vec![0; length - 1][..], &[number]].concat();
        let mut less_one = modulus.clone();
        less_one[length - 1] -= 1;
        let mut others = vec![
            vec![],
            signature[1..].to_vec(),
            signature[..length - 1].to_vec(),
            [&[0], &signature[..]].concat(),
            [&signature[..], &[0]].concat(),
            // The same number modulo n.
            sum(signature, modulus),
            small(0),
            small(1),
            small(2),
            less_one,
            modulus.clone(),
            sum(modulus, &small(1)),
            vec![0xff; length],
        ];
        for _ in 0..rounds() / 5 {
            let mut other = signature.clone();
            other[random.below(length)] ^= 1 << random.below(8);
            others.push(other);
        }
        for other in others {
            assert!(!case.is_valid(&other), "{other:02x?}");
            assert!(!case.is_valid_elsewhere(&other));
        }
        let other = Case {
            message: b"another".to_vec(),
            ..case
        };
        assert!(!other.is_valid(&other.signature));
    }
}

/// Encodings that differ from the right one in any bit, or in length, are refused, without an
/// exponentiation for each.
#[test]
fn changed_encodings() {
    let cases = cases(OPENSSL).filter(|case| case.scheme.ends_with("sha256"));
    for case in cases {
        let key = PublicKey::new(&case.modulus, &case.exponent).unwrap();
        let digest = Sha256::digest(&case.message).into();
        let bits = key.bits() - 1;
        let is_valid = |encoded: &[u8]| match case.scheme {
            "pkcs1-sha256" => pkcs1::verify(Digest::Sha256(&digest), encoded),
            _ => pss::verify(&digest, encoded, bits),
        };
        let mut encoded = key.opened(&case.signature).unwrap();
        assert!(is_valid(&encoded));
        for bit in 0..8 * encoded.len() {
            encoded[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_valid(&encoded), "bit {bit}");
            encoded[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn keys_as_elsewhere() {
    let mut random = Random::new();
    let wide = |bits: usize, last: u8| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] = 0xff >> (8 * modulus.len() - bits);
        *modulus.last_mut().unwrap() = last;
        modulus
    };
    let mut moduli = vec![vec![], vec![0], vec![1], vec![0xff; 127], vec![0; 128]];
    for bits in [1023, 1024, 1025, 2048, 8191, 8192, 8193, 8200] {
        moduli.extend([wide(bits, 0xff), wide(bits, 0xfe)]);
    }
    moduli.push([&[0, 0], &wide(2048, 1)[..]].concat());
    let max = PublicKey::MAX_BITS / 8;
    let exponents: [&[u8]; 13] = [
        &[],
        &[0],
        &[1],
        &[2],
        &[3],
        &[0, 0, 3],
        &[1, 0, 0],
        &[1, 0, 1],
        &[1, 0xff, 0xff, 0xff, 0xff],
        &[2, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1],
        &random.bytes(max),
    ];
    for modulus in &moduli {
        for exponent in exponents {
            let key = PublicKey::new(modulus, exponent);
            let expected = elsewhere(modulus, exponent).is_ok();
            assert_eq!(key.is_ok(), expected, "{modulus:02x?} {exponent:02x?}");
            let Ok(key) = key else { continue };
            let [modulus, exponent] = [&modulus[..], exponent].map(without_leading_zeros);
            assert_eq!((key.modulus(), key.exponent()), (modulus, exponent));
        }
    }
    for (modulus, exponent, error) in [
        (wide(1023, 0xff), 3, InvalidKey::ModulusSize),
        (wide(8193, 0xff), 3, InvalidKey::ModulusSize),
        (wide(2048, 0xfe), 3, InvalidKey::EvenModulus),
        (wide(2048, 0xff), 4, InvalidKey::Exponent),
    ] {
        assert_eq!(PublicKey::new(&modulus, &[exponent]), Err(error));
    }
}

/// Gives the same bytes always.
struct Seed([u8; 32]);

impl TryRng for Seed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("bytes are asked for")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("bytes are asked for")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Seed {}

#[test]
fn encrypts_as_elsewhere() {
    let mut random = Random::new();
    let keys = [1024, 1031, 2048, 2049, 3072, 4096, 8192].map(|bits| random.odd(bits));
    for modulus in keys {
        let exponent = [&[3][..], &[1, 0, 1]][random.below(2)];
        let key = PublicKey::new(&modulus, exponent).unwrap();
        let other = elsewhere(&modulus, exponent).unwrap();
        let longest = modulus.len() - 66;
        for length in [0, 1, 32, longest - 1, longest, longest + 1, longest + 100] {
            let (message, seed) = (random.bytes(length), random.hash());
            let expected = other.encrypt(&mut Seed(seed), Oaep::<Sha256>::new(), &message);
            assert_eq!(key.encrypt_oaep(&message, &seed), expected.ok());
            assert_eq!(
                key.encrypt_oaep(&message, &seed).is_some(),
                length <= longest
            );
        }
    }
}

#[test]
fn shows_itself() {
    let key = PublicKey::new(&[&[0xab; 255][..], &[0x01]].concat(), &[3]).unwrap();
    let shown = std::format!("{key:?}");
    assert_eq!(
        shown,
        std::format!("PublicKey({}01, 3)", String::from("ab").repeat(255))
    );
    assert_eq!(key, key.clone());
    assert_ne!(key, PublicKey::new(key.modulus(), &[5]).unwrap());
}
