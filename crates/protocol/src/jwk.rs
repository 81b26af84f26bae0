//! Keys and their JSON form (RFC 7517, RFC 7518 section 6), with the limits of this protocol: RSA
//! of 2048 to 4096 bits with the public exponent 65537, or EC on P-256.

mod ec;
mod private;

pub use private::PrivateKey;

use std::{fmt, str::FromStr};

use anonymous_domains_rsa_public as rsa_public;
use rsa::pkcs8::{
    SubjectPublicKeyInfoRef,
    der::{
        Decode as _, Encode as _,
        asn1::{BitStringRef, UintRef},
    },
    spki,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base64url;

/// The shortest RSA modulus that is accepted, in bits.
pub const RSA_MIN_BITS: usize = 2048;
/// The longest RSA modulus that is accepted, in bits.
pub const RSA_MAX_BITS: usize = 4096;

/// The public exponent 65537, as the big-endian octets of a JWK's `e`.
const RSA_PUBLIC_EXPONENT: [u8; 3] = [1, 0, 1];
/// Octets of a P-256 coordinate or scalar.
const P256_OCTETS: usize = 32;
/// Members that make a JWK a private or a symmetric one (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A kind of key that can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA with a modulus of 2048 bits.
    Rsa2048,
    /// RSA with a modulus of 3072 bits.
    Rsa3072,
    /// RSA with a modulus of 4096 bits.
    Rsa4096,
    /// EC on the curve P-256.
    EcP256,
}

impl KeyType {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::EcP256];

    /// The name in configurations: `RSA-2048`, `RSA-3072`, `RSA-4096` or `EC-P256`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "RSA-2048",
            Self::Rsa3072 => "RSA-3072",
            Self::Rsa4096 => "RSA-4096",
            Self::EcP256 => "EC-P256",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key type is RSA-2048, RSA-3072, RSA-4096 or EC-P256")]
pub struct InvalidKeyType;

impl FromStr for KeyType {
    type Err = InvalidKeyType;

    fn from_str(text: &str) -> Result<Self, InvalidKeyType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(InvalidKeyType)
    }
}

/// A key is not one that this protocol takes. Its text says why and never holds key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JwkError(&'static str);

/// A public key: RSA of 2048 to 4096 bits with the exponent 65537, or a point of P-256.
///
/// The variants are open so that other crates can hand the key on; a key that came from
/// outside is made by one of the constructors, which check the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// An RSA key.
    Rsa(rsa_public::PublicKey),
    /// An EC key on P-256.
    P256(anonymous_domains_p256_wasm::PublicKey),
}

impl PublicKey {
    /// Reads a public JWK. Members that are not the key's own (`kid`, `use`, ...) are ignored.
    ///
    /// # Errors
    ///
    /// [`JwkError`] for another `kty` or curve, a key outside of the limits, a point off the curve,
    /// base64url that is not canonical, leading zero octets in an RSA integer (RFC 7518 section
    /// 2), coordinates that are not of 32 octets, and any JWK with private or symmetric members.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JwkError> {
        let jwk = jwk.as_object().ok_or(JwkError("a JWK is a JSON object"))?;
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err(JwkError("the JWK must be a public key alone"));
        }
        Self::from_public_members(jwk)
    }

    /// The public key that a JWK's public members describe, whatever else it has.
    fn from_public_members(jwk: &Map<String, Value>) -> Result<Self, JwkError> {
        match jwk.get("kty").and_then(Value::as_str) {
            Some("RSA") => {
                let n = member(jwk, "n")?;
                let e = member(jwk, "e")?;
                if n.first() == Some(&0) {
                    return Err(JwkError("n has leading zero octets"));
                }
                rsa_public_key(&n, &e).map(Self::Rsa)
            }
            Some("EC") => {
                if jwk.get("crv").and_then(Value::as_str) != Some("P-256") {
                    return Err(JwkError("crv must be P-256"));
                }
                let x = member(jwk, "x")?;
                let y = member(jwk, "y")?;
                if x.len() != P256_OCTETS || y.len() != P256_OCTETS {
                    return Err(JwkError("x and y must be of 32 octets"));
                }
                // An uncompressed point, SEC 1 section 2.3.3.
                anonymous_domains_p256_wasm::PublicKey::from_sec1(&[&[4], &x[..], &y[..]].concat())
                    .map(Self::P256)
                    .ok_or(JwkError("the point is not on the curve"))
            }
            _ => Err(JwkError("kty must be RSA or EC")),
        }
    }

    /// The public JWK: `kty`, `n`, `e` or `kty`, `crv`, `x`, `y`, and nothing else.
    pub fn to_jwk(&self) -> Value {
        let members = self.members();
        let mut jwk = json!({});
        for (name, value) in members {
            jwk[name] = value.into();
        }
        jwk
    }

    /// The JWK's members in lexicographic order, as RFC 7638 section 3 takes them.
    fn members(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Rsa(key) => vec![
                ("e", base64url::encode(key.exponent())),
                ("kty", "RSA".to_owned()),
                ("n", base64url::encode(key.modulus())),
            ],
            Self::P256(key) => {
                let point = key.to_sec1();
                let (x, y) = point[1..].split_at(P256_OCTETS);
                vec![
                    ("crv", "P-256".to_owned()),
                    ("kty", "EC".to_owned()),
                    ("x", base64url::encode(x)),
                    ("y", base64url::encode(y)),
                ]
            }
        }
    }

    /// Reads a DER SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): `rsaEncryption` or
    /// `id-ecPublicKey` with P-256.
    ///
    /// # Errors
    ///
    /// [`JwkError`] for anything else, and for a key outside of the limits.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, JwkError> {
        const MALFORMED: JwkError = JwkError("the SubjectPublicKeyInfo is malformed");
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| MALFORMED)?;
        if info.algorithm.oid == rsa::pkcs1::ALGORITHM_OID {
            let bits = info.subject_public_key.as_bytes().ok_or(MALFORMED)?;
            if info.algorithm.parameters_any().ok() != Some(spki::der::asn1::Null.into()) {
                return Err(MALFORMED);
            }
            let key = rsa::pkcs1::RsaPublicKeyRef::try_from(bits).map_err(|_| MALFORMED)?;
            rsa_public_key(key.modulus.as_bytes(), key.public_exponent.as_bytes()).map(Self::Rsa)
        } else {
            ec::from_spki(&info)
                .map(Self::P256)
                .ok_or(JwkError("the key must be RSA or on the curve P-256"))
        }
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn to_spki_der(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => rsa_to_spki_der(key).ok(),
            Self::P256(key) => ec::to_spki_der(*key).ok(),
        }
        .expect("a key within the limits fits DER")
        .into_vec()
    }

    /// The kind, where it is one that can be generated; RSA keys of other lengths are of none.
    pub fn key_type(&self) -> Option<KeyType> {
        match self {
            Self::P256(_) => Some(KeyType::EcP256),
            Self::Rsa(key) => match key.bits() {
                2048 => Some(KeyType::Rsa2048),
                3072 => Some(KeyType::Rsa3072),
                4096 => Some(KeyType::Rsa4096),
                _ => None,
            },
        }
    }

    /// The JWK thumbprint with SHA-256 (RFC 7638).
    pub fn thumbprint(&self) -> [u8; 32] {
        // Every value is base64url or a plain name: nothing to escape, no whitespace to leave out.
        let mut text = String::with_capacity(1024);
        for (name, value) in self.members() {
            push_member(&mut text, name, &value);
        }
        text.push('}');
        Sha256::digest(text).into()
    }

    /// [`Self::thumbprint`] in base64url: 43 characters.
    pub fn thumbprint_b64(&self) -> String {
        base64url::encode(&self.thumbprint())
    }
}

/// Appends a member to the text of a JWK. The value is base64url or a plain name: nothing is escaped.
fn push_member(text: &mut String, name: &str, value: &str) {
    text.push(if text.is_empty() { '{' } else { ',' });
    for part in ["\"", name, "\":\"", value, "\""] {
        text.push_str(part);
    }
}

/// A member's octets.
fn member(jwk: &Map<String, Value>, name: &str) -> Result<Zeroizing<Vec<u8>>, JwkError> {
    jwk.get(name)
        .and_then(Value::as_str)
        .and_then(|text| base64url::decode_secret(text).ok())
        .filter(|octets| !octets.is_empty())
        .ok_or(JwkError("a member of the JWK is missing or not base64url"))
}

/// The RSA key of a modulus and exponent in big-endian octets without leading zeros.
fn rsa_public_key(n: &[u8], e: &[u8]) -> Result<rsa_public::PublicKey, JwkError> {
    const SIZE: JwkError = JwkError("an RSA modulus has 2048 to 4096 bits");
    const EXPONENT: JwkError = JwkError("the RSA public exponent must be 65537");
    if n.len() > RSA_MAX_BITS / 8 {
        return Err(SIZE);
    }
    if e != RSA_PUBLIC_EXPONENT {
        return Err(EXPONENT);
    }
    let key = rsa_public::PublicKey::new(n, e).map_err(|error| match error {
        rsa_public::InvalidKey::ModulusSize => SIZE,
        rsa_public::InvalidKey::EvenModulus => JwkError("the RSA modulus is not odd"),
        rsa_public::InvalidKey::Exponent => EXPONENT,
    })?;
    if key.bits() < RSA_MIN_BITS {
        return Err(SIZE);
    }
    Ok(key)
}

/// The DER SubjectPublicKeyInfo with an RSAPublicKey (RFC 8017 appendix A.1.1).
fn rsa_to_spki_der(key: &rsa_public::PublicKey) -> spki::Result<spki::Document> {
    let key = rsa::pkcs1::RsaPublicKeyRef {
        modulus: UintRef::new(key.modulus())?,
        public_exponent: UintRef::new(key.exponent())?,
    };
    let key = key.to_der()?;
    let info = spki::SubjectPublicKeyInfo {
        algorithm: rsa::pkcs1::ALGORITHM_ID,
        subject_public_key: BitStringRef::from_bytes(&key)?,
    };
    Ok(spki::Document::encode_msg(&info)?)
}
