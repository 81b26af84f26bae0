//! What people want to know about a domain key's certificate.

use anonymous_domains_protocol::{admin::DomainKeyDescription, base64url};
use x509_cert::{Certificate, der::Decode as _};

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
