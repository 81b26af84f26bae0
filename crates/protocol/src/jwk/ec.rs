//! P-256 keys in DER: SubjectPublicKeyInfo (RFC 5480), ECPrivateKey (RFC 5915) and PKCS#8 (RFC 5958).

use anonymous_domains_p256_wasm::{PublicKey, SecretKey};
use rsa::pkcs8::{
    AlgorithmIdentifierRef, ObjectIdentifier, PrivateKeyInfoRef, SecretDocument,
    SubjectPublicKeyInfoRef,
    der::{
        self, Document, Encode as _,
        asn1::{BitStringRef, OctetStringRef},
    },
};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

/// `id-ecPublicKey`.
pub(super) const ALGORITHM: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1`, which is P-256.
const CURVE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// Octets of a secret key. Some programs leave out the highest ones where they are 0.
const SECRET_OCTETS: usize = 32;
/// The fewest that are taken for a key.
const SECRET_MIN_OCTETS: usize = 24;

fn is_p256(algorithm: &AlgorithmIdentifierRef<'_>) -> bool {
    algorithm.assert_oids(ALGORITHM, CURVE).is_ok()
}

fn algorithm() -> AlgorithmIdentifierRef<'static> {
    AlgorithmIdentifierRef {
        oid: ALGORITHM,
        parameters: Some((&CURVE).into()),
    }
}

/// The public key of a SubjectPublicKeyInfo, if it is one on P-256.
pub(super) fn from_spki(info: &SubjectPublicKeyInfoRef<'_>) -> Option<PublicKey> {
    let point = info.subject_public_key.as_bytes()?;
    is_p256(&info.algorithm).then(|| PublicKey::from_sec1(point))?
}

/// The DER SubjectPublicKeyInfo.
pub(super) fn to_spki_der(key: PublicKey) -> der::Result<Document> {
    let point = key.to_sec1();
    Document::encode_msg(&SubjectPublicKeyInfoRef {
        algorithm: algorithm(),
        subject_public_key: BitStringRef::from_bytes(&point)?,
    })
}

/// The secret key of 24 to 32 big-endian octets.
pub(super) fn secret_key(octets: &[u8]) -> Option<SecretKey> {
    let missing = SECRET_OCTETS.checked_sub(octets.len())?;
    let mut all = Zeroizing::new([0; SECRET_OCTETS]);
    all[missing..].copy_from_slice(octets);
    (octets.len() >= SECRET_MIN_OCTETS).then(|| SecretKey::from_bytes(&all))?
}

/// The secret key of a DER ECPrivateKey: on P-256, and with its own public key, where it has them.
pub(super) fn from_sec1_der(der: &[u8]) -> Option<SecretKey> {
    let key = EcPrivateKey::try_from(der).ok()?;
    if let Some(EcParameters::NamedCurve(curve)) = key.parameters
        && curve != CURVE
    {
        return None;
    }
    let secret = secret_key(key.private_key)?;
    match key.public_key {
        Some(point) if PublicKey::from_sec1(point) != Some(secret.public_key()) => None,
        _ => Some(secret),
    }
}

/// The public key that a DER ECPrivateKey states, unchecked, where it states one. `None` where it is
/// malformed.
pub(super) fn stated_in_sec1(der: &[u8]) -> Option<Option<PublicKey>> {
    let key = EcPrivateKey::try_from(der).ok()?;
    match key.public_key {
        None => Some(None),
        Some(point) => PublicKey::from_sec1(point).map(Some),
    }
}

/// The secret key of a PKCS#8 PrivateKeyInfo.
pub(super) fn from_pkcs8(info: &PrivateKeyInfoRef<'_>) -> Option<SecretKey> {
    is_p256(&info.algorithm).then(|| from_sec1_der(info.private_key.as_bytes()))?
}

/// The PKCS#8 PrivateKeyInfo, with the public key.
pub(super) fn to_pkcs8(key: &SecretKey) -> der::Result<SecretDocument> {
    let secret = key.to_bytes();
    let public = key.public_key().to_sec1();
    let ec_private_key = Zeroizing::new(
        EcPrivateKey {
            private_key: &*secret,
            parameters: None,
            public_key: Some(&public),
        }
        .to_der()?,
    );
    let ec_private_key = OctetStringRef::new(&ec_private_key)?;
    SecretDocument::encode_msg(&PrivateKeyInfoRef::new(algorithm(), ec_private_key))
}
