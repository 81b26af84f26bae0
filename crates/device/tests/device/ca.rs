//! A domain CA for the tests.

use anonymous_domains_protocol::base64url;
use anonymous_domains_protocol::jwk::{KeyType, PrivateKey, PublicKey};
use p256::ecdsa::{DerSignature, SigningKey};
use std::time::Duration;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::{Decode as _, Encode as _, flagset::FlagSet};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

pub struct Ca {
    key: SigningKey,
    name: Name,
    pub certificate: Vec<u8>,
}

/// What a leaf may have wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flaw {
    IsCa,
    NoKeyUsage,
    MaySignCertificates,
    OtherName,
    OtherSan,
    OtherVersionInSan,
    Expired,
}

struct Profile {
    issuer: Name,
    subject: Name,
    ca: bool,
    key_usage: Option<FlagSet<KeyUsages>>,
    san: Option<String>,
}

impl BuilderProfile for Profile {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        spki: SubjectPublicKeyInfoRef<'_>,
        issuer_spki: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let subject = tbs.subject();
        let mut extensions: Vec<Extension> = Vec::new();
        let constraints = BasicConstraints {
            ca: self.ca,
            path_len_constraint: None,
        };
        extensions.push(constraints.to_extension(subject, &extensions)?);
        if let Some(usage) = self.key_usage {
            extensions.push(KeyUsage(usage).to_extension(subject, &extensions)?);
        }
        if let Some(uri) = &self.san {
            let name = GeneralName::UniformResourceIdentifier(Ia5String::new(uri)?);
            extensions.push(SubjectAltName(vec![name]).to_extension(subject, &extensions)?);
        }
        let ski = SubjectKeyIdentifier(OctetString::new(identifier(&spki))?);
        extensions.push(ski.to_extension(subject, &extensions)?);
        let aki = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(identifier(&issuer_spki))?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        extensions.push(aki.to_extension(subject, &extensions)?);
        Ok(extensions)
    }
}

fn identifier(spki: &SubjectPublicKeyInfoRef<'_>) -> Vec<u8> {
    let bits = spki.subject_public_key.raw_bytes();
    bits[bits.len() - 20..].to_vec()
}

impl Ca {
    pub fn new() -> Self {
        let PrivateKey::P256(secret) = PrivateKey::generate(KeyType::EcP256) else {
            panic!("not on P-256");
        };
        let public = PublicKey::P256(secret.public_key());
        let key = SigningKey::from(secret);
        let name: Name = "CN=Domain CA of the tests".parse().unwrap();
        let profile = Profile {
            issuer: name.clone(),
            subject: name.clone(),
            ca: true,
            key_usage: Some(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            san: None,
        };
        let certificate = issue(&key, profile, &public, Duration::from_secs(86_400));
        Self {
            key,
            name,
            certificate,
        }
    }

    /// `x5c` of a credential over `key`.
    pub fn credential(
        &self,
        url: &str,
        domain: &str,
        version: u64,
        key: &PublicKey,
        flaw: Option<Flaw>,
    ) -> Vec<String> {
        let flawed = |other| flaw == Some(other);
        let cn = if flawed(Flaw::OtherName) {
            "other"
        } else {
            domain
        };
        let san = match flaw {
            Some(Flaw::OtherSan) => format!("{url}other/#v{version}"),
            Some(Flaw::OtherVersionInSan) => format!("{url}#v{}", version + 1),
            _ => format!("{url}#v{version}"),
        };
        let profile = Profile {
            issuer: self.name.clone(),
            subject: format!("CN={cn}").parse().unwrap(),
            ca: flawed(Flaw::IsCa),
            key_usage: match flaw {
                Some(Flaw::NoKeyUsage) => None,
                Some(Flaw::MaySignCertificates) => Some(KeyUsages::KeyCertSign.into()),
                _ => Some(KeyUsages::DigitalSignature | KeyUsages::KeyAgreement),
            },
            san: Some(san),
        };
        let lifetime = match flawed(Flaw::Expired) {
            true => Duration::ZERO,
            false => Duration::from_secs(86_400),
        };
        let leaf = issue(&self.key, profile, key, lifetime);
        [leaf, self.certificate.clone()]
            .map(|der| base64url::encode_standard(&der))
            .into()
    }
}

/// A certificate that began an hour ago; one without a lifetime ended then too.
fn issue(signer: &SigningKey, profile: Profile, key: &PublicKey, lifetime: Duration) -> Vec<u8> {
    let began = std::time::SystemTime::now() - Duration::from_secs(3600);
    let ends = match lifetime.is_zero() {
        true => began + Duration::from_secs(1),
        false => began + lifetime,
    };
    let validity = Validity::new(began.try_into().unwrap(), ends.try_into().unwrap());
    let spki = SubjectPublicKeyInfo::from_der(&key.to_spki_der()).unwrap();
    CertificateBuilder::new(profile, SerialNumber::from(4711_u32), validity, spki)
        .unwrap()
        .build::<_, DerSignature>(signer)
        .unwrap()
        .to_der()
        .unwrap()
}
