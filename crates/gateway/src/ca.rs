//! Creates the domain CA if none is configured.

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use time::{Duration, OffsetDateTime};
use x509_cert::Certificate;
use zeroize::Zeroizing;

/// How long the CA's certificate is valid, in days: ten years.
const VALIDITY_DAYS: i64 = 3653;

/// How far in the past its validity begins: devices' clocks may be slow.
const BACKDATED: Duration = Duration::hours(1);

/// When the first of some certificates in PEM ends, in seconds since 1970. `None` if there is none.
pub fn expiry_s(certificates: &str) -> Option<i64> {
    let certificates = Certificate::load_pem_chain(certificates.as_bytes()).ok()?;
    let validity = certificates.first()?.tbs_certificate().validity();
    i64::try_from(validity.not_after.to_unix_duration().as_secs()).ok()
}

/// A certification authority: a self-signed certificate and its key, in PEM without a
/// line break at the end.
pub struct DomainCa {
    /// The certificate (X.509 v3, RFC 5280).
    pub certificate: String,
    /// The private key (PKCS #8).
    pub private_key: Zeroizing<String>,
}

impl DomainCa {
    /// Creates an EC P-256 key and a certificate for it that may sign end-entity certificates, but no
    /// intermediate CAs.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn generate() -> anyhow::Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).context("cannot make a key")?;
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).context("cannot make a serial number")?;
        // Always positive, and always 127 bits long (RFC 5280 section 4.1.2.2).
        serial[0] = serial[0] & 0x7f | 0x40;
        let now = OffsetDateTime::now_utc();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Domain CA");

        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = now - BACKDATED;
        params.not_after = now + Duration::days(VALIDITY_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params
            .self_signed(&key)
            .context("cannot sign the certificate")?;
        Ok(Self {
            certificate: certificate.pem().trim_end().to_owned(),
            private_key: Zeroizing::new(Zeroizing::new(key.serialize_pem()).trim_end().to_owned()),
        })
    }
}
