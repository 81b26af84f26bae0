//! What people want to know about certificates.

use anonymous_domains_protocol::{admin::DomainKeyDescription, base64url, jwk::PublicKey};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

/// When the key's certificate expires, and who issued it.
pub fn validity_and_issuer(key: &DomainKeyDescription) -> Option<(String, String)> {
    let der = base64url::decode_standard(key.x5c.first()?).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let certificate = certificate.tbs_certificate();
    Some((
        certificate.validity().not_after.to_date_time().to_string(),
        certificate.issuer().to_string(),
    ))
}

/// What a CA's certificate is to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is the one that signs.
    Current,
    /// It is announced to replace the current one.
    Next,
    /// It is an issuer of one of those, or a former one.
    Other,
}

/// A CA's certificate.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CaCertificate {
    role: Role,
    subject: String,
    /// In hexadecimal digits.
    serial: String,
    key_type: String,
    not_before: String,
    not_after: String,
    /// The SHA-256 of the DER, in hexadecimal digits.
    sha256: String,
}

/// Describes certificates in PEM, of which the first has a role of its own; `None` where they are
/// none.
pub fn describe(pem: &[u8], first: Role) -> Option<Vec<CaCertificate>> {
    let certificates = Certificate::load_pem_chain(pem).ok()?;
    let roles = std::iter::once(first).chain(std::iter::repeat(Role::Other));
    certificates
        .iter()
        .zip(roles)
        .map(|(certificate, role)| CaCertificate::new(certificate, role))
        .collect()
}

impl CaCertificate {
    fn new(certificate: &Certificate, role: Role) -> Option<Self> {
        let tbs = certificate.tbs_certificate();
        let spki = tbs.subject_public_key_info().to_der().ok()?;
        let key_type = PublicKey::from_spki_der(&spki).ok();
        let key_type = key_type.and_then(|key| key.key_type());
        // An issuer's may be of any kind.
        let other = || tbs.subject_public_key_info().algorithm.oid.to_string();
        let key_type = key_type.map_or_else(other, |key_type| key_type.to_string());
        Some(Self {
            role,
            subject: tbs.subject().to_string(),
            serial: hex(tbs.serial_number().as_bytes()),
            key_type,
            not_before: tbs.validity().not_before.to_date_time().to_string(),
            not_after: tbs.validity().not_after.to_date_time().to_string(),
            sha256: hex(&Sha256::digest(certificate.to_der().ok()?)),
        })
    }

    /// A row of the table.
    pub fn cells(&self) -> [String; 7] {
        let role = match self.role {
            Role::Current => "current",
            Role::Next => "next",
            Role::Other => "",
        };
        [
            role.to_owned(),
            self.subject.clone(),
            self.serial.clone(),
            self.key_type.clone(),
            self.not_before.clone(),
            self.not_after.clone(),
            self.sha256.clone(),
        ]
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
