//! Does what it reads from standard input with P-256, and writes the results to standard output.
//!
//! In hexadecimal: Rust's standard output looks for line ends in what it writes, which takes as many
//! instructions as there are.
//!
//! It is built for wasm32-wasip2 as the component is. So tests see that the results are right there,
//! too, and count the instructions that a secret takes.
//!
//! An operation is a letter and what it works with, all of fixed lengths:
//!
//! | Letter | Reads | Writes |
//! | --- | --- | --- |
//! | `p` | a secret key (32 bytes) | its public key (65) |
//! | `a` | a secret key (32), a public key (65) | what they share (32) |
//! | `s` | a secret key (32), a digest (32) | a signature (64) |
//! | `v` | a public key (65), a digest (32), a signature (64) | 1 if it is valid, or 0 (1) |
//!
//! What is malformed is answered with zeros.

#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};

use anonymous_domains_p256_wasm::{PublicKey, SecretKey, Signature};

fn main() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let mut output = Vec::new();
    let mut rest = &input[..];
    while let Some((&letter, data)) = rest.split_first() {
        let read = match letter {
            b'p' => 32,
            b'a' => 32 + 65,
            b's' => 32 + 32,
            b'v' => 65 + 32 + 64,
            _ => return Err(io::Error::other("no such operation")),
        };
        let (data, after) = data
            .split_at_checked(read)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        rest = after;
        match letter {
            b'p' => output.extend(public_key(data).unwrap_or([0; 65])),
            b'a' => output.extend(agree(data).unwrap_or([0; 32])),
            b's' => output.extend(sign(data).unwrap_or([0; 64])),
            _ => output.push(verify(data).unwrap_or(false).into()),
        }
    }
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    let digits = output
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    io::stdout().write_all(&digits.collect::<Vec<_>>())
}

fn public_key(data: &[u8]) -> Option<[u8; 65]> {
    Some(
        SecretKey::from_bytes(data.first_chunk()?)?
            .public_key()
            .to_sec1(),
    )
}

fn agree(data: &[u8]) -> Option<[u8; 32]> {
    let (secret, public) = data.split_first_chunk()?;
    let public = PublicKey::from_sec1(public)?;
    Some(*SecretKey::from_bytes(secret)?.agree(&public))
}

fn sign(data: &[u8]) -> Option<[u8; 64]> {
    let (secret, digest) = data.split_first_chunk()?;
    let signature = SecretKey::from_bytes(secret)?.sign(digest.first_chunk()?);
    Some(signature.to_bytes())
}

fn verify(data: &[u8]) -> Option<bool> {
    let (public, rest) = data.split_first_chunk::<65>()?;
    let (digest, signature) = rest.split_first_chunk()?;
    let signature = Signature::from_bytes(signature)?;
    Some(PublicKey::from_sec1(public)?.verify(digest, &signature))
}
