//! What people want to know of a domain key's certificate.

use anonymous_domains_protocol::admin::DomainKeyDescription;
use base64ct::{Base64, Encoding as _};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Until when the key's certificate is good, and who issued it.
pub fn validity_and_issuer(key: &DomainKeyDescription) -> Option<(String, String)> {
    let der = Base64::decode_vec(key.x5c.first()?).ok()?;
    let certificate = Certificate::from_der(&der).ok()?;
    let certificate = certificate.tbs_certificate();
    Some((
        certificate.validity().not_after.to_date_time().to_string(),
        certificate.issuer().to_string(),
    ))
}
