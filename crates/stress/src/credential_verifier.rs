//! Decrypts and verifies the credentials in answers, and remembers which keys it has verified.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use anonymous_domains_device::{credentials, membership::HeldCredential};
use anonymous_domains_protocol::{
    base64url,
    ids::DomainName,
    json, jwe,
    jwk::PrivateKey,
    response::{Credential, PrivateKeySet, RegisterResponse},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use x509_cert::{
    Certificate,
    der::{Decode as _, Encode as _},
};

use crate::{
    history::{KeyPrint, KeySeen},
    machine::Machine,
};

/// A hash of a credential and its private key. What was verified once is not verified again: that
/// takes long for RSA keys.
type Fingerprint = [u8; 32];

/// The domain of a list of keys, its newest version, and its length.
type ListId = (DomainName, u64, usize);

/// Verifies credentials.
pub struct CredentialVerifier {
    /// The domain CA's certificates, in DER.
    anchors: Vec<Vec<u8>>,
    verified: Mutex<HashMap<Fingerprint, KeyPrint>>,
    /// The lists of keys in answers, each kept once: all members of a domain get the same.
    lists: Mutex<HashMap<ListId, Arc<[KeySeen]>>>,
}

impl CredentialVerifier {
    /// A verifier for a server whose domain CA has these certificates, in DER.
    pub fn new(anchors: Vec<Vec<u8>>) -> Self {
        Self {
            anchors,
            verified: Mutex::default(),
            lists: Mutex::default(),
        }
    }

    /// The keys in an answer to `machine`. Verifies that each certificate is valid and that each
    /// private key belongs to it. Does not check the order of the versions.
    ///
    /// # Errors
    ///
    /// What is wrong with the answer. No text contains anything of a private key.
    pub fn verify(
        &self,
        answer: &RegisterResponse,
        domain: &DomainName,
        machine: &Machine,
    ) -> Result<Arc<[KeySeen]>, String> {
        if answer.domain != *domain || answer.machine_guid != machine.guid {
            return Err("it is for another domain or machine".to_owned());
        }
        let secrets = match &answer.encrypted_keys {
            None => Vec::new(),
            Some(encrypted) => decrypt(encrypted, &machine.key)?,
        };
        if secrets.len() != answer.credentials.len() {
            return Err(format!(
                "{} private keys for {} credentials",
                secrets.len(),
                answer.credentials.len()
            ));
        }
        let mut seen = Vec::with_capacity(secrets.len());
        for (credential, secret) in answer.credentials.iter().zip(&secrets) {
            let version = credential.key_version;
            let key = self
                .check(credential, secret, domain)
                .map_err(|why| format!("version {version}: {why}"))?;
            seen.push(KeySeen { version, key });
        }
        Ok(self.shared(domain, seen))
    }

    fn check(
        &self,
        credential: &Credential,
        secret: &Value,
        domain: &DomainName,
    ) -> Result<KeyPrint, String> {
        if secret["kid"] != credential.kid.as_str() {
            return Err("the private key belongs to another credential".to_owned());
        }
        let fingerprint = fingerprint(credential, secret, domain);
        if let Some(key) = lock(&self.verified).get(&fingerprint) {
            return Ok(*key);
        }
        let private = PrivateKey::from_jwk(secret)
            .map_err(|error| format!("the private key is unusable: {error}"))?;
        let held = HeldCredential {
            credential: credential.clone(),
            private_key: private.to_pkcs8_pem(),
        };
        credentials::check(&held, domain, &self.anchors)?;
        let key = print_of(&private.public_key().to_spki_der());
        lock(&self.verified).insert(fingerprint, key);
        Ok(key)
    }

    /// The list, or an equal one that was kept before.
    fn shared(&self, domain: &DomainName, seen: Vec<KeySeen>) -> Arc<[KeySeen]> {
        let newest = seen.last().map_or(0, |key| key.version);
        let mut lists = lock(&self.lists);
        let list = lists
            .entry((domain.clone(), newest, seen.len()))
            .or_insert_with(|| seen.as_slice().into());
        if **list == *seen {
            Arc::clone(list)
        } else {
            seen.into()
        }
    }
}

/// The key that a certificate chain (DER in standard base64, the leaf first) certifies.
///
/// # Errors
///
/// When there is no leaf, or it is not a certificate.
pub fn certified_key(x5c: &[String]) -> Result<KeyPrint, String> {
    let leaf = x5c
        .first()
        .ok_or_else(|| "there is no certificate".to_owned())?;
    base64url::decode_standard(leaf)
        .ok()
        .and_then(|der| Certificate::from_der(&der).ok())
        .and_then(|leaf| {
            let spki = leaf.tbs_certificate().subject_public_key_info();
            spki.to_der().ok()
        })
        .map(|der| print_of(&der))
        .ok_or_else(|| "there is something that is not a certificate".to_owned())
}

fn decrypt(encrypted: &str, key: &PrivateKey) -> Result<Vec<Value>, String> {
    let plaintext =
        jwe::decrypt(encrypted, key).map_err(|error| format!("the private keys: {error}"))?;
    json::from_slice_strict(&plaintext)
        .ok()
        .and_then(|set| serde_json::from_value::<PrivateKeySet>(set).ok())
        .map(|set| set.keys)
        .ok_or_else(|| "the private keys are not a JWK Set".to_owned())
}

fn fingerprint(credential: &Credential, secret: &Value, domain: &DomainName) -> Fingerprint {
    let mut hash = Sha256::new();
    let version = credential.key_version.to_string();
    for part in [domain.as_str(), &version]
        .into_iter()
        .chain(credential.x5c.iter().map(String::as_str))
    {
        hash.update(part);
        hash.update([0]);
    }
    for name in [
        "kty", "crv", "x", "y", "n", "e", "d", "p", "q", "dp", "dq", "qi",
    ] {
        hash.update(secret[name].as_str().unwrap_or_default());
        hash.update([0]);
    }
    hash.finalize().into()
}

/// The first bytes of the SHA-256 of a public key's SubjectPublicKeyInfo.
fn print_of(spki_der: &[u8]) -> KeyPrint {
    let digest: [u8; 32] = Sha256::digest(spki_der).into();
    let (start, _) = digest
        .split_first_chunk()
        .expect("a digest has more than 8 bytes");
    KeyPrint::from_be_bytes(*start)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
