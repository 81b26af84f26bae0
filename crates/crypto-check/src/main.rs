//! Does what it reads from standard input with P-256, RSA and AES-256-GCM, and writes the results to
//! standard output.
//!
//! In hexadecimal: Rust's standard output looks for line ends in what it writes, which takes as many
//! instructions as there are.
//!
//! It is built for wasm32-wasip2 as the component is. So tests see that the results are right there,
//! too, and count the instructions that a secret takes.
//!
//! An operation is a letter and what it works with, of fixed lengths, or after its length in four
//! bytes, big-endian (*):
//!
//! | Letter | Reads | Writes |
//! | --- | --- | --- |
//! | `p` | a secret key (32 bytes) | its public key (65) |
//! | `a` | a secret key (32), a public key (65) | what they share (32) |
//! | `s` | a secret key (32), a digest (32) | a signature (64) |
//! | `v` | a public key (65), a digest (32), a signature (64) | 1 if it is valid, or 0 (1) |
//! | `1` | an RSA modulus (*), an exponent (*), a digest (32), a PKCS #1 signature (*) | 1 or 0 (1) |
//! | `2` | an RSA modulus (*), an exponent (*), a digest (32), a PSS signature (*) | 1 or 0 (1) |
//! | `e` | an RSA modulus (*), an exponent (*), a seed (32), a message (*) | encrypted (as the modulus) |
//! | `c` | an AES key (32), a nonce (12), associated data (*), a text (*) | the text encrypted, its tag (16) |
//! | `d` | an AES key (32), a nonce (12), associated data (*), a text (*), its tag (16) | 1 if the tag is right, or 0 (1); the text, then decrypted |
//!
//! `C` and `D` do as `c` and `d`, and write nothing. What is malformed is answered with zeros.

#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};

use anonymous_domains_aes_gcm_wasm::Key;
use anonymous_domains_p256_wasm::{PublicKey, SecretKey, Signature};
use anonymous_domains_rsa_public::{self as rsa, Digest};

fn main() -> io::Result<()> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    let mut output = Vec::new();
    let mut input = Input(&bytes);
    while !input.0.is_empty() {
        let operated = operate(&mut input, &mut output);
        operated.ok_or_else(|| io::Error::other("no such operation, or not all of it"))?;
    }
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    let digits = output
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    io::stdout().write_all(&digits.collect::<Vec<_>>())
}

/// What is left to read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn fixed<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(bytes)
    }

    /// What comes after its length.
    fn long(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(*self.fixed()?);
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// The next operation. `None` if there is not all of one.
fn operate(input: &mut Input, output: &mut Vec<u8>) -> Option<()> {
    match input.fixed()? {
        b"p" => output.extend(public_key(input.fixed()?).unwrap_or([0; 65])),
        b"a" => output.extend(agree(input.fixed()?, input.fixed()?).unwrap_or([0; 32])),
        b"s" => output.extend(sign(input.fixed()?, input.fixed()?).unwrap_or([0; 64])),
        b"v" => {
            let valid = verify(input.fixed()?, input.fixed()?, input.fixed()?);
            output.push(valid.unwrap_or(false).into());
        }
        letter @ (b"1" | b"2") => {
            let key = rsa::PublicKey::new(input.long()?, input.long()?);
            let (digest, signature) = (input.fixed()?, input.long()?);
            let valid = key.is_ok_and(|key| match letter {
                b"1" => key.verify_pkcs1(Digest::Sha256(digest), signature),
                _ => key.verify_pss(digest, signature),
            });
            output.push(valid.into());
        }
        b"e" => {
            let modulus = input.long()?;
            let key = rsa::PublicKey::new(modulus, input.long()?);
            let (seed, message) = (input.fixed()?, input.long()?);
            let encrypted = key.ok().and_then(|key| key.encrypt_oaep(message, seed));
            output.extend(encrypted.unwrap_or_else(|| vec![0; modulus.len()]));
        }
        [letter @ (b'c' | b'd' | b'C' | b'D')] => {
            let length = output.len();
            encipher(letter.to_ascii_lowercase(), input, output)?;
            if letter.is_ascii_uppercase() {
                output.truncate(length);
            }
        }
        _ => return None,
    }
    Some(())
}

/// Encrypts, or decrypts, with AES-256-GCM.
fn encipher(letter: u8, input: &mut Input, output: &mut Vec<u8>) -> Option<()> {
    let key = Key::new(input.fixed()?);
    let (nonce, associated) = (input.fixed()?, input.long()?);
    let mut text = input.long()?.to_vec();
    if letter == b'c' {
        let tag = key.seal(nonce, associated, &mut text).ok()?;
        output.extend(text);
        output.extend(tag);
    } else {
        let opened = key.open(nonce, associated, &mut text, input.fixed()?);
        output.push(opened.is_ok().into());
        output.extend(text);
    }
    Some(())
}

fn public_key(secret: &[u8; 32]) -> Option<[u8; 65]> {
    Some(SecretKey::from_bytes(secret)?.public_key().to_sec1())
}

fn agree(secret: &[u8; 32], public: &[u8; 65]) -> Option<[u8; 32]> {
    let public = PublicKey::from_sec1(public)?;
    Some(*SecretKey::from_bytes(secret)?.agree(&public))
}

fn sign(secret: &[u8; 32], digest: &[u8; 32]) -> Option<[u8; 64]> {
    Some(SecretKey::from_bytes(secret)?.sign(digest).to_bytes())
}

fn verify(public: &[u8; 65], digest: &[u8; 32], signature: &[u8; 64]) -> Option<bool> {
    let signature = Signature::from_bytes(signature)?;
    Some(PublicKey::from_sec1(public)?.verify(digest, &signature))
}
