//! Signatures (RFC 7515, RFC 7518 section 3): `RS256`, `PS256` and `ES256`, and the flattened JSON
//! serialization.

use std::{fmt, str::FromStr};

use anonymous_domains_p256_wasm::Signature;
use anonymous_domains_rsa_public::Digest as RsaDigest;
use rsa::{Pkcs1v15Sign, Pss};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    base64url,
    jwk::{PrivateKey, PublicKey},
};

/// Octets of a PS256 salt: the hash's length (RFC 7518 section 3.5).
const PS256_SALT_OCTETS: usize = 32;

/// A signature algorithm, all with SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5.
    RS256,
    /// RSASSA-PSS with MGF1-SHA256 and a salt of 32 octets.
    PS256,
    /// ECDSA on P-256; a signature is the 64 octets of r and s.
    ES256,
}

/// The text names no algorithm that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("alg must be RS256, PS256 or ES256")]
pub struct InvalidAlgorithm;

/// A signature was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The key is not of the kind that the algorithm needs.
    #[error("alg does not fit the key")]
    KeyMismatch,
    /// The signature is not the key's over this message, or malformed.
    #[error("the signature is not valid")]
    BadSignature,
}

/// A signature could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not of the kind that the algorithm needs.
    #[error("alg does not fit the key")]
    KeyMismatch,
    /// The private key's arithmetic failed its own check.
    #[error("the private key could not sign")]
    Failed,
}

impl Algorithm {
    /// The `alg` value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::PS256 => "PS256",
            Self::ES256 => "ES256",
        }
    }

    /// The usual algorithm for a key: `RS256` for RSA, `ES256` for EC.
    pub fn default_for(key: &PrivateKey) -> Self {
        match key {
            PrivateKey::Rsa(_) => Self::RS256,
            PrivateKey::P256(_) => Self::ES256,
        }
    }

    /// Whether a key is of the kind that the algorithm needs.
    pub fn fits(self, key: &PublicKey) -> bool {
        matches!(
            (self, key),
            (Self::RS256 | Self::PS256, PublicKey::Rsa(_)) | (Self::ES256, PublicKey::P256(_))
        )
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    ///
    /// [`VerifyError::KeyMismatch`] when the key is of another kind, [`VerifyError::BadSignature`]
    /// for everything else: an RSA signature is of exactly the modulus's length, an ES256 one of
    /// 64 octets with r and s from 1 to n - 1.
    pub fn verify(
        self,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        let valid = match (self, key) {
            (Self::RS256, PublicKey::Rsa(key)) => {
                let digest = Sha256::digest(message).into();
                key.verify_pkcs1(RsaDigest::Sha256(&digest), signature)
            }
            (Self::PS256, PublicKey::Rsa(key)) => {
                key.verify_pss(&Sha256::digest(message).into(), signature)
            }
            (Self::ES256, PublicKey::P256(key)) => Signature::from_bytes(signature)
                .is_some_and(|signature| key.verify(&Sha256::digest(message).into(), &signature)),
            _ => return Err(VerifyError::KeyMismatch),
        };
        if valid {
            Ok(())
        } else {
            Err(VerifyError::BadSignature)
        }
    }

    /// Signs `message`. RSA operations are blinded.
    ///
    /// # Errors
    ///
    /// [`SignError::KeyMismatch`] when the key is of another kind, [`SignError::Failed`] when its
    /// arithmetic fails its check.
    pub fn sign(self, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match (self, key) {
            (Self::RS256, PrivateKey::Rsa(key)) => key
                .sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(message))
                .map_err(|_| SignError::Failed),
            (Self::PS256, PrivateKey::Rsa(key)) => key
                .sign(
                    Pss::<Sha256>::new_with_salt(PS256_SALT_OCTETS),
                    &Sha256::digest(message),
                )
                .map_err(|_| SignError::Failed),
            (Self::ES256, PrivateKey::P256(key)) => {
                Ok(key.sign(&Sha256::digest(message).into()).to_bytes().into())
            }
            _ => Err(SignError::KeyMismatch),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = InvalidAlgorithm;

    fn from_str(text: &str) -> Result<Self, InvalidAlgorithm> {
        [Self::RS256, Self::PS256, Self::ES256]
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or(InvalidAlgorithm)
    }
}

/// Signs `payload` under a protected header and serializes it as flattened JSON (RFC 7515 section
/// 7.2.2).
///
/// The header is signed as it is given: it must name `alg` itself.
///
/// # Errors
///
/// As [`Algorithm::sign`].
pub fn sign_flattened(
    header: &Value,
    payload: &[u8],
    algorithm: Algorithm,
    key: &PrivateKey,
) -> Result<String, SignError> {
    let protected = base64url::encode(header.to_string().as_bytes());
    let payload = base64url::encode(payload);
    let signature = algorithm.sign(key, format!("{protected}.{payload}").as_bytes())?;
    Ok(json!({
        "protected": protected,
        "payload": payload,
        "signature": base64url::encode(&signature),
    })
    .to_string())
}
