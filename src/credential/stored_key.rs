//! What a key that was stored must be: whether its private half and its certificate belong together,
//! and who vouches for the certificate.

use std::time::Duration;

use anonymous_domains_path_validation as algorithms;
use anonymous_domains_protocol::jwk::PublicKey;
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::Deserialize;
use serde_json::json;
use webpki::{EndEntityCert, KeyUsage};
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

/// `id-kp-clientAuth` (RFC 5280 section 4.2.1.12), as the content of its DER. Domain certificates say
/// nothing of what they are for, and then any usage will do.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// Whether a certificate, the first of `x5c`, chains to one of these CAs, in DER (RFC 5280 section 6),
/// as of this time, in seconds since 1970.
pub fn chains_to<'a>(cas: impl Iterator<Item = &'a [u8]>, x5c: &[&[u8]], at_s: i64) -> bool {
    let Some((leaf, issuers)) = x5c.split_first() else {
        return false;
    };
    let cas: Vec<CertificateDer<'_>> = cas.map(CertificateDer::from).collect();
    let anchors: Vec<_> = cas
        .iter()
        .filter_map(|ca| webpki::anchor_from_trusted_cert(ca).ok())
        .collect();
    let issuers: Vec<CertificateDer<'_>> = issuers
        .iter()
        .map(|der| CertificateDer::from(*der))
        .collect();
    let leaf = CertificateDer::from(*leaf);
    let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s.max(0).unsigned_abs()));
    let usage = KeyUsage::required_if_present(CLIENT_AUTH);
    EndEntityCert::try_from(&leaf).is_ok_and(|leaf| {
        leaf.verify_for_usage(algorithms::ALL, &anchors, &issuers, at, usage, None, None)
            .is_ok()
    })
}
