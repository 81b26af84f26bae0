//! Whether a private key that was opened and a certificate belong together.

use anonymous_domains_protocol::jwk::PublicKey;
use serde::Deserialize;
use serde_json::json;
use x509_cert::{Certificate, der::Decode};

use super::authority::{Bound, public_key, unix_s};

/// The public members of a private JWK. The others are not even copied.
#[derive(Deserialize)]
struct PublicMembers<'a> {
    kty: &'a str,
    n: Option<&'a str>,
    e: Option<&'a str>,
    crv: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
}

/// When a certificate is good, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when.
    pub not_before_s: i64,
    /// Until when.
    pub not_after_s: i64,
}

/// Checks that a certificate is over the public half of a private key, which is the text of a JWK;
/// tells when the certificate is good.
///
/// # Errors
/// What is wrong; never a member of the key.
pub fn check(private_jwk: &[u8], certificate: &[u8]) -> Result<Validity, &'static str> {
    let members: PublicMembers<'_> =
        serde_json::from_slice(private_jwk).map_err(|_| "the private key is no JWK")?;
    let jwk = match members.kty {
        "RSA" => json!({ "kty": "RSA", "n": members.n, "e": members.e }),
        _ => json!({ "kty": members.kty, "crv": members.crv, "x": members.x, "y": members.y }),
    };
    let key =
        PublicKey::from_jwk(&jwk).map_err(|_| "the private key is no JWK that can be used")?;
    let certificate =
        Certificate::from_der(certificate).map_err(|_| "the certificate cannot be read")?;
    let certified =
        public_key(&certificate).map_err(|_| "the certificate's public key cannot be read")?;
    if certified != key {
        return Err("the certificate is not over the private key's public half");
    }
    Ok(Validity {
        not_before_s: unix_s(&certificate, Bound::NotBefore),
        not_after_s: unix_s(&certificate, Bound::NotAfter),
    })
}
