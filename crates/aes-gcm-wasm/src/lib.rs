//! AES-256-GCM (FIPS 197, SP 800-38D) for WebAssembly, with nonces of 12 bytes and tags of 16.
//!
//! A WebAssembly machine has no instructions for AES, nor for polynomials, but for vectors of 128 bits.
//! Eight blocks are encrypted at once, bit by bit; hashing looks products of half bytes up within
//! vectors. There is no index into memory and no branch that depends on a key or a text, so every key
//! and every text of one length takes the same instructions and reads the same addresses.
//!
//! Natively the same names do it with the crate `aes-gcm`.
//!
//! ```
//! use anonymous_domains_aes_gcm_wasm::Key;
//!
//! let key = Key::new(&[1; 32]);
//! let mut text = *b"a text";
//! let tag = key.seal(&[2; 12], b"header", &mut text).unwrap();
//! assert_ne!(text, *b"a text");
//! key.open(&[2; 12], b"header", &mut text, &tag).unwrap();
//! assert_eq!(text, *b"a text");
//! assert!(key.open(&[2; 12], b"another", &mut text, &tag).is_err());
//! ```

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[cfg(any(test, target_family = "wasm"))]
mod aes;
#[cfg(any(test, target_family = "wasm"))]
mod gcm;
#[cfg(any(test, target_family = "wasm"))]
mod ghash;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(test)]
mod random;
#[cfg(any(test, target_family = "wasm"))]
mod sbox;
#[cfg(test)]
mod tests;
#[cfg(any(test, target_family = "wasm"))]
mod word;

#[cfg(target_family = "wasm")]
pub use gcm::Key;
#[cfg(not(target_family = "wasm"))]
pub use native::Key;

/// The length of a key, in bytes.
pub const KEY_LEN: usize = 32;

/// The length of a nonce, in bytes.
pub const NONCE_LEN: usize = 12;

/// The length of a tag, in bytes.
pub const TAG_LEN: usize = 16;

/// A text is longer than GCM allows, 64 GiB; or a tag is not that of the text, the associated data, the
/// nonce and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;
