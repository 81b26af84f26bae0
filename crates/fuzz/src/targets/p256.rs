//! P-256 of `crates/p256-wasm` against the crate `p256`.

use anonymous_domains_p256_wasm::{PublicKey, SecretKey, Signature};
use p256::{
    ecdsa::{
        self, SigningKey, VerifyingKey,
        signature::hazmat::{PrehashSigner as _, PrehashVerifier as _},
    },
    elliptic_curve::sec1::ToSec1Point as _,
};

use super::Target;
use crate::input::{self, seed};

/// The group's order, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The field's prime, big-endian.
const PRIME: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
];

/// A byte chooses what: a point or a signature as bytes, or two secrets and a digest.
pub const P256: Target = Target {
    name: "p256",
    about: "P-256: points, keys, agreement, signatures, against the crate p256",
    run,
    seeds,
    mutations: 1_000,
};

fn run(bytes: &[u8]) {
    let (kind, rest) = input::choice(bytes);
    match kind % 4 {
        0 => point(rest),
        1 => signature_bytes(rest),
        2 => verify(rest),
        _ => keys(rest),
    }
}

fn point(bytes: &[u8]) {
    let ours = PublicKey::from_sec1(bytes);
    let theirs = p256::PublicKey::from_sec1_bytes(bytes).ok();
    // The compact form, which SEC 1 does not have, is the crate's own.
    if bytes.first() == Some(&5) {
        assert!(ours.is_none());
        return;
    }
    assert_eq!(
        ours.map(|key| key.to_sec1().to_vec()),
        theirs.map(|key| key.to_sec1_point(false).as_bytes().to_vec())
    );
    if let Some(key) = ours {
        assert_eq!(PublicKey::from_sec1(&key.to_sec1()), Some(key));
    }
}

fn signature_bytes(bytes: &[u8]) {
    let ours = Signature::from_der(bytes);
    let theirs = ecdsa::Signature::from_der(bytes).ok();
    assert_eq!(
        ours.map(|it| it.to_bytes().to_vec()),
        theirs.map(|it| it.to_bytes().to_vec())
    );
    if let Some(signature) = ours {
        assert_eq!(signature.to_der(), bytes);
    }
    let ours = Signature::from_bytes(bytes);
    let theirs = ecdsa::Signature::from_slice(bytes).ok();
    assert_eq!(
        ours.map(|it| it.to_bytes().to_vec()),
        theirs.map(|it| it.to_bytes().to_vec())
    );
}

/// Any signature over any digest, by any key.
fn verify(bytes: &[u8]) {
    let (secret, rest) = input::take::<32>(bytes);
    let (digest, rest) = input::take::<32>(rest);
    let (signature, _) = input::take::<64>(rest);
    let (Some(ours), Some(signature)) = (
        SecretKey::from_bytes(&secret),
        Signature::from_bytes(&signature),
    ) else {
        return;
    };
    let theirs = p256::PublicKey::from_sec1_bytes(&ours.public_key().to_sec1());
    let theirs = VerifyingKey::from(theirs.expect("a point"));
    let signature_there = ecdsa::Signature::from_slice(&signature.to_bytes());
    assert_eq!(
        ours.public_key().verify(&digest, &signature),
        theirs
            .verify_prehash(&digest, &signature_there.expect("in range"))
            .is_ok()
    );
}

fn keys(bytes: &[u8]) {
    let (one, rest) = input::take::<32>(bytes);
    let (other, rest) = input::take::<32>(rest);
    let (digest, rest) = input::take::<32>(rest);
    let (change, _) = input::take::<3>(rest);
    let ours = SecretKey::from_bytes(&one);
    let theirs = p256::SecretKey::from_slice(&one).ok();
    assert_eq!(ours.is_some(), theirs.is_some());
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return;
    };
    assert_eq!(
        ours.public_key().to_sec1()[..],
        *theirs.public_key().to_sec1_point(false).as_bytes()
    );
    if let Some(other) = SecretKey::from_bytes(&other) {
        let shared = ours.agree(&other.public_key());
        assert_eq!(shared, other.agree(&ours.public_key()));
        let there = p256::PublicKey::from_sec1_bytes(&other.public_key().to_sec1());
        let there = theirs.diffie_hellman(&there.expect("a point"));
        assert_eq!(shared[..], there.raw_secret_bytes()[..]);
    }
    let signature = ours.sign(&digest);
    let there: ecdsa::Signature = SigningKey::from(&theirs)
        .sign_prehash(&digest)
        .expect("it can be signed");
    assert_eq!(signature.to_bytes()[..], there.to_bytes()[..]);
    assert!(ours.public_key().verify(&digest, &signature));
    let mut changed = signature.to_bytes();
    if input::change(&mut changed, &change)
        && let Some(signature) = Signature::from_bytes(&changed)
    {
        assert!(!ours.public_key().verify(&digest, &signature));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let less_one = |mut number: [u8; 32]| {
        number[31] -= 1;
        number
    };
    let small = |byte: u8| {
        let mut number = [0; 32];
        number[31] = byte;
        number
    };
    let numbers = [
        small(1),
        small(2),
        less_one(ORDER),
        ORDER,
        less_one(PRIME),
        PRIME,
        [0xff; 32],
        [0x55; 32],
        [0; 32],
    ];
    let mut seeds = Vec::new();
    for number in &numbers {
        seeds.push(seed(&[&[3], number, &[7; 32], &[9; 32], &[0, 1, 1]]));
        seeds.push(seed(&[&[0, 4], number, number]));
        seeds.push(seed(&[&[0, 2], number]));
        seeds.push(seed(&[&[1], number, number]));
    }
    let key = SecretKey::from_bytes(&[7; 32]).expect("a key");
    let signature = key.sign(&[9; 32]);
    seeds.push(seed(&[&[0], &key.public_key().to_sec1()]));
    seeds.push(seed(&[&[1], &signature.to_der()]));
    seeds.push(seed(&[&[2], &[7; 32], &[9; 32], &signature.to_bytes()]));
    seeds.push(seed(&[&[2], &less_one(ORDER), &[0; 32], &[1; 64]]));
    seeds
}
