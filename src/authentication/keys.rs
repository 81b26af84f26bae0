//! The issuer's keys (RFC 7517), and the signatures that they check (RFC 7518, RFC 8037).

use anonymous_domains_protocol::{base64url, json, jwk::PublicKey, jws};
use serde_json::{Map, Value};

/// The most keys that may be in use: a token without a `kid` is tried under each that fits.
const MAX_KEYS: usize = 32;

/// Members that make a JWK a private one, of whichever `kty` (RFC 7518 sections 6.2.2 and 6.3.2,
/// RFC 8037 section 2, RFC 9964 section 3).
const PRIVATE_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// The issuer's public keys; at least one.
#[derive(Debug, Clone)]
pub struct KeySet(Vec<IssuerKey>);

/// How a token may be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `RS256`, `PS256` or `ES256`.
    Jws(jws::Algorithm),
    /// `EdDSA` with Ed25519 (RFC 8037), for which RFC 9864 has the name `Ed25519` too.
    Ed25519,
}

#[derive(Debug, Clone)]
struct IssuerKey {
    kid: Option<String>,
    /// The key's own `alg`.
    algorithm: Option<Algorithm>,
    key: Key,
}

#[derive(Debug, Clone)]
enum Key {
    Jws(PublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl Algorithm {
    /// The algorithm of an `alg`, if it is one that is accepted.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "EdDSA" | "Ed25519" => Some(Self::Ed25519),
            _ => name.parse().ok().map(Self::Jws),
        }
    }

    fn fits(self, key: &Key) -> bool {
        match (self, key) {
            (Self::Jws(algorithm), Key::Jws(key)) => algorithm.fits(key),
            (Self::Ed25519, Key::Ed25519(_)) => true,
            _ => false,
        }
    }
}

impl KeySet {
    /// Reads a JWK Set.
    ///
    /// Keys that are not for signatures (by `use`, `key_ops` or `alg`) or of a kind that this
    /// server does not use (by `kty` or `crv`) are left out, as RFC 7517 section 5 says: an issuer
    /// may have them for others. Symmetric keys are among them: whoever checks tokens with one
    /// could make them.
    ///
    /// # Errors
    /// What is wrong with the setting, for the operator; never its text. A private key is refused
    /// whatever it is for: whoever has it can make tokens.
    pub fn from_json(text: &str) -> Result<Self, Vec<String>> {
        let one = |what: &str| vec![format!("auth_jwks {what}")];
        let set = json::from_slice_strict(text.as_bytes())
            .map_err(|error| one(&format!("is not JSON: {error}")))?;
        let Some(Value::Array(entries)) = set.get("keys") else {
            return Err(one("is not a JWK Set: an object with the array keys"));
        };
        let mut keys: Vec<IssuerKey> = Vec::new();
        let mut wrong = Vec::new();
        for (number, entry) in (1..).zip(entries) {
            match IssuerKey::from_jwk(entry) {
                Ok(None) => {}
                Ok(Some(key)) => {
                    if key.kid.is_some() && keys.iter().any(|other| other.kid == key.kid) {
                        wrong.push(format!(
                            "auth_jwks: key {number} has the kid of one before it"
                        ));
                    }
                    keys.push(key);
                }
                Err(what) => wrong.push(format!("auth_jwks: key {number} {what}")),
            }
        }
        if !wrong.is_empty() {
            Err(wrong)
        } else if keys.is_empty() {
            Err(one(
                "has no public key for RS256, PS256, ES256 or EdDSA signatures",
            ))
        } else if keys.len() > MAX_KEYS {
            Err(one(&format!("has more than {MAX_KEYS} keys")))
        } else {
            Ok(Self(keys))
        }
    }

    /// Whether a key of the set signed `message`: the key named `kid`, or any, where the token
    /// names none. Only keys of the algorithm's kind are tried, and those with an `alg` only where
    /// it is this one (RFC 8725 section 3.1).
    pub fn verify(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        self.0
            .iter()
            .filter(|key| kid.is_none() || key.kid.as_deref() == kid)
            .filter(|key| key.algorithm.is_none_or(|own| own == algorithm))
            .any(|key| key.key.verify(algorithm, message, signature))
    }
}

impl Key {
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (algorithm, self) {
            (Algorithm::Jws(algorithm), Self::Jws(key)) => {
                algorithm.verify(key, message, signature).is_ok()
            }
            (Algorithm::Ed25519, Self::Ed25519(key)) => {
                ed25519_dalek::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
            _ => false,
        }
    }
}

impl IssuerKey {
    /// The key of a JWK, if it is one for the signatures of tokens.
    fn from_jwk(jwk: &Value) -> Result<Option<Self>, String> {
        let jwk = jwk.as_object().ok_or("is not a JSON object")?;
        if string(jwk, "kty")? == Some("oct") {
            return Ok(None);
        }
        if PRIVATE_MEMBERS.iter().any(|name| jwk.contains_key(*name)) {
            return Err("is private: it must be replaced, and only its public half given".into());
        }
        if !is_for_signatures(jwk)? {
            return Ok(None);
        }
        let algorithm = match string(jwk, "alg")?.map(Algorithm::from_name) {
            None => None,
            Some(Some(algorithm)) => Some(algorithm),
            Some(None) => return Ok(None),
        };
        let unusable = |error: &dyn std::fmt::Display| format!("cannot be used: {error}");
        let key = match (string(jwk, "kty")?, string(jwk, "crv")?) {
            (Some("RSA"), _) | (Some("EC"), Some("P-256")) => {
                // What the JWK has besides the key itself is none of the key's.
                let key = PublicKey::from_jwk(&Value::Object(jwk.clone()));
                Key::Jws(key.map_err(|error| unusable(&error))?)
            }
            (Some("OKP"), Some("Ed25519")) => {
                Key::Ed25519(ed25519_key(jwk).ok_or_else(|| {
                    unusable(&"x is not a point of Ed25519 in canonical base64url")
                })?)
            }
            (Some(_), _) => return Ok(None),
            (None, _) => return Err("has no kty".into()),
        };
        if algorithm.is_some_and(|algorithm| !algorithm.fits(&key)) {
            return Err("has an alg that is not for keys of its kind".into());
        }
        Ok(Some(Self {
            kid: string(jwk, "kid")?.map(str::to_owned),
            algorithm,
            key,
        }))
    }
}

/// Whether a JWK's `use` and `key_ops`, where it has them, allow to check signatures (RFC 7517
/// sections 4.2 and 4.3).
fn is_for_signatures(jwk: &Map<String, Value>) -> Result<bool, String> {
    let by_use = string(jwk, "use")?.is_none_or(|what| what == "sig");
    let by_operations = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|one| one == "verify"),
        Some(_) => return Err("has a key_ops that is not an array".into()),
    };
    Ok(by_use && by_operations)
}

/// The key of `x` (RFC 8037 section 2). A point of small order verifies anything, and is no key.
fn ed25519_key(jwk: &Map<String, Value>) -> Option<ed25519_dalek::VerifyingKey> {
    let octets = base64url::decode(jwk.get("x")?.as_str()?).ok()?;
    ed25519_dalek::VerifyingKey::from_bytes(octets.as_slice().try_into().ok()?)
        .ok()
        .filter(|key| !key.is_weak())
}

/// A member that is a string where it is there.
fn string<'a>(jwk: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("has a {name} that is not a string")),
    }
}
