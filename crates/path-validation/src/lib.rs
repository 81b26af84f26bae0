//! The signature algorithms that webpki validates certificate paths with.
//!
//! webpki implements path validation (RFC 5280 section 6) and leaves the cryptography to its
//! caller. These algorithms are pure Rust, so they work in the component's sandbox and in native
//! programs alike.

#![forbid(unsafe_code)]

use anonymous_domains_p256_wasm as p256;
use anonymous_domains_rsa_public as rsa;
use pkcs1::RsaPublicKeyRef;
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// All of them.
pub const ALL: &[&dyn SignatureVerificationAlgorithm] = &[
    ECDSA_P256_SHA256,
    RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512,
];

/// ECDSA on P-256 with SHA-256.
pub const ECDSA_P256_SHA256: &dyn SignatureVerificationAlgorithm = &EcdsaP256Sha256;

/// RSA PKCS#1 v1.5 with SHA-256.
pub const RSA_PKCS1_SHA256: &dyn SignatureVerificationAlgorithm = &RsaPkcs1 {
    id: alg_id::RSA_PKCS1_SHA256,
    verify: |key, message, signature| {
        let digest = Sha256::digest(message).into();
        key.verify_pkcs1(rsa::Digest::Sha256(&digest), signature)
    },
};

/// RSA PKCS#1 v1.5 with SHA-384.
pub const RSA_PKCS1_SHA384: &dyn SignatureVerificationAlgorithm = &RsaPkcs1 {
    id: alg_id::RSA_PKCS1_SHA384,
    verify: |key, message, signature| {
        let digest = Sha384::digest(message).into();
        key.verify_pkcs1(rsa::Digest::Sha384(&digest), signature)
    },
};

/// RSA PKCS#1 v1.5 with SHA-512.
pub const RSA_PKCS1_SHA512: &dyn SignatureVerificationAlgorithm = &RsaPkcs1 {
    id: alg_id::RSA_PKCS1_SHA512,
    verify: |key, message, signature| {
        let digest = Sha512::digest(message).into();
        key.verify_pkcs1(rsa::Digest::Sha512(&digest), signature)
    },
};

#[derive(Debug)]
struct EcdsaP256Sha256;

impl SignatureVerificationAlgorithm for EcdsaP256Sha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = p256::PublicKey::from_sec1(public_key).ok_or(InvalidSignature)?;
        let signature = p256::Signature::from_der(signature).ok_or(InvalidSignature)?;
        let valid = key.verify(&Sha256::digest(message).into(), &signature);
        valid.then_some(()).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}

#[derive(Debug)]
struct RsaPkcs1 {
    id: AlgorithmIdentifier,
    /// Whether a signature (last) over a message is the key's.
    verify: fn(&rsa::PublicKey, &[u8], &[u8]) -> bool,
}

impl SignatureVerificationAlgorithm for RsaPkcs1 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = RsaPublicKeyRef::try_from(public_key).map_err(|_| InvalidSignature)?;
        let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
        let key = rsa::PublicKey::new(modulus, exponent).map_err(|_| InvalidSignature)?;
        let valid = (self.verify)(&key, message, signature);
        valid.then_some(()).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}
