//! The bit-sliced key, as WebAssembly has it, and the native one.

use std::vec::Vec;

use crate::{
    gcm, native,
    random::{Random, hex},
};

const NIST: &str = include_str!("../testdata/nist.txt");
const WYCHEPROOF: &str = include_str!("../testdata/wycheproof.txt");

/// More than the eight blocks that are encrypted at once, several times.
const LONGEST: usize = 1100;

fn vectors(text: &str, at_least: usize) {
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(' ');
        let mut bytes = || hex(fields.next().unwrap().trim_matches('-'));
        let key: [u8; 32] = bytes().try_into().unwrap();
        let nonce: [u8; 12] = bytes().try_into().unwrap();
        let [associated, text, encrypted] = [bytes(), bytes(), bytes()];
        let tag: [u8; 16] = bytes().try_into().unwrap();
        let valid = fields.next() == Some("valid");
        let (sliced, native) = (gcm::Key::new(&key), native::Key::new(&key));
        if valid {
            let mut ours = text.clone();
            assert_eq!(
                sliced.seal(&nonce, &associated, &mut ours),
                Ok(tag),
                "{line}"
            );
            assert_eq!(ours, encrypted, "{line}");
            let mut theirs = text.clone();
            assert_eq!(
                native.seal(&nonce, &associated, &mut theirs),
                Ok(tag),
                "{line}"
            );
        }
        let expected = if valid { &text } else { &encrypted };
        let mut ours = encrypted.clone();
        let opened = sliced.open(&nonce, &associated, &mut ours, &tag);
        assert_eq!((opened.is_ok(), &ours), (valid, expected), "{line}");
        let mut theirs = encrypted.clone();
        let opened = native.open(&nonce, &associated, &mut theirs, &tag);
        assert_eq!((opened.is_ok(), &theirs), (valid, expected), "{line}");
        count += 1;
    }
    assert!(count >= at_least, "{count}");
}

#[test]
fn nist() {
    vectors(NIST, 170);
}

#[test]
fn wycheproof() {
    vectors(WYCHEPROOF, 66);
}

fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
    let blocks = core::iter::repeat_with(|| random.bytes::<32>());
    blocks.flatten().take(length).collect()
}

/// Texts and associated data of all lengths, as the crate `aes-gcm` encrypts them.
#[test]
fn all_lengths() {
    let mut random = Random::new();
    for length in 0..=LONGEST {
        for [text, associated] in [[length, random.below(70)], [random.below(70), length]] {
            let (key, nonce) = (random.bytes(), random.bytes());
            let (sliced, native) = (gcm::Key::new(&key), native::Key::new(&key));
            let text = bytes(&mut random, text);
            let associated = bytes(&mut random, associated);
            let (mut ours, mut theirs) = (text.clone(), text.clone());
            let tag = sliced.seal(&nonce, &associated, &mut ours).unwrap();
            assert_eq!(native.seal(&nonce, &associated, &mut theirs), Ok(tag));
            assert_eq!(ours, theirs);
            sliced.open(&nonce, &associated, &mut ours, &tag).unwrap();
            assert_eq!(ours, text);
        }
    }
}

/// Nothing opens that was changed by a bit, and it stays as it was.
#[test]
fn tampered() {
    let mut random = Random::new();
    let (key, nonce) = (random.bytes(), random.bytes::<12>());
    let key = gcm::Key::new(&key);
    for length in [0, 1, 16, 100, 300] {
        let [associated, mut text] = [20, length].map(|length| bytes(&mut random, length));
        let tag = key.seal(&nonce, &associated, &mut text).unwrap();
        let refused = |nonce: &[u8; 12], associated: &[u8], text: &[u8], tag: &[u8; 16]| {
            let mut opened = text.to_vec();
            assert!(key.open(nonce, associated, &mut opened, tag).is_err());
            assert_eq!(opened, text);
        };
        let changed = |bytes: &[u8], bit: usize| {
            let mut bytes = bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        for bit in 0..8 * tag.len() {
            let tag = changed(&tag, bit).try_into().unwrap();
            refused(&nonce, &associated, &text, &tag);
        }
        for bit in 0..8 * nonce.len() {
            let nonce = changed(&nonce, bit).try_into().unwrap();
            refused(&nonce, &associated, &text, &tag);
        }
        for bit in 0..8 * associated.len() {
            refused(&nonce, &changed(&associated, bit), &text, &tag);
        }
        for bit in 0..8 * text.len() {
            refused(&nonce, &associated, &changed(&text, bit), &tag);
        }
        // What is said to be associated data, and what text, is in the tag.
        let all = [&associated[..], &text].concat();
        if length > 0 {
            refused(&nonce, &all, &[], &tag);
        }
        refused(&nonce, &[], &all, &tag);
        refused(&nonce, &associated, &[&text[..], &[0]].concat(), &tag);
    }
}
