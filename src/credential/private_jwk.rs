//! Private keys as JSON, in memory that is wiped.

use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use crate::error::Error;

/// A private JWK with the `kid` of its credential, as JSON.
///
/// The `kid` alone ties the two: the certificates are in the credential, which stands in the same
/// answer, and would be most of what is encrypted.
pub(super) struct PrivateJwk(Zeroizing<Vec<u8>>);

impl PrivateJwk {
    /// Takes what was sealed, the JSON of a private JWK without `kid`.
    ///
    /// # Errors
    /// A fault, when it is no JSON object with members.
    pub(super) fn new(jwk: &[u8], kid: &str) -> Result<Self, Error> {
        let unreadable = || Error::fault("a sealed domain key is not a JWK");
        let members = jwk.strip_prefix(b"{").ok_or_else(unreadable)?;
        // A `kid` is a domain's name and a number: nothing in it is escaped.
        let jwk = Self(concat(&[b"{\"kid\":\"", kid.as_bytes(), b"\",", members]));
        match serde_json::from_slice::<IgnoredAny>(&jwk.0) {
            Ok(_) => Ok(jwk),
            Err(_) => Err(unreadable()),
        }
    }
}

/// The text of a JWK Set (RFC 7517 section 5).
pub(super) fn key_set<'a>(keys: impl IntoIterator<Item = &'a PrivateJwk>) -> Zeroizing<Vec<u8>> {
    let mut parts: Vec<&[u8]> = vec![b"{\"keys\":["];
    for (nth, key) in keys.into_iter().enumerate() {
        let between: &[u8] = if nth == 0 { b"" } else { b"," };
        parts.extend([between, &key.0]);
    }
    parts.push(b"]}");
    concat(&parts)
}

/// Puts a text together in one allocation, so that nothing of it stays behind in another.
fn concat(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(parts.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_set_has_what_was_sealed_and_the_names() {
        let sealed = br#"{"kty":"EC","d":"c2VjcmV0"}"#;
        let keys = ["attic/1", "attic/2"].map(|kid| PrivateJwk::new(sealed, kid).unwrap());
        assert_eq!(
            std::str::from_utf8(&key_set(&keys)).unwrap(),
            r#"{"keys":[{"kid":"attic/1","kty":"EC","d":"c2VjcmV0"},"#.to_owned()
                + r#"{"kid":"attic/2","kty":"EC","d":"c2VjcmV0"}]}"#
        );
        assert_eq!(*key_set([]), br#"{"keys":[]}"#);
    }

    #[test]
    fn what_is_no_object_is_no_jwk() {
        for sealed in [
            &b"[]"[..],
            b"{",
            b"{}",
            b"\"kty\"",
            b"{\"kty\":1}}",
            b"\xff",
            b"",
        ] {
            assert!(PrivateJwk::new(sealed, "attic/1").is_err());
        }
    }
}
