//! ECDSA with SHA-256 on P-256, as what builds certificates asks for it.

use anonymous_domains_p256_wasm::{SecretKey, Signature};
use anonymous_domains_protocol::jwk::PublicKey;
use rsa::signature::{Error, Keypair, Signer};
use sha2::{Digest, Sha256};
use x509_cert::{
    der::{
        Document,
        asn1::{BitString, ObjectIdentifier},
    },
    spki::{
        self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
        SignatureBitStringEncoding,
    },
};

/// `ecdsa-with-SHA256` (RFC 5758 section 3.2).
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// A key that signs.
pub(super) struct EcdsaSigner<'a> {
    key: &'a SecretKey,
    public: VerifyingKey,
}

impl<'a> EcdsaSigner<'a> {
    /// Takes both halves of a key: to derive the public one takes as long as to sign.
    pub(super) fn new(key: &'a SecretKey, public: &PublicKey) -> Self {
        let public = VerifyingKey(public.clone());
        Self { key, public }
    }
}

impl Signer<EcdsaSignature> for EcdsaSigner<'_> {
    fn try_sign(&self, message: &[u8]) -> Result<EcdsaSignature, Error> {
        let digest = Sha256::digest(message).into();
        Ok(EcdsaSignature(self.key.sign(&digest)))
    }
}

impl Keypair for EcdsaSigner<'_> {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        self.public.clone()
    }
}

impl DynSignatureAlgorithmIdentifier for EcdsaSigner<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        Ok(AlgorithmIdentifierOwned {
            oid: ECDSA_WITH_SHA256,
            parameters: None,
        })
    }
}

/// The public half of a key that signs.
#[derive(Clone)]
pub(super) struct VerifyingKey(PublicKey);

impl EncodePublicKey for VerifyingKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.to_spki_der())?)
    }
}

/// A signature, which stands in a certificate in DER.
pub(super) struct EcdsaSignature(Signature);

impl SignatureBitStringEncoding for EcdsaSignature {
    fn to_bitstring(&self) -> x509_cert::der::Result<BitString> {
        BitString::from_bytes(&self.0.to_der())
    }
}
