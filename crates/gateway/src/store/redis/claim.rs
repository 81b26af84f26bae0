//! Which secrets a store belongs to.
//!
//! The first gateway on an empty store stores a digest of its key-encryption key there. A gateway
//! with other keys could not decrypt the rows of the others, nor they its rows, so it does not
//! start. One that has several keys, among them one that is known, makes the others known: this is
//! how a key is replaced. Whether rows need a key that a gateway lacks, only the component knows.
//! A gateway that has no secrets may create them only if it is the one that stores the digest.

use redis::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{RedisStore, names, request::Request};
use crate::store::StoreError;

/// The layout of the rows that this version reads and writes.
const LAYOUT: &str = "1";

/// Hashed before the key, so that no other program's digest of the same key is equal.
const CONTEXT: &[u8] = b"anonymous-domains-gateway key-encryption key\n";

/// The result of claiming a store for a key-encryption key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    /// Nobody had claimed the store; now it is claimed for these keys.
    First,
    /// It was claimed for one of these keys before.
    Same,
    /// It was claimed for other keys.
    Other,
}

/// Why a store cannot be claimed.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// It was written by a newer version, or not by a gateway.
    #[error("the store has a layout that this version does not know")]
    Layout,
    /// It did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RedisStore {
    /// Whether a gateway has claimed the store.
    ///
    /// # Errors
    ///
    /// If the store does not answer, or has another layout.
    pub async fn is_claimed(&self) -> Result<bool, ClaimError> {
        Ok(self.claimed_for().await?.is_some())
    }

    /// Claims the store for the gateways that have one of these key-encryption keys (64 hexadecimal
    /// digits in either case), of which there must be one.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::is_claimed`]. The store may then be claimed or not.
    pub async fn claim(&self, key_encryption_keys: &[&str]) -> Result<Claim, ClaimError> {
        let digests: Vec<String> = key_encryption_keys.iter().map(|key| digest(key)).collect();
        let first = digests.first().map_or("", String::as_str);
        let request = Request::command("SET", &names::claim()).arg(format!("{LAYOUT} {first}"));
        let set: Value = self.write(&request.arg("NX")).await?;
        let claim = match set {
            Value::Okay => Claim::First,
            _ if self.knows(&digests).await? => Claim::Same,
            _ => return Ok(Claim::Other),
        };
        if digests.len() > 1 {
            let request = Request::command("SADD", &names::claimed_keys());
            let _: Value = self.write(&request.arg(&digests)).await?;
        }
        Ok(claim)
    }

    /// Whether the store was claimed for one of the keys with these digests.
    async fn knows(&self, digests: &[String]) -> Result<bool, ClaimError> {
        let claimed = self.claimed_for().await?;
        if claimed.is_some_and(|claimed| digests.contains(&claimed)) {
            return Ok(true);
        }
        let request = Request::command("SMEMBERS", &names::claimed_keys());
        let known: Vec<String> = self.read(&request).await?;
        Ok(known.iter().any(|known| digests.contains(known)))
    }

    /// Whether the store was claimed for one of these key-encryption keys.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::is_claimed`].
    pub async fn is_claimed_for(&self, key_encryption_keys: &[&str]) -> Result<bool, ClaimError> {
        let digests: Vec<String> = key_encryption_keys.iter().map(|key| digest(key)).collect();
        self.knows(&digests).await
    }

    /// The digest of the key that the store was claimed for.
    async fn claimed_for(&self) -> Result<Option<String>, ClaimError> {
        let request = Request::command("GET", &names::claim());
        let found: Option<String> = self.read(&request).await?;
        match found.as_deref().map(|found| found.split_once(' ')) {
            None => Ok(None),
            Some(Some((LAYOUT, digest))) => Ok(Some(digest.to_owned())),
            Some(_) => Err(ClaimError::Layout),
        }
    }
}

/// SHA-256 in hexadecimal digits. The key has 256 random bits, so its digest reveals nothing.
fn digest(key_encryption_key: &str) -> String {
    let key = zeroize::Zeroizing::new(key_encryption_key.to_ascii_lowercase());
    let digest = Sha256::new()
        .chain_update(CONTEXT)
        .chain_update(key.as_bytes());
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
