//! Keys, and the secret that two of them share.

use core::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    field::{Fastest, Field as _},
    multiply,
    point::Affine,
    scalar::Scalar,
};

/// A public key: a point of the curve, never the one at infinity.
#[derive(Clone, Copy)]
pub struct PublicKey {
    pub(crate) point: Affine<Fastest>,
}

impl PublicKey {
    /// Reads a point as SEC 1 (section 2.3.4) has it: 0x04, x and y; or 0x02 or 0x03 and x, of which
    /// y is computed. `None` for anything else: coordinates that are not below p, a point that is not
    /// on the curve, the point at infinity.
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        Affine::from_sec1(bytes).map(|point| Self { point })
    }

    /// The point as SEC 1 (section 2.3.3) has it, uncompressed: 0x04, x and y.
    pub fn to_sec1(self) -> [u8; 65] {
        self.point.to_sec1()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.to_sec1() == other.to_sec1()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey(")?;
        for byte in self.to_sec1() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// A secret key: a number from 1 to n - 1, where n is the group's order. It is wiped when dropped.
///
/// What is done with it takes the same instructions for every key.
#[derive(Clone)]
pub struct SecretKey {
    pub(crate) scalar: Scalar,
}

impl SecretKey {
    /// The key of 32 big-endian bytes. `None` for 0, and for n and more.
    pub fn from_bytes(bytes: &[u8; 32]) -> Option<Self> {
        Scalar::from_bytes(bytes).map(|scalar| Self { scalar })
    }

    /// A new key, of random bytes that `fill` writes. It is called again where they are no key, which
    /// one of 2^32 is not.
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
        Zeroizing::new(self.scalar.to_bytes())
    }

    /// Its public key.
    pub fn public_key(&self) -> PublicKey {
        PublicKey {
            point: multiply::multiply_base(&self.scalar),
        }
    }

    /// The secret that this key and another's owner share (ECDH): the x coordinate of the product, 32
    /// big-endian bytes.
    pub fn agree(&self, other: &PublicKey) -> Zeroizing<[u8; 32]> {
        // Every point but infinity has the order n, so the product is not infinity.
        let product = multiply::multiply(&self.scalar, &other.point);
        Zeroizing::new(product.x.to_bytes())
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
mod tests;
