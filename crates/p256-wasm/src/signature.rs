//! Signatures as octets.

use alloc::vec::Vec;

use crate::scalar::Scalar;

/// A signature: r and s, both from 1 to n - 1, where n is the group's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    pub(crate) r: Scalar,
    pub(crate) s: Scalar,
}

impl Signature {
    /// Of r and s, each of 32 big-endian bytes. `None` if one of them is 0, or n and more.
    pub fn new(r: &[u8; 32], s: &[u8; 32]) -> Option<Self> {
        Some(Self {
            r: Scalar::from_bytes(r)?,
            s: Scalar::from_bytes(s)?,
        })
    }

    /// Reads r and s, as 64 bytes (RFC 7518 section 3.4). `None` for another length, and as of
    /// [`new`](Self::new).
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.as_chunks() {
            ([r, s], []) => Self::new(r, s),
            _ => None,
        }
    }

    /// r and s, as 64 bytes.
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        let (r, s) = bytes.split_at_mut(32);
        r.copy_from_slice(&self.r.to_bytes());
        s.copy_from_slice(&self.s.to_bytes());
        bytes
    }

    /// Reads a DER `ECDSA-Sig-Value` (RFC 3279 section 2.2.3). `None` for anything else, and as of
    /// [`new`](Self::new).
    pub fn from_der(der: &[u8]) -> Option<Self> {
        // With two numbers of at most 33 bytes, every length is one byte.
        let (content, []) = element(der, SEQUENCE)? else {
            return None;
        };
        let (r, rest) = element(content, INTEGER)?;
        let (s, []) = element(rest, INTEGER)? else {
            return None;
        };
        Self::new(&positive(r)?, &positive(s)?)
    }

    /// The DER `ECDSA-Sig-Value`.
    pub fn to_der(&self) -> Vec<u8> {
        let mut content = Vec::with_capacity(70);
        for number in [self.r, self.s] {
            let bytes = number.to_bytes();
            let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
            let short = &bytes[zeros..];
            // The highest bit is the sign.
            let sign: &[u8] = if short[0] < 0x80 { &[] } else { &[0] };
            content.extend([INTEGER, (sign.len() + short.len()) as u8]);
            content.extend(sign);
            content.extend(short);
        }
        let mut der = Vec::with_capacity(72);
        der.extend([SEQUENCE, content.len() as u8]);
        der.extend(content);
        der
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// The content of an element of fewer than 128 bytes, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match der {
        [first, length @ ..0x80, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length))
        }
        _ => None,
    }
}

/// A positive number of at most 32 bytes from its shortest form.
fn positive(content: &[u8]) -> Option<[u8; 32]> {
    // The highest bit of the first byte is the sign; a byte of zeros is there only for that.
    let magnitude = match content {
        [0, second, ..] => (*second >= 0x80).then(|| &content[1..])?,
        [first, ..] => (*first < 0x80).then_some(content)?,
        [] => return None,
    };
    let mut bytes = [0; 32];
    let start = bytes.len().checked_sub(magnitude.len())?;
    bytes[start..].copy_from_slice(magnitude);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, hex, rounds};

    #[test]
    fn der_as_the_crate_p256_has_it() {
        let mut random = Random::new();
        for round in 0..rounds() {
            let (mut r, s) = (random.bytes(), random.bytes());
            // Numbers of all lengths.
            r[..round as usize % 32].fill(0);
            let Some(signature) = Signature::new(&r, &s) else {
                continue;
            };
            let der = signature.to_der();
            let theirs = p256::ecdsa::Signature::from_slice(&signature.to_bytes()).unwrap();
            assert_eq!(der, theirs.to_der().as_bytes());
            assert_eq!(Signature::from_der(&der), Some(signature));

            // Changed, it is read by both or by none, and as the same.
            let mut changed = der;
            let at = random.below(changed.len());
            changed[at] ^= 1 << random.below(8);
            let theirs = p256::ecdsa::Signature::from_der(&changed).ok();
            assert_eq!(
                Signature::from_der(&changed).map(|ours| ours.to_bytes().to_vec()),
                theirs.map(|theirs| theirs.to_bytes().to_vec()),
                "{changed:x?}"
            );
        }
    }

    #[test]
    fn malformed_der_is_refused() {
        assert!(Signature::from_der(&hex("3006020101020101")).is_some());
        for der in [
            "",
            "30",
            "3006",
            "30060201010201",
            "300602010102010100",
            "3007020101020101",
            "300702010102010100",
            "308106020101020101",
            "3106020101020101",
            "3006030101020101",
            "3006020100020101",
            "3006020101020180",
            "300702020001020101",
            "3005020102 0101",
            "3005020002 0101",
        ] {
            let der = hex(&der.replace(' ', ""));
            assert!(Signature::from_der(&der).is_none(), "{der:x?}");
        }
    }
}
