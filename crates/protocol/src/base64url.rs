//! Base64, strictly: no whitespace, exact padding, unused bits zero, so that each byte string has
//! exactly one text (RFC 4648 section 3.5).

use base64ct::{Base64, Base64UrlUnpadded, Encoding};

/// The text is not the canonical base64 of any byte string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64")]
pub struct InvalidBase64;

/// Encodes with the URL-safe alphabet and without padding, as JOSE does (RFC 7515 section 2).
pub fn encode(bytes: &[u8]) -> String {
    Base64UrlUnpadded::encode_string(bytes)
}

/// Decodes base64url without padding.
///
/// # Errors
///
/// [`InvalidBase64`] for padding, whitespace, another alphabet or non-zero unused bits.
pub fn decode(text: &str) -> Result<Vec<u8>, InvalidBase64> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| InvalidBase64)
}

/// Encodes with the standard alphabet and padding, as `x5c` does (RFC 7515 section 4.1.6).
pub fn encode_standard(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// Decodes standard base64 with padding.
///
/// # Errors
///
/// [`InvalidBase64`] for missing padding, whitespace, another alphabet or non-zero unused bits.
pub fn decode_standard(text: &str) -> Result<Vec<u8>, InvalidBase64> {
    Base64::decode_vec(text).map_err(|_| InvalidBase64)
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
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
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
        }
        for text in ["Zg", "Zh==", "Zg=", "-_8=", "Zg==\n", "Zm9v===="] {
            assert_eq!(decode_standard(text), Err(InvalidBase64), "{text:?}");
        }
    }
}
