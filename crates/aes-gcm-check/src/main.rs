//! Does what it reads from standard input with AES-256-GCM, and writes the results to standard output.
//!
//! In hexadecimal: Rust's standard output looks for line ends in what it writes, which takes as many
//! instructions as there are.
//!
//! It is built for wasm32-wasip2 as the component is. So tests see that the results are right there,
//! too, and count the instructions that a key and a text take.
//!
//! An operation is a letter and what it works with:
//!
//! | Letter | Reads | Writes |
//! | --- | --- | --- |
//! | `s` | a key (32 bytes), a nonce (12), associated data, a text | the text encrypted, its tag (16) |
//! | `o` | a key (32), a nonce (12), associated data, a text, its tag (16) | 1 if the tag is right, or 0 (1); the text, decrypted where it is |
//!
//! Capital letters do the same, and write nothing. Before data and texts is their length, as a little-endian number of four bytes.

#![forbid(unsafe_code)]

use std::io::{self, Read as _, Write as _};

use anonymous_domains_aes_gcm_wasm::Key;

fn main() -> io::Result<()> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let mut output = Vec::new();
    let mut rest = Rest(&mut input);
    while let Some([letter]) = rest.array() {
        operate(letter, &mut rest, &mut output).ok_or(io::ErrorKind::UnexpectedEof)?;
    }
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
    let digits = output
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    io::stdout().write_all(&digits.collect::<Vec<_>>())
}

/// One operation, of which nothing is written where its letter is a capital one. `None` if there is no such, or something is missing.
fn operate(letter: u8, rest: &mut Rest<'_>, output: &mut Vec<u8>) -> Option<()> {
    let key = Key::new(&rest.array()?);
    let nonce = rest.array()?;
    let associated = rest.bytes()?;
    let text = rest.bytes()?;
    let length = output.len();
    match letter.to_ascii_lowercase() {
        b's' => {
            let tag = key.seal(&nonce, associated, text).ok()?;
            output.extend(&*text);
            output.extend(tag);
        }
        b'o' => {
            let tag = rest.array()?;
            let opened = key.open(&nonce, associated, text, &tag);
            output.push(opened.is_ok().into());
            output.extend(&*text);
        }
        _ => return None,
    }
    if letter.is_ascii_uppercase() {
        output.truncate(length);
    }
    Some(())
}

/// What is still to be read.
struct Rest<'a>(&'a mut [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn bytes(&mut self) -> Option<&'a mut [u8]> {
        let length = u32::from_le_bytes(self.array()?);
        self.take(usize::try_from(length).ok()?)
    }

    fn take(&mut self, length: usize) -> Option<&'a mut [u8]> {
        self.0.split_off_mut(..length)
    }
}
