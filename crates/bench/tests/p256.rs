//! P-256 as WebAssembly: right, and with as many instructions for every secret.
//!
//! What the compiler makes of the arithmetic is not what it makes natively. `cargo xtask test` names the
//! two builds of `crates/p256-check` by `ANONYMOUS_DOMAINS_P256_CHECK` and
//! `ANONYMOUS_DOMAINS_P256_CHECK_WIDE`. Where they are not set, these tests say so and pass.

use std::path::Path;

use anonymous_domains_bench::program::Program;
use anonymous_domains_p256_wasm::{PublicKey, SecretKey};
use sha2::{Digest as _, Sha256};

const ECDSA: &str = include_str!("../../p256-wasm/testdata/wycheproof_ecdsa.txt");
const ECDH: &str = include_str!("../../p256-wasm/testdata/wycheproof_ecdh.txt");

/// Both builds, each with its name.
fn programs() -> Vec<(&'static str, Program)> {
    let names = [
        "ANONYMOUS_DOMAINS_P256_CHECK",
        "ANONYMOUS_DOMAINS_P256_CHECK_WIDE",
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

fn digest(message: &[u8]) -> [u8; 32] {
    Sha256::digest(message).into()
}

/// Runs the operations in one go, and expects what each writes.
async fn check(program: &Program, cases: &[(Vec<u8>, Vec<u8>)]) {
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

/// Secrets at the edges, and any.
fn secrets() -> Vec<[u8; 32]> {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc6325";
    let mut secrets = Vec::new();
    for low in [1, 2, 3, 15, 16, 17, 0x50] {
        let mut small = [0; 32];
        small[31] = low;
        secrets.push(small);
        // n is this with 51 at its end.
        secrets.push(hex(&format!("{order}{low:02x}")).try_into().unwrap());
    }
    for at in 1..32 {
        let mut power = [0; 32];
        power[at] = 1;
        secrets.push(power);
        let mut ones = [0; 32];
        ones[at..].fill(0xff);
        secrets.push(ones);
    }
    secrets.extend((0..50_u8).map(|number| digest(&[number])));
    secrets.retain(|secret| SecretKey::from_bytes(secret).is_some());
    secrets
}

#[tokio::test]
async fn wycheproof() {
    let mut cases = Vec::new();
    let mut key = Vec::new();
    for line in ECDSA.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["key", digits] => key = hex(digits),
            [_, message, signature, result] if !line.starts_with('#') => {
                let signature = hex(signature.trim_matches('-'));
                if signature.len() == 64 {
                    let digest = digest(&hex(message.trim_matches('-')));
                    let input = [b"v", &key[..], &digest, &signature].concat();
                    cases.push((input, vec![u8::from(result == "valid")]));
                }
            }
            _ => {}
        }
    }
    for line in ECDH.lines() {
        let [_, point, secret, shared, result] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let (point, secret) = (hex(point.trim_matches('-')), hex(&format!("{secret:0>66}")));
        if point.len() == 65 {
            let expected = if result == "invalid" {
                vec![0; 32]
            } else {
                hex(shared)
            };
            cases.push(([b"a", &secret[1..], &point].concat(), expected));
        }
    }
    assert!(cases.len() > 500);
    for (_, program) in programs() {
        check(&program, &cases).await;
    }
}

#[tokio::test]
async fn as_natively() {
    let mut cases = Vec::new();
    let mut other = SecretKey::from_bytes(&[7; 32]).unwrap().public_key();
    for bytes in secrets() {
        let secret = SecretKey::from_bytes(&bytes).unwrap();
        let public = secret.public_key();
        let digest = digest(&bytes);
        let signature = secret.sign(&digest).to_bytes();
        let shared = secret.agree(&other);
        cases.push(([b"p", &bytes[..]].concat(), public.to_sec1().to_vec()));
        cases.push(([b"s", &bytes[..], &digest].concat(), signature.to_vec()));
        let input = [b"a", &bytes[..], &other.to_sec1()].concat();
        cases.push((input, shared.to_vec()));
        let input = [b"v", &public.to_sec1()[..], &digest, &signature].concat();
        cases.push((input, vec![1]));
        other = public;
    }
    for (_, program) in programs() {
        check(&program, &cases).await;
    }
}

/// Neither the instructions taken nor, with them, their number depends on a secret. (That no address does
/// is in the crate's own tests: it reads all of a table.)
#[tokio::test]
async fn every_secret_takes_as_many_instructions() {
    let point: PublicKey = SecretKey::from_bytes(&[7; 32]).unwrap().public_key();
    for (name, program) in programs() {
        for (letter, rest) in [('p', &[][..]), ('a', &point.to_sec1()), ('s', &[1; 32])] {
            let mut expected = None;
            for secret in secrets() {
                let input = [&[letter as u8][..], &secret, rest].concat();
                let (_, instructions) = program.run(input).await.unwrap();
                let first = *expected.get_or_insert(instructions);
                assert_eq!(instructions, first, "{name}, {letter} of {secret:02x?}");
            }
            println!("{name}, {letter}: {expected:?} instructions, with the program's start");
        }
    }
}
