//! AES-256-GCM as WebAssembly: right, and with as many instructions for every key and text of a length.
//!
//! What the compiler makes of it is not what it makes natively. `cargo xtask test` names the two builds
//! of `crates/aes-gcm-check` by `ANONYMOUS_DOMAINS_AES_GCM_CHECK` and
//! `ANONYMOUS_DOMAINS_AES_GCM_CHECK_WIDE`. Where they are not set, these tests say so and pass.

use std::path::Path;

use anonymous_domains_aes_gcm_wasm::Key;
use anonymous_domains_bench::program::Program;
use sha2::{Digest as _, Sha256};

/// From lines of a key, a nonce, associated data, a text, the same encrypted, its tag, and whether the tag
/// is right.
const VECTORS: [&str; 2] = [
    include_str!("../../aes-gcm-wasm/testdata/nist.txt"),
    include_str!("../../aes-gcm-wasm/testdata/wycheproof.txt"),
];

/// Both builds, each with its name.
fn programs() -> Vec<(&'static str, Program)> {
    let names = [
        "ANONYMOUS_DOMAINS_AES_GCM_CHECK",
        "ANONYMOUS_DOMAINS_AES_GCM_CHECK_WIDE",
    ];
    let programs = names.into_iter().filter_map(|name| {
        let path = std::env::var_os(name);
        if path.is_none() {
            eprintln!("not run: {name} is not set; `cargo xtask test` sets it");
        }
        Some((name, Program::new(Path::new(&path?)).unwrap()))
    });
    programs.collect()
}

fn hex(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
    let pairs = pairs.map(|pair| str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// Any bytes: the same for the same number.
fn random(number: u64, length: usize) -> Vec<u8> {
    let digest =
        |block: usize| Sha256::digest([number, block as u64].map(u64::to_le_bytes).concat());
    let blocks = (0..length.div_ceil(32)).flat_map(digest);
    blocks.take(length).collect()
}

/// What an operation reads.
fn operation(letter: u8, key: &[u8], nonce: &[u8], associated: &[u8], text: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    [
        &[letter],
        key,
        nonce,
        &length(associated),
        associated,
        &length(text),
        text,
    ]
    .concat()
}

/// Runs the operations in one go, and expects what each writes.
async fn check(program: &Program, cases: &[(Vec<u8>, Vec<u8>)]) {
    for cases in cases.chunks(200) {
        let input = cases.iter().flat_map(|(input, _)| input).copied().collect();
        let (output, _) = program.run(input).await.unwrap();
        let output = hex(str::from_utf8(&output).unwrap());
        let mut rest = &output[..];
        for (input, expected) in cases {
            let (written, after) = rest.split_at(expected.len());
            assert_eq!(written, expected, "of {input:02x?}");
            rest = after;
        }
        assert!(rest.is_empty());
    }
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
        let mut open = operation(b'o', &key, &nonce, &associated, &encrypted);
        open.extend(&tag);
        let opened = if valid { &text } else { &encrypted };
        cases.push((open, [&[valid.into()], &opened[..]].concat()));
        if valid {
            let seal = operation(b's', &key, &nonce, &associated, &text);
            cases.push((seal, [encrypted, tag].concat()));
        }
    }
    assert!(cases.len() > 400);
    for (_, program) in programs() {
        check(&program, &cases).await;
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
        let seal = operation(b's', &key, &nonce, associated, &text);
        cases.push((seal, [&encrypted[..], &tag].concat()));
        let mut open = operation(b'o', &key, &nonce, associated, &encrypted);
        open.extend(tag);
        cases.push((open.clone(), [&[1], &text[..]].concat()));
        *open.last_mut().unwrap() ^= 1;
        cases.push((open, [&[0], &encrypted[..]].concat()));
    }
    for (_, program) in programs() {
        check(&program, &cases).await;
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
                let mut open = operation(b'O', &key, &nonce, associated, &encrypted);
                open.extend(tag.unwrap());
                let seal = operation(b'S', &key, &nonce, associated, &text);
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
