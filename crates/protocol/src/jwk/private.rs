//! Private keys: made, kept (PKCS#8) and handed over (JWK).

use std::fmt;

use anonymous_domains_p256_wasm::SecretKey;
use getrandom::rand_core::Rng as _;
use rsa::{
    BoxedUint, RsaPrivateKey,
    pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey},
    pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding, PrivateKeyInfoRef, SecretDocument},
    traits::PublicKeyParts as _,
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{JwkError, KeyType, PublicKey, RSA_MAX_BITS, ec, member, push_member};
use crate::{base64url, random};

/// A private key within the limits of [`PublicKey`]. It is wiped when dropped, and shows no more
/// than its kind in `Debug`.
#[derive(Clone)]
pub enum PrivateKey {
    /// An RSA key of two primes.
    Rsa(Box<RsaPrivateKey>),
    /// An EC key on P-256.
    P256(SecretKey),
}

impl PrivateKey {
    /// Makes a new key of the system's randomness.
    ///
    /// An RSA key takes tenths of a second natively, and several times that in WebAssembly.
    ///
    /// # Panics
    ///
    /// Where the system has no randomness to give.
    pub fn generate(kind: KeyType) -> Self {
        let mut rng = random::system();
        let bits = match kind {
            KeyType::EcP256 => {
                return Self::P256(SecretKey::generate(|bytes| rng.fill_bytes(bytes)));
            }
            KeyType::Rsa2048 => 2048,
            KeyType::Rsa3072 => 3072,
            KeyType::Rsa4096 => 4096,
        };
        Self::Rsa(Box::new(
            RsaPrivateKey::new(&mut rng, bits).expect("the size is within RSA's limits"),
        ))
    }

    /// Reads one PEM block: `PRIVATE KEY` (PKCS#8), `RSA PRIVATE KEY` (PKCS#1) or
    /// `EC PRIVATE KEY` (SEC 1).
    ///
    /// # Errors
    ///
    /// [`JwkError`] for anything else (encrypted keys among it) and for keys outside of the limits.
    pub fn from_pem(pem: &str) -> Result<Self, JwkError> {
        let pem = block(pem)?;
        if pem.starts_with(BEGIN_PKCS1) {
            RsaPrivateKey::from_pkcs1_pem(pem)
                .map_err(|_| JwkError("the PKCS#1 key is malformed"))
                .and_then(Self::from_rsa)
        } else if pem.starts_with(BEGIN_SEC1) {
            document(pem, LABEL_SEC1)
                .and_then(|document| ec::from_sec1_der(document.as_bytes()))
                .map(Self::P256)
                .ok_or(JwkError(
                    "the SEC 1 key is malformed or not on the curve P-256",
                ))
        } else {
            let document = document(pem, LABEL_PKCS8).ok_or(MALFORMED_PKCS8)?;
            Self::from_pkcs8_der(document.as_bytes())
        }
    }

    /// The public half that a PEM block for [`from_pem`](Self::from_pem) states, unchecked, where it
    /// states one. That takes far less than to derive it: a base point multiplication, or the
    /// checks of an RSA key.
    ///
    /// # Errors
    ///
    /// [`JwkError`] as of `from_pem`, as far as it shows.
    pub fn stated_public_key(pem: &str) -> Result<Option<PublicKey>, JwkError> {
        const MALFORMED: JwkError = JwkError("the private key is malformed");
        let pem = block(pem)?;
        let (_, document) = SecretDocument::from_pem(pem).map_err(|_| MALFORMED)?;
        let der = document.as_bytes();
        if pem.starts_with(BEGIN_PKCS1) {
            return stated_in_pkcs1(der).map(Some);
        }
        if pem.starts_with(BEGIN_SEC1) {
            return stated_in_sec1(der);
        }
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| MALFORMED)?;
        let key = info.private_key.as_bytes();
        match info.algorithm.oid {
            rsa::pkcs1::ALGORITHM_OID => stated_in_pkcs1(key).map(Some),
            ec::ALGORITHM => stated_in_sec1(key),
            _ => Err(JwkError(
                "the PKCS#8 key is neither RSA nor on the curve P-256",
            )),
        }
    }

    /// Reads a DER PKCS#8 PrivateKeyInfo (RFC 5958).
    ///
    /// # Errors
    ///
    /// [`JwkError`] when it is malformed, of another algorithm or outside of the limits.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, JwkError> {
        if let Ok(key) = RsaPrivateKey::from_pkcs8_der(der) {
            return Self::from_rsa(key);
        }
        PrivateKeyInfoRef::try_from(der)
            .ok()
            .and_then(|info| ec::from_pkcs8(&info))
            .map(Self::P256)
            .ok_or(MALFORMED_PKCS8)
    }

    /// The DER PKCS#8 PrivateKeyInfo.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.to_pkcs8().to_bytes()
    }

    fn to_pkcs8(&self) -> SecretDocument {
        match self {
            Self::Rsa(key) => key.to_pkcs8_der().ok(),
            Self::P256(key) => ec::to_pkcs8(key).ok(),
        }
        .expect("a key within the limits fits PKCS#8")
    }

    /// The PKCS#8 PrivateKeyInfo as PEM.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        self.to_pkcs8()
            .to_pem(LABEL_PKCS8, LineEnding::LF)
            .expect("PKCS#8 fits PEM")
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::Rsa(key) => super::rsa_public_key(&key.n_bytes(), &key.e_bytes())
                .map(PublicKey::Rsa)
                .expect("a private key is within the limits"),
            Self::P256(key) => PublicKey::P256(key.public_key()),
        }
    }

    /// The text of the private JWK: the public members, and `d`, `p`, `q`, `dp`, `dq`, `qi` (RFC
    /// 7518 section 6.3.2) or `d` (section 6.2.2).
    pub fn to_jwk(&self) -> Zeroizing<String> {
        self.to_jwk_over(&self.public_key())
    }

    /// [`Self::to_jwk`] of a key whose public half is known. To derive it takes a P-256 key a base
    /// point multiplication.
    pub fn to_jwk_over(&self, public: &PublicKey) -> Zeroizing<String> {
        // Put together by hand, so that no copy of a secret is left behind by a JSON tree.
        let mut text = Zeroizing::new(String::with_capacity(4096));
        for (name, value) in public.members() {
            push_member(&mut text, name, &value);
        }
        for (name, value) in self.secret_members() {
            push_member(&mut text, name, &value);
        }
        text.push('}');
        text
    }

    fn secret_members(&self) -> Vec<(&'static str, Zeroizing<String>)> {
        match self {
            Self::Rsa(key) => {
                // PKCS#1 has the very numbers that a JWK has.
                let der = key
                    .to_pkcs1_der()
                    .expect("a key within the limits fits PKCS#1");
                let parts = rsa::pkcs1::RsaPrivateKeyRef::try_from(der.as_bytes())
                    .expect("it was encoded just now");
                [
                    ("d", parts.private_exponent),
                    ("p", parts.prime1),
                    ("q", parts.prime2),
                    ("dp", parts.exponent1),
                    ("dq", parts.exponent2),
                    ("qi", parts.coefficient),
                ]
                .map(|(name, value)| (name, base64url::encode_secret(value.as_bytes())))
                .into()
            }
            Self::P256(key) => vec![("d", base64url::encode_secret(&*key.to_bytes()))],
        }
    }

    /// Reads a private JWK as [`Self::to_jwk`] writes it. Members that are not the key's own
    /// (`kid`, `x5c`, ...) are ignored.
    ///
    /// # Errors
    ///
    /// [`JwkError`] for what [`PublicKey::from_jwk`] refuses, a missing private member, private
    /// members that do not fit the public ones or each other, and RSA keys of more than two primes.
    pub fn from_jwk(jwk: &Value) -> Result<Self, JwkError> {
        const MISFIT: JwkError = JwkError("the members of the private JWK do not fit together");
        let jwk = jwk.as_object().ok_or(JwkError("a JWK is a JSON object"))?;
        if jwk.contains_key("oth") {
            return Err(JwkError("an RSA key has two primes"));
        }
        let secret = |name| member(jwk, name);
        let public = PublicKey::from_public_members(jwk)?;
        let key = match &public {
            PublicKey::Rsa(_) => {
                let n = uint(&member(jwk, "n")?)?;
                let e = uint(&member(jwk, "e")?)?;
                let d = uint(&secret("d")?)?;
                let primes = vec![uint(&secret("p")?)?, uint(&secret("q")?)?];
                RsaPrivateKey::from_components(n, e, d, primes)
                    .map(|key| Self::Rsa(Box::new(key)))
                    .map_err(|_| MISFIT)?
            }
            PublicKey::P256(_) => ec::secret_key(&secret("d")?)
                .map(Self::P256)
                .ok_or(MISFIT)?,
        };
        // Its canonical form is the only one: so the CRT members fit, and the public key too.
        if key.public_key() == public && key.has_secret_members(jwk) {
            Ok(key)
        } else {
            Err(MISFIT)
        }
    }

    fn has_secret_members(&self, jwk: &Map<String, Value>) -> bool {
        self.secret_members()
            .iter()
            .all(|(name, value)| jwk.get(*name).and_then(Value::as_str) == Some(value.as_str()))
    }

    fn from_rsa(key: RsaPrivateKey) -> Result<Self, JwkError> {
        super::rsa_public_key(&key.n_bytes(), &key.e_bytes())?;
        Ok(Self::Rsa(Box::new(key)))
    }
}

const BEGIN_PKCS8: &str = "-----BEGIN PRIVATE KEY-----";
const BEGIN_PKCS1: &str = "-----BEGIN RSA PRIVATE KEY-----";
const BEGIN_SEC1: &str = "-----BEGIN EC PRIVATE KEY-----";

const LABEL_PKCS8: &str = "PRIVATE KEY";
const LABEL_SEC1: &str = "EC PRIVATE KEY";

const MALFORMED_PKCS8: JwkError =
    JwkError("the PKCS#8 key is malformed, or neither RSA nor on the curve P-256");

/// What a PEM block with this label holds.
fn document(pem: &str, label: &str) -> Option<SecretDocument> {
    let (found, document) = SecretDocument::from_pem(pem).ok()?;
    (found == label).then_some(document)
}

/// From the first block of a private key on. Some tools write text or another block
/// (`EC PARAMETERS`) before it.
fn block(pem: &str) -> Result<&str, JwkError> {
    let start = [BEGIN_PKCS8, BEGIN_PKCS1, BEGIN_SEC1]
        .iter()
        .filter_map(|begin| pem.find(begin))
        .min();
    start.map(|start| pem[start..].trim_end()).ok_or(JwkError(
        "there is no PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY block in PEM",
    ))
}

fn stated_in_pkcs1(der: &[u8]) -> Result<PublicKey, JwkError> {
    let key = rsa::pkcs1::RsaPrivateKeyRef::try_from(der)
        .map_err(|_| JwkError("the PKCS#1 key is malformed"))?;
    let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
    super::rsa_public_key(n, e).map(PublicKey::Rsa)
}

fn stated_in_sec1(der: &[u8]) -> Result<Option<PublicKey>, JwkError> {
    let stated = ec::stated_in_sec1(der).ok_or(JwkError(
        "the SEC 1 key is malformed or not on the curve P-256",
    ))?;
    Ok(stated.map(PublicKey::P256))
}

/// A number of at most the longest modulus; its storage tells nothing of a secret's length.
fn uint(octets: &[u8]) -> Result<BoxedUint, JwkError> {
    BoxedUint::from_be_slice(octets, RSA_MAX_BITS as u32)
        .map_err(|_| JwkError("a number of the RSA key is too long"))
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa(_) => "PrivateKey::Rsa(..)",
            Self::P256(_) => "PrivateKey::P256(..)",
        })
    }
}
