//! The X.509 certificate over a domain's key (RFC 5280).

use anonymous_domains_protocol::jwk::{PrivateKey, PublicKey};
use getrandom::{SysRng, rand_core::UnwrapErr};
use rsa::pkcs1v15;
use sha2::{Digest, Sha256};
use x509_cert::{
    Certificate, TbsCertificate,
    attr::AttributeTypeAndValue,
    builder::{Builder, CertificateBuilder, Result as BuilderResult, profile::BuilderProfile},
    der::{
        DateTime, Decode, Encode, Tag,
        asn1::{Any, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString},
        oid::AssociatedOid,
    },
    ext::{
        Extension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectAltName,
            SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::{Name, RdnSequence, RelativeDistinguishedName},
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use super::ecdsa::{EcdsaSignature, EcdsaSigner};
use crate::{error::Error, issuer::CertificateOrder};

/// The length of a key identifier, in bytes (RFC 7093, method 1).
const KEY_ID_LEN: usize = 20;

/// The attribute type `id-at-commonName` (RFC 5280 appendix A.1).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Signs a certificate over a domain key: `CN={domain}`, SAN URI `{domain server URL}#v{version}`.
/// `ca_key` has both halves of the CA's key.
///
/// # Errors
/// A fault, when the CA's certificate or key does not do.
pub fn sign(
    ca: &Certificate,
    (ca_key, ca_public): (&PrivateKey, &PublicKey),
    key: &PublicKey,
    order: &CertificateOrder<'_>,
    not_before_s: i64,
    not_after_s: i64,
) -> Result<Vec<u8>, Error> {
    let unsignable = |what: &dyn std::fmt::Display| {
        Error::fault(format!("a domain certificate cannot be made: {what}"))
    };
    let subject = common_name(order.domain.as_str()).map_err(|error| unsignable(&error))?;
    let profile = DomainCredential {
        issuer: ca.tbs_certificate().subject().clone(),
        subject,
        uri: format!("{}#v{}", order.server_url, order.version),
        authority_key_id: subject_key_id(ca).map_err(|error| unsignable(&error))?,
        usages: usages(key),
    };
    let validity = Validity::new(
        time(not_before_s).map_err(|error| unsignable(&error))?,
        time(not_after_s).map_err(|error| unsignable(&error))?,
    );
    let mut rng = UnwrapErr(SysRng);
    let spki = SubjectPublicKeyInfoOwned::from_der(&key.to_spki_der())
        .map_err(|error| unsignable(&error))?;
    let builder =
        CertificateBuilder::new(profile, SerialNumber::generate(&mut rng), validity, spki)
            .map_err(|error| unsignable(&error))?;
    let certificate = match ca_key {
        PrivateKey::P256(key) => {
            builder.build::<_, EcdsaSignature>(&EcdsaSigner::new(key, ca_public))
        }
        // With randomness, so that the private-key operation is blinded.
        PrivateKey::Rsa(key) => builder.build_with_rng::<_, pkcs1v15::Signature, _>(
            &pkcs1v15::SigningKey::<Sha256>::new((**key).clone()),
            &mut rng,
        ),
    };
    certificate
        .map_err(|error| unsignable(&error))?
        .to_der()
        .map_err(|error| unsignable(&error))
}

/// The domain server URL that a certificate of a version names.
pub fn server_url(certificate: &Certificate, version: u32) -> Option<String> {
    let (_, SubjectAltName(names)) = certificate.tbs_certificate().get_extension().ok()??;
    names.iter().find_map(|name| match name {
        GeneralName::UniformResourceIdentifier(uri) => uri
            .as_str()
            .strip_suffix(&format!("#v{version}"))
            .map(str::to_owned),
        _ => None,
    })
}

/// `CN={name}`. Put together rather than read from text: the reader knows every attribute by name,
/// which makes the component larger by their table.
fn common_name(name: &str) -> x509_cert::der::Result<Name> {
    let mut relative = RelativeDistinguishedName::default();
    relative.insert(AttributeTypeAndValue {
        oid: COMMON_NAME,
        value: Any::new(Tag::Utf8String, name.as_bytes())?,
    })?;
    let mut sequence = RdnSequence::default();
    sequence.push(relative);
    Name::from_der(&sequence.to_der()?)
}

/// What a domain key is for: encrypting content keys to it, and proving that one holds it.
fn usages(key: &PublicKey) -> UsageFlags {
    match key {
        PublicKey::Rsa(_) => KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment,
        PublicKey::P256(_) => KeyUsages::DigitalSignature | KeyUsages::KeyAgreement,
    }
}

type UsageFlags = x509_cert::der::flagset::FlagSet<KeyUsages>;

/// The profile of a domain credential's certificate.
struct DomainCredential {
    issuer: Name,
    subject: Name,
    uri: String,
    authority_key_id: SubjectKeyIdentifier,
    usages: UsageFlags,
}

impl BuilderProfile for DomainCredential {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        spk: SubjectPublicKeyInfoRef<'_>,
        _issuer_spk: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> BuilderResult<Vec<Extension>> {
        let not_a_ca = BasicConstraints {
            ca: false,
            path_len_constraint: None,
        };
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(self.authority_key_id.0.clone()),
            ..Default::default()
        };
        let uri = GeneralName::UniformResourceIdentifier(Ia5String::new(&self.uri)?);
        Ok(vec![
            extension(true, &not_a_ca)?,
            extension(true, &KeyUsage(self.usages))?,
            extension(false, &key_id(spk.subject_public_key.raw_bytes())?)?,
            extension(false, &authority)?,
            extension(false, &SubjectAltName(vec![uri]))?,
        ])
    }
}

fn extension<T: Encode + AssociatedOid>(
    critical: bool,
    value: &T,
) -> x509_cert::der::Result<Extension> {
    Ok(Extension {
        extn_id: T::OID,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

/// The certificate's own key identifier, or the one that its key would get.
fn subject_key_id(certificate: &Certificate) -> x509_cert::der::Result<SubjectKeyIdentifier> {
    let tbs = certificate.tbs_certificate();
    match tbs.get_extension::<SubjectKeyIdentifier>()? {
        Some((_, id)) => Ok(id),
        None => key_id(tbs.subject_public_key_info().subject_public_key.raw_bytes()),
    }
}

/// A key identifier by RFC 7093, method 1: the leftmost 160 bits of the SHA-256 of the key's bits.
fn key_id(key_bits: &[u8]) -> x509_cert::der::Result<SubjectKeyIdentifier> {
    let digest = Sha256::digest(key_bits);
    Ok(SubjectKeyIdentifier(OctetString::new(
        &digest[..KEY_ID_LEN],
    )?))
}

fn time(unix_s: i64) -> x509_cert::der::Result<Time> {
    let since_1970 = std::time::Duration::from_secs(unix_s.max(0).unsigned_abs());
    let time = GeneralizedTime::from_date_time(DateTime::from_unix_duration(since_1970)?);
    Ok(Time::GeneralTime(time))
}
