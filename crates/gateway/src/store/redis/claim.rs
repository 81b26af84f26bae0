//! Which secrets a store belongs to.
//!
//! The first gateway on an empty store stores a digest of its key-encryption key there. A gateway
//! with another key could not decrypt the rows of the others, nor they its rows, so it does not
//! start. A gateway that has no secrets may create them only if it is the one that stores the
//! digest.

use redis::Value;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{RedisStore, names};
use crate::store::StoreError;

/// The layout of the rows that this version reads and writes.
const LAYOUT: &str = "1";

/// Hashed before the key, so that no other program's digest of the same key is equal.
const CONTEXT: &[u8] = b"anonymous-domains-gateway key-encryption key\n";

/// The result of claiming a store for a key-encryption key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Claim {
    /// Nobody had claimed the store; now it is claimed for this key.
    First,
    /// It was claimed for this key before.
    Same,
    /// It was claimed for another key.
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

    /// Claims the store for the gateways that have this key-encryption key (64 hexadecimal
    /// digits in either case).
    ///
    /// # Errors
    ///
    /// As [`RedisStore::is_claimed`]. The store may then be claimed or not.
    pub async fn claim(&self, key_encryption_key: &str) -> Result<Claim, ClaimError> {
        let digest = digest(key_encryption_key);
        let mut command = redis::cmd("SET");
        command
            .arg(names::claim())
            .arg(format!("{LAYOUT} {digest}"));
        let set: Value = self.write(command.arg("NX")).await?;
        if set == Value::Okay {
            return Ok(Claim::First);
        }
        match self.claimed_for().await? {
            Some(claimed) if claimed == digest => Ok(Claim::Same),
            _ => Ok(Claim::Other),
        }
    }

    /// Whether the store was claimed for this key-encryption key.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::is_claimed`].
    pub async fn is_claimed_for(&self, key_encryption_key: &str) -> Result<bool, ClaimError> {
        Ok(self.claimed_for().await? == Some(digest(key_encryption_key)))
    }

    /// The digest of the key that the store was claimed for.
    async fn claimed_for(&self) -> Result<Option<String>, ClaimError> {
        let found: Option<String> = self.read(redis::cmd("GET").arg(names::claim())).await?;
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
