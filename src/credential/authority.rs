//! The domain CA: the key pair that every domain credential is signed with.

use anonymous_domains_protocol::{
    ids::DomainName,
    jwe,
    jwk::{KeyType, PrivateKey, PublicKey},
    response::KEY_SET_CONTENT_TYPE,
};
use x509_cert::{
    Certificate, TbsCertificate,
    der::{Decode, Encode},
    ext::pkix::{BasicConstraints, KeyUsage},
};
use zeroize::Zeroizing;

use super::{at_rest::Vault, ca_key::CaKey, certificate, pem};
use crate::{
    error::Error,
    issuer::{CertificateOrder, Issuer, KeyDigest, NewCertificate, NewKey},
};

/// How far back a certificate is dated, for devices whose clocks are slow, in seconds.
const BACKDATED_S: i64 = 300;

const DAY_S: i64 = 24 * 60 * 60;

/// A certificate as it was configured. Written anew it could be another, whose signature is over
/// other bytes: some programs write what DER leaves out.
#[derive(Clone)]
struct Configured {
    der: Vec<u8>,
    certificate: Certificate,
}

/// The domain CA's certificates and its key.
pub struct Authority {
    /// The CA, then its own issuers and former CAs as configured.
    published: Vec<Configured>,
    /// From the CA up, as DER.
    chain: Vec<Vec<u8>>,
    certificate: Certificate,
    key: CaKey,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("subject", &self.certificate.tbs_certificate().subject())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Takes the CA's certificates, of which one must be over the key, and the key.
    ///
    /// # Errors
    /// What is wrong with which of the two settings, for the operator.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, String> {
        let key = CaKey::from_pem(key)?;
        let mut published = read_pem(certificates, "ca_certificate")?;
        let current = position_over(&published, key.public())
            .ok_or("no certificate of ca_certificate is over the public key of ca_private_key")?;
        published[..=current].rotate_right(1);
        let certificate = published[0].certificate.clone();
        check_is_ca(&certificate, "ca_certificate")?;
        let chain = chain(&published[0], &published);
        Ok(Self {
            published,
            chain,
            certificate,
            key,
        })
    }

    /// The configured certificates as DER: the CA, its own issuers, former CAs.
    pub fn published(&self) -> impl Iterator<Item = &[u8]> {
        self.published.iter().map(|one| one.der.as_slice())
    }

    /// The configured certificates as PEM, the CA's first.
    pub fn to_pem(&self) -> String {
        pem::write(self.published())
    }

    /// Whether certificates that are signed now will be accepted.
    pub fn is_in_date(&self, now_s: i64) -> bool {
        (unix_s(&self.certificate, Bound::NotBefore)..=self.not_after_s()).contains(&now_s)
    }

    /// Until when the CA's certificate is good, in seconds since 1970.
    pub fn not_after_s(&self) -> i64 {
        unix_s(&self.certificate, Bound::NotAfter)
    }
}

/// The domain CA with what it needs to make keys.
#[derive(Debug)]
pub struct DomainCa {
    /// The CA.
    pub authority: Authority,
    /// Where private keys are sealed.
    pub vault: Vault,
    /// What kind of keys domains get.
    pub key_type: KeyType,
    /// How long a certificate is good, in days.
    pub credential_ttl_days: u32,
}

impl DomainCa {
    /// Makes a certificate for nobody, to see whether the CA can sign. It takes what a certificate
    /// for a device's domain takes.
    ///
    /// # Errors
    /// A fault, when it cannot.
    pub fn sign_for_test(&self, now_s: i64) -> Result<(), Error> {
        let domain = DomainName::parse("test").map_err(|error| Error::fault(error.to_string()))?;
        let order = CertificateOrder {
            domain: &domain,
            server_url: "urn:test",
            version: 1,
            now_s,
        };
        self.certify(&order, self.authority.key.public()).map(drop)
    }

    /// How long a certificate is good, in seconds, if the CA's own is.
    fn lifetime_s(&self) -> i64 {
        i64::from(self.credential_ttl_days) * DAY_S
    }

    fn certify(
        &self,
        order: &CertificateOrder<'_>,
        key: &PublicKey,
    ) -> Result<NewCertificate, Error> {
        self.check(order.now_s)?;
        let ca = &self.authority.certificate;
        let not_before_s = unix_s(ca, Bound::NotBefore).max(order.now_s - BACKDATED_S);
        let not_after_s = (order.now_s + self.lifetime_s()).min(self.authority.not_after_s());
        Ok(NewCertificate {
            der: certificate::sign(
                ca,
                (self.authority.key.private()?, self.authority.key.public()),
                key,
                order,
                not_before_s,
                not_after_s,
            )?,
            chain: self.authority.chain.clone(),
            not_before_s,
            not_after_s,
        })
    }
}

impl Issuer for DomainCa {
    fn make(&self, order: &CertificateOrder<'_>, seal_under: &KeyDigest) -> Result<NewKey, Error> {
        let key = PrivateKey::generate(self.key_type);
        let public = key.public_key();
        let certificate = self.certify(order, &public)?;
        let sealed = self.vault.seal(
            order.domain.as_str(),
            order.version,
            key.to_jwk_over(&public).as_bytes(),
            seal_under,
        )?;
        Ok(NewKey {
            key_type: self.key_type,
            sealed,
            certificate,
        })
    }

    fn renew(&self, order: &CertificateOrder<'_>, old: &[u8]) -> Result<NewCertificate, Error> {
        let (_, key) = read_old(order, old)?;
        self.certify(order, &key)
    }

    fn reissue(&self, order: &CertificateOrder<'_>, old: &[u8]) -> Result<NewCertificate, Error> {
        let (old, key) = read_old(order, old)?;
        let server_url = certificate::server_url(&old, order.version).ok_or_else(|| {
            unreadable(
                order,
                &"it does not name the domain server URL and the version",
            )
        })?;
        let order = CertificateOrder {
            server_url: &server_url,
            ..*order
        };
        self.certify(&order, &key)
    }

    fn reseal(
        &self,
        domain: &DomainName,
        version: u32,
        sealed: &[u8],
        under: &KeyDigest,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.vault.reseal(domain.as_str(), version, sealed, under)
    }

    fn open(
        &self,
        domain: &DomainName,
        version: u32,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.vault.open(domain.as_str(), version, sealed)
    }

    fn encrypt(
        &self,
        key_set: Zeroizing<Vec<u8>>,
        machine_key: &PublicKey,
    ) -> Result<String, Error> {
        jwe::encrypt(key_set, machine_key, KEY_SET_CONTENT_TYPE)
            .map_err(|error| Error::fault(format!("domain keys cannot be encrypted: {error}")))
    }

    fn check(&self, now_s: i64) -> Result<(), Error> {
        if self.authority.is_in_date(now_s) {
            return Ok(());
        }
        Err(Error::fault(
            "the certificate of the domain CA is not in date",
        ))
    }

    fn signs_until_from_s(&self, not_after_s: i64) -> Option<i64> {
        (not_after_s <= self.authority.not_after_s()).then(|| not_after_s - self.lifetime_s())
    }

    fn takeover_ms(&self) -> u64 {
        1000 * u64::from(takeover_s(self.key_type))
    }
}

/// How long a key of this type may be in the making before another request makes it, in seconds:
/// many times what it takes, more than clocks should differ, and less than the gateway lets a request
/// take.
pub fn takeover_s(key_type: KeyType) -> u32 {
    match key_type {
        KeyType::EcP256 => 10,
        KeyType::Rsa2048 => 10,
        KeyType::Rsa3072 => 15,
        KeyType::Rsa4096 => 20,
    }
}

/// Reads the setting that announces the domain CA's next certificate: that, and its issuers if
/// they follow. Gives them as PEM.
///
/// # Errors
/// What is wrong with the setting, for the operator.
pub fn read_next(certificates: &str) -> Result<String, String> {
    let setting = "ca_certificate_next";
    let certificates = read_pem(certificates, setting)?;
    let next = certificates.first();
    let next = next.ok_or("ca_certificate_next is empty")?;
    check_is_ca(&next.certificate, setting)?;
    Ok(pem::write(
        certificates.iter().map(|one| one.der.as_slice()),
    ))
}

fn read_pem(text: &str, setting: &str) -> Result<Vec<Configured>, String> {
    let unusable =
        |error: &dyn std::fmt::Display| format!("{setting} holds no certificates in PEM: {error}");
    let ders = pem::certificates(text).map_err(|error| unusable(&error))?;
    let certificates = ders.into_iter().map(|der| {
        let certificate = Certificate::from_der(&der)?;
        Ok(Configured { der, certificate })
    });
    certificates
        .collect::<x509_cert::der::Result<_>>()
        .map_err(|error| unusable(&error))
}

/// A certificate that is to be replaced, and the key that it is over.
fn read_old(order: &CertificateOrder<'_>, old: &[u8]) -> Result<(Certificate, PublicKey), Error> {
    let old = Certificate::from_der(old).map_err(|error| unreadable(order, &error))?;
    let key = public_key(&old).map_err(|error| unreadable(order, &error))?;
    Ok((old, key))
}

fn unreadable(order: &CertificateOrder<'_>, why: &dyn std::fmt::Display) -> Error {
    Error::fault(format!(
        "the certificate of version {} of domain {} cannot be read: {why}",
        order.version, order.domain
    ))
}

pub(super) fn public_key(certificate: &Certificate) -> Result<PublicKey, String> {
    let spki = certificate.tbs_certificate().subject_public_key_info();
    let der = spki.to_der().map_err(|error| error.to_string())?;
    PublicKey::from_spki_der(&der).map_err(|error| error.to_string())
}

/// Where the first certificate over a key is.
fn position_over(certificates: &[Configured], key: &PublicKey) -> Option<usize> {
    let spki = key.to_spki_der();
    let states_it = |one: &Configured| {
        let theirs = one.certificate.tbs_certificate().subject_public_key_info();
        theirs.to_der().is_ok_and(|theirs| theirs == spki)
    };
    let is_over =
        |one: &Configured| public_key(&one.certificate).is_ok_and(|theirs| theirs == *key);
    // Most write a key as is done here. To read one takes much longer than to compare.
    let stated = certificates.iter().position(states_it);
    stated.or_else(|| certificates.iter().position(is_over))
}

/// RFC 5280 sections 4.1.2.6, 4.2.1.3 and 4.2.1.9.
fn check_is_ca(certificate: &Certificate, setting: &str) -> Result<(), String> {
    let tbs = certificate.tbs_certificate();
    if tbs.subject().is_empty() {
        return Err(format!("{setting} is not a CA's: it has no subject"));
    }
    let unreadable = |error| format!("an extension of {setting} cannot be read: {error}");
    let constraints = tbs
        .get_extension::<BasicConstraints>()
        .map_err(unreadable)?;
    if !constraints.is_some_and(|(_, constraints)| constraints.ca) {
        return Err(format!(
            "{setting} is not a CA's: basicConstraints has no CA:TRUE"
        ));
    }
    let usage = tbs.get_extension::<KeyUsage>().map_err(unreadable)?;
    if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
        return Err(format!(
            "{setting} is not a CA's: keyUsage has no keyCertSign"
        ));
    }
    Ok(())
}

/// The certificates from `from` up to one that issued itself, or to the last that is known.
fn chain(from: &Configured, known: &[Configured]) -> Vec<Vec<u8>> {
    fn tbs(one: &Configured) -> &TbsCertificate {
        one.certificate.tbs_certificate()
    }
    let mut chain = vec![from];
    while let Some(&last) = chain.last()
        && tbs(last).issuer() != tbs(last).subject()
        && chain.len() <= known.len()
        && let Some(issuer) = known
            .iter()
            .find(|one| tbs(one).subject() == tbs(last).issuer())
    {
        chain.push(issuer);
    }
    chain.into_iter().map(|one| one.der.clone()).collect()
}

#[derive(Clone, Copy)]
pub(super) enum Bound {
    NotBefore,
    NotAfter,
}

pub(super) fn unix_s(certificate: &Certificate, bound: Bound) -> i64 {
    let validity = certificate.tbs_certificate().validity();
    let time = match bound {
        Bound::NotBefore => &validity.not_before,
        Bound::NotAfter => &validity.not_after,
    };
    time.to_unix_duration().as_secs().cast_signed()
}
