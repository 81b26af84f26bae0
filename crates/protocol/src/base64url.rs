//! Base64, strictly: no whitespace, exact padding, unused bits zero, so that each byte string has
//! exactly one text (RFC 4648 section 3.5).
//!
//! What may hold a secret goes through [`encode_secret`] and [`decode_secret`], which take the same
//! time for all bytes; the rest, which is the bulk, through tables, which are several times as fast.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use zeroize::Zeroizing;

/// The text is not the canonical base64 of any byte string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64")]
pub struct InvalidBase64;

/// Encodes with the URL-safe alphabet and without padding, as JOSE does (RFC 7515 section 2).
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Appends what [`encode`] gives to `text`.
pub fn encode_to(bytes: &[u8], text: &mut String) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// Decodes base64url without padding.
///
/// # Errors
///
/// [`InvalidBase64`] for padding, whitespace, another alphabet or non-zero unused bits.
pub fn decode(text: &str) -> Result<Vec<u8>, InvalidBase64> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidBase64)
}

/// [`encode`] in constant time.
pub fn encode_secret(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(Base64UrlUnpadded::encode_string(bytes))
}

/// [`decode`] in constant time.
///
/// # Errors
///
/// [`InvalidBase64`] as [`decode`].
pub fn decode_secret(text: &str) -> Result<Zeroizing<Vec<u8>>, InvalidBase64> {
    Base64UrlUnpadded::decode_vec(text)
        .map(Zeroizing::new)
        .map_err(|_| InvalidBase64)
}

/// Encodes with the standard alphabet and padding, as `x5c` does (RFC 7515 section 4.1.6).
pub fn encode_standard(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Appends what [`encode_standard`] gives to `text`.
pub fn encode_standard_to(bytes: &[u8], text: &mut String) {
    STANDARD.encode_string(bytes, text);
}

/// Decodes standard base64 with padding.
///
/// # Errors
///
/// [`InvalidBase64`] for missing padding, whitespace, another alphabet or non-zero unused bits.
pub fn decode_standard(text: &str) -> Result<Vec<u8>, InvalidBase64> {
    STANDARD.decode(text).map_err(|_| InvalidBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_vectors() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
        ] {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(*encode_secret(bytes.as_bytes()), text);
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
            assert_eq!(*decode_secret(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(encode(&[0xfb, 0xff]), "-_8");
        assert_eq!(encode_standard(&[0xfb, 0xff]), "+/8=");
    }

    #[test]
    fn only_the_canonical_text_is_accepted() {
        for text in [
            "Zg==", "Zh", "Zm9", "Z", "Zm9v\n", " Zm9v", "Zm 9v", "+/8", "Zm9v=", "Zé",
        ] {
            assert_eq!(decode(text), Err(InvalidBase64), "{text:?}");
            assert_eq!(decode_secret(text), Err(InvalidBase64), "{text:?}");
        }
        for text in ["Zg", "Zh==", "Zg=", "-_8=", "Zg==\n", "Zm9v===="] {
            assert_eq!(decode_standard(text), Err(InvalidBase64), "{text:?}");
        }
    }
}
