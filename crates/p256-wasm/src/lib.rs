//! P-256 for WebAssembly: ECDSA (FIPS 186-5) and key agreement (SP 800-56A) in few instructions.
//!
//! A WebAssembly machine multiplies 32 by 32 bits, or 64 by 64 where it has wide arithmetic. There is
//! a representation of numbers for each, under one set of formulas; the build's `cpubits` chooses,
//! natively the width of pointers.
//!
//! What concerns a secret (keys, nonces) takes the same instructions and reads the same addresses for
//! every secret. Verifying, which concerns none, does not.
//!
//! ```
//! use anonymous_domains_p256_wasm::SecretKey;
//!
//! let [ours, theirs] = [[1; 32], [2; 32]].map(|bytes| SecretKey::from_bytes(&bytes).unwrap());
//! assert_eq!(ours.agree(&theirs.public_key()), theirs.agree(&ours.public_key()));
//!
//! let digest = [3; 32];
//! let signature = ours.sign(&digest);
//! assert!(ours.public_key().verify(&digest, &signature));
//! assert!(!theirs.public_key().verify(&digest, &signature));
//! ```
//!
//! With the feature `p256-crate` the same names do it with the crate `p256`.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    feature = "p256-crate",
    allow(dead_code, unused_imports, reason = "not used")
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod base_point;
mod carry;
mod ecdsa;
mod field;
mod keys;
mod mask;
mod multiply;
#[cfg(feature = "p256-crate")]
mod other;
mod point;
#[cfg(test)]
mod random;
mod scalar;
mod signature;

#[cfg(not(feature = "p256-crate"))]
pub use keys::{PublicKey, SecretKey};
#[cfg(feature = "p256-crate")]
pub use other::{PublicKey, SecretKey};
pub use signature::Signature;
