//! What makes domain keys and signs their certificates, and what it makes.

use anonymous_domains_protocol::{
    ids::DomainName,
    jwk::{KeyType, PublicKey},
};
use zeroize::Zeroizing;

use crate::error::Error;

/// A key pair that was just made, with its certificate.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its type.
    pub key_type: KeyType,
    /// The private key, sealed.
    pub sealed: Vec<u8>,
    /// The certificate over the public key.
    pub certificate: NewCertificate,
}

/// A certificate that was just signed.
#[derive(Debug, Clone)]
pub struct NewCertificate {
    /// As DER.
    pub der: Vec<u8>,
    /// Its issuers up to the domain CA, as DER.
    pub chain: Vec<Vec<u8>>,
    /// From when it is good, in seconds since 1970.
    pub not_before_s: i64,
    /// Until when it is good, in seconds since 1970.
    pub not_after_s: i64,
}

/// What a certificate is to say.
#[derive(Debug, Clone, Copy)]
pub struct CertificateOrder<'a> {
    /// The domain's name.
    pub domain: &'a DomainName,
    /// The domain server URL, `{origin}/flashaccess/domainserver/{domain}/`.
    pub server_url: &'a str,
    /// The key version, from 1.
    pub version: u32,
    /// The time, in seconds since 1970.
    pub now_s: i64,
}

/// Makes domain keys and signs their certificates: the domain CA, or what a simulation puts in its
/// place.
pub trait Issuer {
    /// A new key pair, its private key sealed, and the certificate over it.
    ///
    /// # Errors
    /// A fault, when the settings do not do.
    fn make(&self, order: &CertificateOrder<'_>) -> Result<NewKey, Error>;

    /// A new certificate over the key of an old one.
    ///
    /// # Errors
    /// A fault, when the settings or the old certificate do not do.
    fn renew(&self, order: &CertificateOrder<'_>, old: &[u8]) -> Result<NewCertificate, Error>;

    /// Opens a sealed private key: the JSON text of a private JWK, without `kid` and `x5c`.
    ///
    /// # Errors
    /// A fault, when the key does not open.
    fn open(
        &self,
        domain: &DomainName,
        version: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error>;

    /// A JWK Set for one machine, as a compact JWE: one asymmetric operation, however many keys
    /// there are.
    ///
    /// # Errors
    /// A fault, when it cannot be encrypted.
    fn encrypt(
        &self,
        key_set: Zeroizing<Vec<u8>>,
        machine_key: &PublicKey,
    ) -> Result<String, Error>;

    /// Checks that what is signed now will be accepted, before anything is begun that needs it.
    ///
    /// # Errors
    /// A fault, when the domain CA's certificate is not in date.
    fn check(&self, now_s: i64) -> Result<(), Error>;

    /// From when on a certificate that is signed would be good until `not_after_s` at least, both
    /// in seconds since 1970; `None` if that time never comes.
    fn signs_until_from_s(&self, not_after_s: i64) -> Option<i64>;

    /// How long a key may be in the making before another request makes it, in milliseconds.
    fn takeover_ms(&self) -> u64;
}
