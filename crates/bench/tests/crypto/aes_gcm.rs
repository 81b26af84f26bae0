use anonymous_domains_aes_gcm_wasm::Key;
use sha2::{Digest as _, Sha256};

use crate::{check, hex, long, programs};

/// From lines of a key, a nonce, associated data, a text, the same encrypted, its tag, and whether the tag
/// is right.
const VECTORS: [&str; 2] = [
    include_str!("../../../aes-gcm-wasm/testdata/nist.txt"),
    include_str!("../../../aes-gcm-wasm/testdata/wycheproof.txt"),
];

/// Any bytes: the same for the same number.
fn random(number: u64, length: usize) -> Vec<u8> {
    let digest =
        |block: usize| Sha256::digest([number, block as u64].map(u64::to_le_bytes).concat());
    let blocks = (0..length.div_ceil(32)).flat_map(digest);
    blocks.take(length).collect()
}

/// What an operation reads.
fn operation(letter: u8, key: &[u8], nonce: &[u8], associated: &[u8], text: &[u8]) -> Vec<u8> {
    [&[letter], key, nonce, &long(associated)[..], &long(text)].concat()
}

#[tokio::test]
async fn vectors() {
    let mut cases = Vec::new();
    for line in VECTORS.into_iter().flat_map(str::lines) {
        if line.starts_with('#') {
            continue;
        }
        let [key, nonce, associated, text, encrypted, tag, result] =
            line.split(' ').collect::<Vec<_>>()[..]
        else {
            panic!("{line}");
        };
        let [key, nonce, associated, text, encrypted, tag] =
            [key, nonce, associated, text, encrypted, tag]
                .map(|digits| hex(digits.trim_matches('-')));
        let valid = result == "valid";
        let mut open = operation(b'd', &key, &nonce, &associated, &encrypted);
        open.extend(&tag);
        let opened = if valid { &text } else { &encrypted };
        cases.push((open, [&[valid.into()], &opened[..]].concat()));
        if valid {
            let seal = operation(b'c', &key, &nonce, &associated, &text);
            cases.push((seal, [encrypted, tag].concat()));
        }
    }
    assert!(cases.len() > 400);
    for (_, program) in programs() {
        for cases in cases.chunks(200) {
            check(&program, cases).await;
        }
    }
}

#[tokio::test]
async fn as_natively() {
    let mut cases = Vec::new();
    let lengths = (0..300).chain([1000, 2500, 4096, 100_000]);
    for (number, length) in (0..).zip(lengths) {
        let key: [u8; 32] = random(3 * number, 32).try_into().unwrap();
        let nonce: [u8; 12] = random(3 * number + 1, 12).try_into().unwrap();
        let text = random(3 * number + 2, length);
        let associated = &text[..length / 3];
        let mut encrypted = text.clone();
        let tag = Key::new(&key)
            .seal(&nonce, associated, &mut encrypted)
            .unwrap();
        let seal = operation(b'c', &key, &nonce, associated, &text);
        cases.push((seal, [&encrypted[..], &tag].concat()));
        let mut open = operation(b'd', &key, &nonce, associated, &encrypted);
        open.extend(tag);
        cases.push((open.clone(), [&[1], &text[..]].concat()));
        *open.last_mut().unwrap() ^= 1;
        cases.push((open, [&[0], &encrypted[..]].concat()));
    }
    for (_, program) in programs() {
        for cases in cases.chunks(200) {
            check(&program, cases).await;
        }
    }
}

/// Neither the instructions taken nor, with them, their number depends on a key or a text. (No address
/// does, since nothing is indexed with what is computed.)
#[tokio::test]
async fn every_key_and_text_takes_as_many_instructions() {
    let associated = b"associated";
    for (name, program) in programs() {
        for length in [0, 1, 138, 1200, 2500] {
            let mut expected = None;
            for number in 0..20_u64 {
                let bytes = |part, length| match number {
                    0 => vec![0; length],
                    1 => vec![0xff; length],
                    _ => random(3 * number + part, length),
                };
                let key: [u8; 32] = bytes(0, 32).try_into().unwrap();
                let nonce: [u8; 12] = bytes(1, 12).try_into().unwrap();
                let text = bytes(2, length);
                let mut encrypted = text.clone();
                let tag = Key::new(&key).seal(&nonce, associated, &mut encrypted);
                let mut open = operation(b'D', &key, &nonce, associated, &encrypted);
                open.extend(tag.unwrap());
                let seal = operation(b'C', &key, &nonce, associated, &text);
                let mut instructions = [0; 2];
                for (instructions, input) in instructions.iter_mut().zip([seal, open]) {
                    (_, *instructions) = program.run(input).await.unwrap();
                }
                let first = *expected.get_or_insert(instructions);
                assert_eq!(instructions, first, "{name}, {length} bytes, {number}");
            }
            println!(
                "{name}, {length} bytes: {expected:?} instructions to seal and to open, with the \
                 program's start"
            );
        }
    }
}
