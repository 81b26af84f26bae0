//! RSA's public operations (RFC 8017) in few instructions: verifying signatures, and encryption.
//!
//! A WebAssembly machine multiplies 32 by 32 bits, or 64 by 64 where it has wide arithmetic. There is
//! a length of limbs for each; the build's `cpubits` chooses, natively the width of pointers.
//!
//! What is encrypted is a secret: the instructions that are taken, and the addresses that are read,
//! depend on the key and on lengths alone. Keys, signatures, and what is signed are none.
//!
//! ```
//! use anonymous_domains_rsa_public::{Digest, PublicKey};
//!
//! let key = PublicKey::new(&[0xff; 256], &[1, 0, 1]).unwrap();
//! assert_eq!((key.bits(), key.exponent()), (2048, &[1, 0, 1][..]));
//!
//! let encrypted = key.encrypt_oaep(b"a secret", &[7; 32]).unwrap();
//! assert_eq!(encrypted.len(), 256);
//! assert!(!key.verify_pkcs1(Digest::Sha256(&[3; 32]), &encrypted));
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod key;
mod limb;
mod mgf;
mod modulus;
mod number;
mod oaep;
mod pkcs1;
mod products;
mod pss;
#[cfg(test)]
mod test_data;

pub use key::{InvalidKey, PublicKey};
pub use pkcs1::Digest;
