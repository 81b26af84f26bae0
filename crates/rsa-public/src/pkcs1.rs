//! The encoding of RSASSA-PKCS1-v1_5 (RFC 8017 section 9.2).

/// A message's digest, and what it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest<'a> {
    /// SHA-256.
    Sha256(&'a [u8; 32]),
    /// SHA-384.
    Sha384(&'a [u8; 48]),
    /// SHA-512.
    Sha512(&'a [u8; 64]),
}

impl<'a> Digest<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha384(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }

    /// The DER of a DigestInfo before its digest (RFC 8017 section 9.2, note 1).
    fn prefix(self) -> [u8; 19] {
        // The last number of the algorithm's identifier, 2.16.840.1.101.3.4.2.x.
        let identifier = match self {
            Self::Sha256(_) => 1,
            Self::Sha384(_) => 2,
            Self::Sha512(_) => 3,
        };
        let length = self.bytes().len() as u8;
        [
            0x30,
            17 + length,
            0x30,
            13,
            0x06,
            9,
            0x60,
            0x86,
            0x48,
            0x01,
            0x65,
            0x03,
            0x04,
            0x02,
            identifier,
            0x05,
            0,
            0x04,
            length,
        ]
    }
}

/// Whether bytes are the encoding of a digest in that length, of which there is one: 0x00, 0x01, at
/// least eight bytes 0xff, 0x00, and the DigestInfo.
pub(crate) fn verify(digest: Digest, encoded: &[u8]) -> bool {
    let (bytes, prefix) = (digest.bytes(), digest.prefix());
    let parts = encoded
        .strip_suffix(bytes)
        .and_then(|rest| rest.strip_suffix(&prefix))
        .and_then(|rest| rest.strip_prefix(&[0, 1]))
        .and_then(|rest| rest.strip_suffix(&[0]));
    parts.is_some_and(|padding| padding.len() >= 8 && padding.iter().all(|byte| *byte == 0xff))
}
