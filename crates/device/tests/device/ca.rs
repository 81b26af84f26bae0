//! A domain CA for the tests.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anonymous_domains_protocol::{
    base64url,
    jwk::{KeyType, PrivateKey, PublicKey},
};
use p256::ecdsa::{DerSignature, SigningKey};
use x509_cert::{
    builder::{Builder, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{
        Decode as _, Encode as _,
        asn1::{Ia5String, OctetString},
        flagset::FlagSet,
    },
    ext::{
        Extension, ToExtension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, KeyUsage, KeyUsages, SubjectAltName,
            SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{EncodePublicKey as _, SubjectPublicKeyInfo, SubjectPublicKeyInfoRef},
    time::Validity,
};

pub struct Ca {
    key: SigningKey,
    name: Name,
    pub certificate: Vec<u8>,
}

/// A flaw of a leaf certificate.
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
    path_length: Option<u8>,
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
            path_len_constraint: self.path_length,
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

fn key_pair() -> (SigningKey, PublicKey) {
    let PrivateKey::P256(secret) = PrivateKey::generate(KeyType::EcP256) else {
        panic!("not on P-256");
    };
    let public = PublicKey::P256(secret.public_key());
    let key = SigningKey::from_slice(&*secret.to_bytes()).unwrap();
    (key, public)
}

impl Ca {
    pub fn new() -> Self {
        Self::with_path_length(None)
    }

    pub fn with_path_length(path_length: Option<u8>) -> Self {
        let (key, public) = key_pair();
        Self::self_signed(key, &public, path_length)
    }

    /// This CA with another certificate over the same key.
    pub fn renewed(&self) -> Self {
        let public = self.key.verifying_key().to_public_key_der().unwrap();
        let public = PublicKey::from_spki_der(public.as_bytes()).unwrap();
        Self::self_signed(self.key.clone(), &public, None)
    }

    fn self_signed(key: SigningKey, public: &PublicKey, path_length: Option<u8>) -> Self {
        let name: Name = "CN=Domain CA of the tests".parse().unwrap();
        let profile = Profile {
            issuer: name.clone(),
            subject: name.clone(),
            ca: true,
            path_length,
            key_usage: Some(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            san: None,
        };
        let certificate = issue(&key, profile, public, Duration::from_secs(86_400));
        Self {
            key,
            name,
            certificate,
        }
    }

    /// An intermediate CA below this one.
    pub fn intermediate(&self, ca: bool, key_usage: KeyUsages) -> Self {
        let (key, public) = key_pair();
        let name: Name = "CN=Intermediate CA of the tests".parse().unwrap();
        let profile = Profile {
            issuer: self.name.clone(),
            subject: name.clone(),
            ca,
            path_length: None,
            key_usage: Some(key_usage.into()),
            san: None,
        };
        let certificate = issue(&self.key, profile, &public, Duration::from_secs(86_400));
        Self {
            key,
            name,
            certificate,
        }
    }

    /// A leaf in DER.
    pub fn leaf(&self) -> Vec<u8> {
        let (_, public) = key_pair();
        let x5c = self.credential("http://example.org/a/", "a", 1, &public, None);
        base64url::decode_standard(&x5c[0]).unwrap()
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
            path_length: None,
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

/// A certificate that became valid an hour ago; with a lifetime of zero, it has expired.
fn issue(signer: &SigningKey, profile: Profile, key: &PublicKey, lifetime: Duration) -> Vec<u8> {
    let began = std::time::SystemTime::now() - Duration::from_secs(3600);
    let ends = match lifetime.is_zero() {
        true => began + Duration::from_secs(1),
        false => began + lifetime,
    };
    let validity = Validity::new(began.try_into().unwrap(), ends.try_into().unwrap());
    let spki = SubjectPublicKeyInfo::from_der(&key.to_spki_der()).unwrap();
    static SERIAL: AtomicU32 = AtomicU32::new(4711);
    let serial = SerialNumber::from(SERIAL.fetch_add(1, Ordering::Relaxed));
    CertificateBuilder::new(profile, serial, validity, spki)
        .unwrap()
        .build::<_, DerSignature>(signer)
        .unwrap()
        .to_der()
        .unwrap()
}
