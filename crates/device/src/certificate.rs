//! Checks of a domain credential's certificate: its path up to the domain CA, its profile, and its
//! dates.
//!
//! The path validation (RFC 5280 section 6) is webpki's. Here it is held to this protocol: the chain
//! is in order and has nothing that is not needed, only the protocol's extensions may be critical,
//! and issuers are checked for what webpki does not look at.

use anonymous_domains_path_validation::{ECDSA_P256_SHA256, RSA_PKCS1_SHA256};
use anonymous_domains_protocol::{ids::DomainName, jwk::PublicKey};
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, UnixTime};
use webpki::{Cert, EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, VerifiedPath};
use x509_cert::{
    Certificate,
    certificate::Version,
    der::{DateTime, Decode as _, Encode as _, asn1::ObjectIdentifier, oid::AssociatedOid},
    ext::pkix::{
        AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
        SubjectKeyIdentifier, name::GeneralName,
    },
};

/// The signatures that are accepted.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[ECDSA_P256_SHA256, RSA_PKCS1_SHA256];

/// Their names: ecdsa-with-SHA256 and sha256WithRSAEncryption.
const SIGNATURES: [ObjectIdentifier; 2] = [
    ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
];

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Critical extensions that are known; any other must be refused (RFC 5280 section 4.2).
const KNOWN_EXTENSIONS: [ObjectIdentifier; 6] = [
    BasicConstraints::OID,
    KeyUsage::OID,
    SubjectAltName::OID,
    SubjectKeyIdentifier::OID,
    AuthorityKeyIdentifier::OID,
    ExtendedKeyUsage::OID,
];

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// The chain is empty, or part of it is not a certificate.
    #[error("the certificate chain is malformed")]
    Malformed,
    /// A certificate is not issued by the next one.
    #[error("the certificate chain does not hold together")]
    BrokenChain,
    /// An issuer is not a CA, or may not issue at this position in the chain.
    #[error("a certificate of the chain may not issue others")]
    NotAnIssuer,
    /// A signature's algorithm is not supported.
    #[error(
        "a certificate is signed with {0}; only RSA and ECDSA on P-256 with SHA-256 are supported"
    )]
    UnsupportedSignature(ObjectIdentifier),
    /// A critical extension is unknown.
    #[error("a certificate has the critical extension {0}, which is unknown")]
    UnknownCriticalExtension(ObjectIdentifier),
    /// The chain does not end at a trusted CA certificate.
    #[error(
        "the chain does not end at the domain CA that this device trusts for the domain; --ca-file \
         names others, if the operator has them"
    )]
    UntrustedRoot,
    /// The certificate does not match the protocol's profile; the text names the part.
    #[error("the certificate's {0} does not match the protocol")]
    Profile(&'static str),
    /// The certificate is for another key than the private key.
    #[error("the private key does not fit the certificate")]
    WrongKey,
    /// A certificate is not valid yet.
    #[error("a certificate is not valid before {0}")]
    NotYetValid(String),
    /// A certificate has expired.
    #[error("a certificate expired at {0}")]
    Expired(String),
}

use CertificateFault::{BrokenChain, Malformed, NotAnIssuer, Profile, UntrustedRoot};

/// A credential's certificate and the chain up to the domain CA, the leaf first.
pub struct Chain {
    certificates: Vec<(Vec<u8>, Certificate)>,
}

impl Chain {
    /// Parses certificates in DER, the leaf first.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::Malformed`].
    pub fn parse(ders: Vec<Vec<u8>>) -> Result<Self, CertificateFault> {
        let certificates: Vec<_> = ders
            .into_iter()
            .map(|der| {
                let certificate = Certificate::from_der(&der).map_err(|_| Malformed)?;
                Ok((der, certificate))
            })
            .collect::<Result<_, _>>()?;
        if certificates.is_empty() {
            return Err(Malformed);
        }
        Ok(Self { certificates })
    }

    fn leaf(&self) -> &Certificate {
        &self.certificates[0].1
    }

    /// The last certificate in DER: the domain CA's, as the server presents it.
    pub fn last(&self) -> &[u8] {
        &self.certificates[self.certificates.len() - 1].0
    }

    /// Validates the path (RFC 5280 section 6): each certificate is signed by the next, issuers may
    /// issue, and the last one is one of `anchors` (DER) or is signed by one of them. The dates are
    /// for [`Chain::check_dates`].
    ///
    /// # Errors
    ///
    /// [`CertificateFault`].
    pub fn check_trust(&self, anchors: &[Vec<u8>]) -> Result<(), CertificateFault> {
        for (_, certificate) in &self.certificates {
            check_extensions(certificate)?;
        }
        let (_, above_leaf) = self.certificates.split_first().ok_or(Malformed)?;
        // The leaf is never its own anchor: it would have to be a CA.
        let anchor = above_leaf.iter().position(|(der, _)| anchors.contains(der));
        let intermediates = &above_leaf[..anchor.unwrap_or(above_leaf.len())];
        let issuers = &above_leaf[..anchor.map_or(above_leaf.len(), |anchor| anchor + 1)];
        for (below, (_, issuer)) in issuers.iter().enumerate() {
            check_issuer(issuer, below)?;
        }
        let anchors: Vec<CertificateDer<'_>> = anchors
            .iter()
            .filter(|der| {
                Certificate::from_der(der)
                    .is_ok_and(|anchor| check_issuer(&anchor, intermediates.len()).is_ok())
            })
            .map(|der| CertificateDer::from(der.as_slice()))
            .collect();
        self.check_path(intermediates, &anchors)
            .map_err(|error| match error {
                // If a trusted certificate ends the chain, a link below it is missing.
                webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
                    match anchor {
                        Some(_) => BrokenChain,
                        None => UntrustedRoot,
                    }
                }
                error => self.fault(&error),
            })
    }

    /// Has webpki find the path from the leaf over all of `intermediates`, in this order, to one of
    /// `anchors`.
    fn check_path(
        &self,
        intermediates: &[(Vec<u8>, Certificate)],
        anchors: &[CertificateDer<'_>],
    ) -> Result<(), webpki::Error> {
        let anchors: Vec<_> = anchors
            .iter()
            .filter_map(|der| webpki::anchor_from_trusted_cert(der).ok())
            .collect();
        let intermediates: Vec<CertificateDer<'_>> = intermediates
            .iter()
            .map(|(der, _)| CertificateDer::from(der.as_slice()))
            .collect();
        let is_whole_chain = |path: &VerifiedPath<'_>| {
            let used = path.intermediate_certificates().map(Cert::der);
            match used.eq(intermediates.iter().cloned()) {
                true => Ok(()),
                false => Err(webpki::Error::UnknownIssuer),
            }
        };
        let leaf = CertificateDer::from(self.certificates[0].0.as_slice());
        EndEntityCert::try_from(&leaf)?
            .verify_for_usage(
                ALGORITHMS,
                &anchors,
                &intermediates,
                self.start_of_validity(intermediates.len()),
                AnyUsage,
                None,
                Some(&is_whole_chain),
            )
            .map(drop)
    }

    /// When the leaf and so many certificates above it have all become valid: the best time for a
    /// path validation in which dates should not matter.
    fn start_of_validity(&self, above_leaf: usize) -> UnixTime {
        let starts = self.certificates[..=above_leaf].iter().map(|(_, one)| {
            let validity = one.tbs_certificate().validity();
            validity.not_before.to_unix_duration()
        });
        UnixTime::since_unix_epoch(starts.max().unwrap_or_default())
    }

    /// What a failed path validation means.
    fn fault(&self, error: &webpki::Error) -> CertificateFault {
        match error {
            webpki::Error::CaUsedAsEndEntity => Profile("basic constraints"),
            webpki::Error::UnsupportedCertVersion => Profile("version"),
            webpki::Error::EndEntityUsedAsCa | webpki::Error::PathLenConstraintViolated => {
                NotAnIssuer
            }
            webpki::Error::UnsupportedSignatureAlgorithmContext(_) => self
                .certificates
                .iter()
                .map(|(_, certificate)| certificate.signature_algorithm().oid)
                .find(|oid| !SIGNATURES.contains(oid))
                .map_or(Malformed, CertificateFault::UnsupportedSignature),
            webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
            | webpki::Error::NameConstraintViolation
            | webpki::Error::CertExpired { .. } => BrokenChain,
            _ => Malformed,
        }
    }

    /// From when to when the leaf is valid.
    pub fn leaf_dates(&self) -> [DateTime; 2] {
        let validity = self.leaf().tbs_certificate().validity();
        [validity.not_before, validity.not_after].map(|time| time.to_date_time())
    }

    /// Checks the leaf against the protocol's profile for version `key_version` of `domain`'s key,
    /// whose public half is `key`.
    ///
    /// The origin in the SAN URI is the server's name for itself, which may differ from the one
    /// that a device uses: only the domain and the version are compared.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::Profile`] or [`CertificateFault::WrongKey`].
    pub fn check_leaf(
        &self,
        domain: &DomainName,
        key_version: u64,
        key: &PublicKey,
    ) -> Result<(), CertificateFault> {
        let tbs = self.leaf().tbs_certificate();
        if tbs.version() != Version::V3 {
            return Err(Profile("version"));
        }
        let serial = tbs.serial_number().as_bytes();
        if serial.first().is_none_or(|first| first & 0x80 != 0) || serial == [0] {
            return Err(Profile("serial number"));
        }
        if common_name(self.leaf()).as_deref() != Some(domain.as_str()) {
            return Err(Profile("subject"));
        }
        if !has_san(self.leaf(), domain, key_version) {
            return Err(Profile("subject alternative name"));
        }
        match extension::<BasicConstraints>(self.leaf())? {
            Some((true, constraints)) if !constraints.ca => {}
            _ => return Err(Profile("basic constraints")),
        }
        match extension::<KeyUsage>(self.leaf())? {
            Some((true, usage)) if !usage.key_cert_sign() => {}
            _ => return Err(Profile("key usage")),
        }
        if extension::<SubjectKeyIdentifier>(self.leaf())?.is_none() {
            return Err(Profile("subject key identifier"));
        }
        if extension::<AuthorityKeyIdentifier>(self.leaf())?.is_none() {
            return Err(Profile("authority key identifier"));
        }
        if subject_key(self.leaf()).as_ref() != Some(key) {
            return Err(CertificateFault::WrongKey);
        }
        Ok(())
    }

    /// Checks that every certificate of the chain is valid at `unix_seconds`.
    ///
    /// # Errors
    ///
    /// [`CertificateFault::NotYetValid`] or [`CertificateFault::Expired`].
    pub fn check_dates(&self, unix_seconds: u64) -> Result<(), CertificateFault> {
        for (_, certificate) in &self.certificates {
            let validity = certificate.tbs_certificate().validity();
            if unix_seconds < validity.not_before.to_unix_duration().as_secs() {
                return Err(CertificateFault::NotYetValid(
                    validity.not_before.to_string(),
                ));
            }
            if unix_seconds > validity.not_after.to_unix_duration().as_secs() {
                return Err(CertificateFault::Expired(validity.not_after.to_string()));
            }
        }
        Ok(())
    }
}

/// Checks that `issuer` may issue certificates with so many intermediate ones `below` it, and that
/// its key is one that this protocol supports. webpki checks neither the key usage nor the
/// constraints of a trust anchor.
fn check_issuer(issuer: &Certificate, below: usize) -> Result<(), CertificateFault> {
    let Some((_, constraints)) = extension::<BasicConstraints>(issuer)? else {
        return Err(NotAnIssuer);
    };
    let too_deep = constraints
        .path_len_constraint
        .is_some_and(|length| below > usize::from(length));
    let may_sign = extension::<KeyUsage>(issuer)?.is_none_or(|(_, usage)| usage.key_cert_sign());
    if constraints.ca && !too_deep && may_sign && subject_key(issuer).is_some() {
        Ok(())
    } else {
        Err(NotAnIssuer)
    }
}

/// Accepts every extended key usage, because the protocol's certificates have none.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _present: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

fn check_extensions(certificate: &Certificate) -> Result<(), CertificateFault> {
    let unknown = certificate
        .tbs_certificate()
        .extensions()
        .into_iter()
        .flatten()
        .find(|extension| extension.critical && !KNOWN_EXTENSIONS.contains(&extension.extn_id));
    match unknown {
        Some(extension) => Err(CertificateFault::UnknownCriticalExtension(
            extension.extn_id,
        )),
        None => Ok(()),
    }
}

/// An extension and whether it is critical.
fn extension<T>(certificate: &Certificate) -> Result<Option<(bool, T)>, CertificateFault>
where
    T: for<'a> x509_cert::der::Decode<'a> + AssociatedOid,
{
    certificate
        .tbs_certificate()
        .get_extension::<T>()
        .map_err(|_| Malformed)
}

fn subject_key(certificate: &Certificate) -> Option<PublicKey> {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    PublicKey::from_spki_der(&spki.to_der().ok()?).ok()
}

/// The subject's only attribute, if it is a common name.
fn common_name(certificate: &Certificate) -> Option<String> {
    let subject = certificate.tbs_certificate().subject();
    let mut attributes = subject.iter();
    let attribute = attributes.next()?;
    if attributes.next().is_some() || attribute.oid != COMMON_NAME {
        return None;
    }
    // PrintableString and UTF8String hold a domain's name as the same octets.
    String::from_utf8(attribute.value.value().to_vec()).ok()
}

/// Whether a SAN URI is a domain server URL of `domain` with the fragment `v{key_version}`.
fn has_san(certificate: &Certificate, domain: &DomainName, key_version: u64) -> bool {
    let Ok(Some((_, names))) = extension::<SubjectAltName>(certificate) else {
        return false;
    };
    names.0.iter().any(|name| {
        let GeneralName::UniformResourceIdentifier(uri) = name else {
            return false;
        };
        uri.as_str()
            .strip_suffix(&format!("#v{key_version}"))
            .map(|url| url.trim_end_matches('/'))
            .and_then(|url| url.rsplit_once('/'))
            .is_some_and(|(_, segment)| segment == domain.as_str())
    })
}
