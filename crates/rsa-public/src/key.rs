//! Public keys.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use zeroize::Zeroizing;

use crate::{
    limb::Fastest,
    modulus::Modulus,
    oaep,
    pkcs1::{self, Digest},
    pss,
};

/// The largest exponent. A longer one would let a key take much time.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// A public key: an odd modulus of 1024 to 8192 bits, and an odd exponent from 3 to 2^33 - 1.
#[derive(Clone)]
pub struct PublicKey {
    modulus: Modulus<Fastest>,
    /// As big-endian bytes without leading zeros.
    modulus_bytes: Box<[u8]>,
    exponent: u64,
    exponent_bytes: Box<[u8]>,
}

/// Numbers are no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidKey {
    /// The modulus has fewer than [`PublicKey::MIN_BITS`] or more than [`PublicKey::MAX_BITS`] bits.
    ModulusSize,
    /// The modulus is even.
    EvenModulus,
    /// The exponent is even, 1, or larger than 2^33 - 1.
    Exponent,
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ModulusSize => "the RSA modulus has fewer than 1024 or more than 8192 bits",
            Self::EvenModulus => "the RSA modulus is even",
            Self::Exponent => "the RSA exponent is even, 1, or larger than 2^33 - 1",
        })
    }
}

impl core::error::Error for InvalidKey {}

impl PublicKey {
    /// The shortest modulus, in bits.
    pub const MIN_BITS: usize = 1024;
    /// The longest modulus, in bits.
    pub const MAX_BITS: usize = 8192;

    /// The key of a modulus and an exponent in big-endian bytes.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] where they are none.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, InvalidKey> {
        let [modulus_bytes, exponent_bytes] = [modulus, exponent].map(without_leading_zeros);
        let [first, .., last] = modulus_bytes else {
            return Err(InvalidKey::ModulusSize);
        };
        let bits = modulus_bytes.len() * 8 - first.leading_zeros() as usize;
        if !(Self::MIN_BITS..=Self::MAX_BITS).contains(&bits) {
            return Err(InvalidKey::ModulusSize);
        }
        if last & 1 == 0 {
            return Err(InvalidKey::EvenModulus);
        }
        let exponent = number(exponent_bytes)
            .filter(|exponent| exponent & 1 == 1 && (3..=MAX_EXPONENT).contains(exponent))
            .ok_or(InvalidKey::Exponent)?;
        Ok(Self {
            modulus: Modulus::new(modulus_bytes),
            modulus_bytes: modulus_bytes.into(),
            exponent,
            exponent_bytes: exponent_bytes.into(),
        })
    }

    /// The modulus in big-endian bytes without leading zeros.
    pub fn modulus(&self) -> &[u8] {
        &self.modulus_bytes
    }

    /// The exponent in big-endian bytes without leading zeros.
    pub fn exponent(&self) -> &[u8] {
        &self.exponent_bytes
    }

    /// The modulus's length in bits.
    pub fn bits(&self) -> usize {
        self.modulus.bits()
    }

    /// Whether a signature over a message with this digest is the key's: RSASSA-PKCS1-v1_5 (RFC 8017
    /// section 8.2.2).
    pub fn verify_pkcs1(&self, digest: Digest, signature: &[u8]) -> bool {
        self.opened(signature)
            .is_some_and(|encoded| pkcs1::verify(digest, &encoded))
    }

    /// Whether a signature over a message with this SHA-256 digest is the key's: RSASSA-PSS with
    /// SHA-256, MGF1 with SHA-256, and a salt of 32 bytes (RFC 8017 section 8.1.2).
    pub fn verify_pss(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        self.opened(signature)
            .is_some_and(|encoded| pss::verify(digest, &encoded, self.bits() - 1))
    }

    /// Encrypts a message to the key: RSAES-OAEP with SHA-256, MGF1 with SHA-256, and an empty label
    /// (RFC 8017 section 7.1.1). The seed must be random, and used once. `None` where the message is
    /// longer than the modulus less 66 bytes.
    pub fn encrypt_oaep(&self, message: &[u8], seed: &[u8; 32]) -> Option<Vec<u8>> {
        // Its first byte is 0, so it is below the modulus.
        let encoded = oaep::encode(message, seed, self.modulus_bytes.len())?;
        let mut encrypted = self.power(&encoded);
        // No secret any more, so nothing to be wiped.
        Some(core::mem::take(&mut *encrypted))
    }

    /// What was signed: RSAVP1 (RFC 8017 section 5.2.2), as many bytes as the modulus has. `None` for
    /// a signature of another length, or one that is not below the modulus.
    fn opened(&self, signature: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let same_length = signature.len() == self.modulus_bytes.len();
        (same_length && *signature < *self.modulus_bytes).then(|| self.power(signature))
    }

    fn power(&self, number: &[u8]) -> Zeroizing<Vec<u8>> {
        self.modulus.power(number, self.exponent)
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

/// Big-endian bytes as a number, where it is one of 64 bits.
fn number(bytes: &[u8]) -> Option<u64> {
    let mut number = [0; 8];
    let start = number.len().checked_sub(bytes.len())?;
    number[start..].copy_from_slice(bytes);
    Some(u64::from_be_bytes(number))
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.modulus_bytes == other.modulus_bytes && self.exponent == other.exponent
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in &self.modulus_bytes {
            write!(f, "{byte:02x}")?;
        }
        write!(f, ", {})", self.exponent)
    }
}

#[cfg(test)]
mod tests;
