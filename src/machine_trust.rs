//! Machine certificates: who vouches for a machine, where the operator wants that.
//!
//! Path validation (RFC 5280 section 6) is webpki's; this gives it the signature algorithms, and
//! checks what it cannot know: that the certificate is this machine's.

use std::time::Duration;

use anonymous_domains_path_validation as algorithms;
use anonymous_domains_protocol::{ids::MachineGuid, problem::ErrorName};
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::{credential::pem, error::Error};

/// `id-kp-clientAuth` (RFC 5280 section 4.2.1.12): what a machine's certificate must be for, where
/// it says what it is for. 1.3.6.1.5.5.7.3.2, as the content of its DER.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// Whose machine certificates are trusted.
#[derive(Debug, Clone)]
pub struct TrustAnchors(Vec<TrustAnchor<'static>>);

impl TrustAnchors {
    /// Takes certificates in PEM.
    ///
    /// # Errors
    /// What is wrong with the setting, for the operator.
    pub fn from_pem(pem: &str) -> Result<Self, String> {
        let unusable = |error: &dyn std::fmt::Display| {
            format!("machine_trust_anchors holds no certificates in PEM: {error}")
        };
        let certificates = pem::certificates(pem).map_err(|error| unusable(&error))?;
        let anchors = certificates
            .into_iter()
            .map(|der| {
                let der = CertificateDer::from(der);
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|e| unusable(&e))?;
                Ok(anchor.to_owned())
            })
            .collect::<Result<_, String>>()?;
        Ok(Self(anchors))
    }

    /// Checks that a certificate, the first of `x5c`, chains to an anchor, is in date, and carries
    /// the machine's GUID as SAN URI `urn:uuid:...`.
    ///
    /// # Errors
    /// `MACHINE_NOT_TRUSTED`.
    pub fn check(
        &self,
        x5c: Option<&[Vec<u8>]>,
        guid: MachineGuid,
        now_s: i64,
    ) -> Result<(), Error> {
        let untrusted = |why: &'static str| Error::refused(ErrorName::MachineNotTrusted, why);
        let Some([leaf, issuers @ ..]) = x5c else {
            return Err(untrusted("the server requires a machine certificate (x5c)"));
        };
        let issuers: Vec<CertificateDer<'_>> = issuers
            .iter()
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        let der = CertificateDer::from(leaf.as_slice());
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s.max(0).unsigned_abs()));
        EndEntityCert::try_from(&der)
            .and_then(|certificate| {
                certificate.verify_for_usage(
                    algorithms::ALL,
                    &self.0,
                    &issuers,
                    now,
                    KeyUsage::required_if_present(CLIENT_AUTH),
                    None,
                    None,
                )?;
                Ok(())
            })
            .map_err(|error| match error {
                webpki::Error::CertExpired { .. } => {
                    untrusted("the machine certificate or one above it has expired")
                }
                webpki::Error::CertNotValidYet { .. } => {
                    untrusted("the machine certificate or one above it is not valid yet")
                }
                _ => untrusted("the machine certificate does not chain to a trusted one"),
            })?;
        if !carries(leaf, guid) {
            return Err(untrusted("the machine certificate is for another GUID"));
        }
        Ok(())
    }
}

fn carries(leaf: &[u8], guid: MachineGuid) -> bool {
    let expected = format!("urn:uuid:{guid}");
    Certificate::from_der(leaf)
        .and_then(|leaf| leaf.tbs_certificate().get_extension::<SubjectAltName>())
        .ok()
        .flatten()
        .is_some_and(|(_, names)| {
            names.0.iter().any(|name| match name {
                GeneralName::UniformResourceIdentifier(uri) => {
                    uri.as_str().eq_ignore_ascii_case(&expected)
                }
                _ => false,
            })
        })
}
