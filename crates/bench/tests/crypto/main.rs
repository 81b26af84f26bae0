//! P-256, RSA and AES-256-GCM as WebAssembly: right, and with as many instructions for every secret.
//!
//! What the compiler makes of them is not what it makes natively. `cargo xtask test` names the
//! two builds of `crates/crypto-check` by `ANONYMOUS_DOMAINS_CRYPTO_CHECK` and
//! `ANONYMOUS_DOMAINS_CRYPTO_CHECK_WIDE`. Where they are not set, these tests say so and pass.

mod aes_gcm;
mod p256;
mod rsa;

use std::path::Path;

use anonymous_domains_bench::program::Program;
use sha2::{Digest as _, Sha256};

/// Both builds, each with its name.
fn programs() -> Vec<(&'static str, Program)> {
    let names = [
        "ANONYMOUS_DOMAINS_CRYPTO_CHECK",
        "ANONYMOUS_DOMAINS_CRYPTO_CHECK_WIDE",
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

/// Bytes after their length.
fn long(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
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
