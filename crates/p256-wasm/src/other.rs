//! The same with the arithmetic of the crate `p256`, to compare with, or to fall back on.

use p256::{
    ecdsa::{
        SigningKey, VerifyingKey,
        signature::hazmat::{PrehashSigner as _, PrehashVerifier as _},
    },
    elliptic_curve::sec1::ToSec1Point as _,
};
use zeroize::Zeroizing;

use crate::Signature;

/// A public key: a point of the curve, never the one at infinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(p256::PublicKey);

/// A secret key: a number from 1 to n - 1, where n is the group's order. It is wiped when dropped.
#[derive(Debug, Clone)]
pub struct SecretKey(p256::SecretKey);

impl PublicKey {
    /// Reads a point as SEC 1 (section 2.3.4) has it, compressed or not. `None` for anything else.
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        p256::PublicKey::from_sec1_bytes(bytes).ok().map(Self)
    }

    /// The point as SEC 1 (section 2.3.3) has it, uncompressed: 0x04, x and y.
    pub fn to_sec1(self) -> [u8; 65] {
        let point = self.0.to_sec1_point(false);
        let bytes = point.as_bytes().try_into();
        bytes.expect("two coordinates of 32 bytes and one byte")
    }

    /// Whether a signature over a message with this digest is the key's.
    pub fn verify(&self, digest: &[u8; 32], signature: &Signature) -> bool {
        let signature = p256::ecdsa::Signature::from_slice(&signature.to_bytes());
        let signature = signature.expect("r and s are in range");
        VerifyingKey::from(self.0)
            .verify_prehash(digest, &signature)
            .is_ok()
    }
}

impl SecretKey {
    /// The key of 32 big-endian bytes. `None` for 0, and for n and more.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        p256::SecretKey::from_slice(bytes).ok().map(Self)
    }

    /// A new key, of random bytes that `fill` writes. It is called again where they are no key.
    pub fn generate(mut fill: impl FnMut(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            fill(bytes.as_mut());
            if let Some(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// The key as 32 big-endian bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// Its public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.0.public_key())
    }

    /// The secret that this key and another's owner share (ECDH): the x coordinate of the product, 32
    /// big-endian bytes.
    pub fn agree(&self, other: &PublicKey) -> Zeroizing<[u8; 32]> {
        let shared = self.0.diffie_hellman(&other.0);
        Zeroizing::new((*shared.raw_secret_bytes()).into())
    }

    /// Signs a message with this digest. The same digest gets the same signature (RFC 6979).
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let signature: p256::ecdsa::Signature = SigningKey::from(&self.0)
            .sign_prehash(digest)
            .expect("a digest of 32 bytes is long enough");
        Signature::from_bytes(&signature.to_bytes()).expect("r and s are in range")
    }
}
