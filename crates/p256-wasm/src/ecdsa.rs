//! Signing and verifying (FIPS 186-5, section 6.4) of digests of 32 bytes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    base_point::Tables,
    field::{Fastest, Field},
    keys::{PublicKey, SecretKey},
    multiply,
    point::Affine,
    scalar::{self, Scalar},
    signature::Signature,
};

impl PublicKey {
    /// Whether a signature over a message with this digest is the key's. The time depends on all of
    /// them, which are no secret.
    pub fn verify(&self, digest: &[u8; 32], signature: &Signature) -> bool {
        verify(&self.point, digest, signature)
    }
}

fn verify<F: Field + Tables>(
    point: &Affine<F>,
    digest: &[u8; 32],
    Signature { r, s }: &Signature,
) -> bool {
    let inverse = s.invert_variable_time();
    let base = Scalar::reduced(digest).mul(&inverse);
    let other = r.mul(&inverse);
    let sum = multiply::multiply_and_add_variable_time(&base, &other, point);
    let Some(sum) = sum else { return false };
    // Whether the point's x, which is sum.x / sum.z^2, is r modulo n: x < p < 2 n, so it is r or
    // r + n. Comparing the numerators takes no division.
    let zz = sum.z.square();
    let mut candidates = [Some(r.to_bytes()), scalar::plus_order_below_2_256(r)].into_iter();
    candidates.any(|x| {
        let x = x.and_then(|x| F::from_bytes(&x));
        x.is_some_and(|x| x.mul(&zz).sub(&sum.x).is_zero().reveal())
    })
}

impl SecretKey {
    /// Signs a message with this digest. The same digest gets the same signature (RFC 6979).
    pub fn sign(&self, digest: &[u8; 32]) -> Signature {
        let number = Scalar::reduced(digest);
        let mut nonces = Nonces::new(self, &number.to_bytes());
        loop {
            let nonce = nonces.next();
            let x = multiply::multiply_base::<Fastest>(&nonce.scalar).x;
            let r = Scalar::reduced(&x.to_bytes());
            let secret = Zeroizing::new(number.add(&r.mul(&self.scalar)));
            let s = Zeroizing::new(nonce.scalar.invert()).mul(&secret);
            // That one of them is 0 has the probability 2^-255.
            if !r.is_zero().reveal() && !s.is_zero().reveal() {
                return Signature { r, s };
            }
        }
    }
}

/// The secret numbers of one signature (RFC 6979 section 3.2), from HMAC-SHA256.
struct Nonces {
    key: Zeroizing<[u8; 32]>,
    value: Zeroizing<[u8; 32]>,
    first: bool,
}

impl Nonces {
    /// Of the secret key and the digest modulo n.
    fn new(key: &SecretKey, digest: &[u8; 32]) -> Self {
        let secret = key.to_bytes();
        let mut nonces = Self {
            key: Zeroizing::new([0; 32]),
            value: Zeroizing::new([1; 32]),
            first: true,
        };
        nonces.update(&[&[0], &*secret, digest]);
        nonces.update(&[&[1], &*secret, digest]);
        nonces
    }

    fn next(&mut self) -> SecretKey {
        loop {
            if !self.first {
                self.update(&[&[0]]);
            }
            self.first = false;
            self.value = self.hmac(&[]);
            if let Some(nonce) = SecretKey::from_bytes(&self.value) {
                return nonce;
            }
        }
    }

    fn update(&mut self, parts: &[&[u8]]) {
        self.key = self.hmac(parts);
        self.value = self.hmac(&[]);
    }

    /// Of the value and then the parts, with the key.
    fn hmac(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let hmac = Hmac::<Sha256>::new_from_slice(&*self.key);
        let mut hmac = hmac.expect("HMAC takes keys of any length");
        hmac.update(self.value.as_ref());
        for part in parts {
            hmac.update(part);
        }
        Zeroizing::new(hmac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests;
