//! What stores that several gateways share have in common: credentials, errors, and a claim.
//!
//! The first gateway on an empty store stores a digest of its key-encryption key there. A gateway
//! with other keys could not decrypt the rows of the others, nor they its rows, so it does not
//! start. One that has several keys, among them one that is known, makes the others known: this is
//! how a key is replaced. Whether rows need a key that a gateway lacks, only the component knows.
//! A gateway that has no secrets may create them only if it is the one that stores the digest.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Store, StoreError};

/// The layout of the rows that this version reads and writes.
const LAYOUT: &str = "1";

/// Hashed before the key, so that no other program's digest of the same key is equal.
const CONTEXT: &[u8] = b"anonymous-domains-gateway key-encryption key\n";

/// The credentials for a URL. All are optional. `Debug` shows none of them.
#[derive(Default)]
pub struct Credentials {
    /// The password, if the URL has none.
    pub password: Option<Zeroizing<String>>,
    /// A password file as PostgreSQL's own clients read it (`PGPASSFILE`), for a PostgreSQL whose
    /// password comes from nowhere else.
    pub password_file: Option<PathBuf>,
    /// The CA certificates for the server, in PEM, instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// The gateway's own certificate chain and its private key, in PEM.
    pub identity: Option<(Vec<u8>, Zeroizing<Vec<u8>>)>,
}

/// Why an address cannot be used. Shows no credentials.
#[derive(Debug, Error)]
pub enum AddressError {
    /// It is not the URL of a store.
    #[error(
        "that is no URL of a store: write it as redis://[USER@]HOST[:PORT][/DATABASE], with several \
         HOST[:PORT],... for a cluster, rediss:// for TLS, redis+unix:///SOCKET[?db=DATABASE][&user=USER] or \
         postgres://[USER@]HOST[:PORT][,HOST...]/DATABASE[?OPTIONS]{0}"
    )]
    NoUrl(String),
    /// The server's certificate would not be checked.
    #[error("a store whose certificate is not checked is refused: give its CA with --store-ca")]
    Insecure,
    /// A password in the URL and one in a file.
    #[error(
        "the store's URL has a password, and --store-password-file gives another: leave one out"
    )]
    TwoPasswords,
    /// A password file that cannot be used.
    #[error("{0}")]
    PasswordFile(String),
    /// Certificates for a connection without TLS.
    #[error(
        "certificates are for stores with TLS: rediss://, or postgres:// without sslmode=disable"
    )]
    NoTls,
    /// A file is not PEM, or has other content.
    #[error("the store's CA, certificate or key cannot be used: {0}")]
    Certificates(String),
}

/// Why the store could not be connected at the start. Shows no credentials.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The server asks for a password, takes another one, or does not permit a command.
    #[error(
        "{address} does not let the gateway in: {}; see the user in --store, and \
         --store-password-file",
        reason.trim_end_matches('.')
    )]
    Denied {
        /// The URL without credentials.
        address: String,
        /// The server's own words.
        reason: String,
    },
    /// It is configured so that it would lose what it acknowledged.
    #[error("{address} is not used, because it would lose acknowledged writes: {reason}")]
    Unsafe {
        /// The URL without credentials.
        address: String,
        /// Which configuration.
        reason: String,
    },
    /// Several servers that are no cluster.
    #[error(
        "{address} names several servers, as is meant for a cluster, but they are none: name the one \
         that is to be used"
    )]
    NoCluster {
        /// The URL without credentials.
        address: String,
    },
    /// It could not be reached in time.
    #[error(
        "{address} cannot be used, and was tried for {} s: {}; does it run, at this address?",
        .waited.as_secs(),
        reason.split_whitespace().collect::<Vec<_>>().join(" ")
    )]
    Away {
        /// The URL without credentials.
        address: String,
        /// Why the last attempt failed.
        reason: String,
        /// How long it was tried.
        waited: Duration,
    },
}

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

/// A store that several gateways share. It keeps, apart from the rows, whose secrets it belongs to.
#[async_trait]
pub trait SharedStore: Store {
    /// Makes what the store needs before it can hold a row, if that is missing.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    async fn prepare(&self) -> Result<(), StoreError>;

    /// The claim that was recorded.
    ///
    /// # Errors
    ///
    /// If the store does not answer, as all methods.
    async fn recorded_claim(&self) -> Result<Option<String>, StoreError>;

    /// Records a claim if there is none, and says whether it did.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::recorded_claim`]. It may then be recorded or not.
    async fn record_claim(&self, claim: &str) -> Result<bool, StoreError>;

    /// The digests of all keys that gateways of the store have had.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::recorded_claim`].
    async fn known_keys(&self) -> Result<Vec<String>, StoreError>;

    /// Adds to these.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::record_claim`].
    async fn add_known_keys(&self, digests: &[String]) -> Result<(), StoreError>;

    /// Whether a gateway has claimed the store.
    ///
    /// # Errors
    ///
    /// If the store does not answer, or has another layout.
    async fn is_claimed(&self) -> Result<bool, ClaimError> {
        Ok(claimed_digest(self.recorded_claim().await?)?.is_some())
    }

    /// Claims the store for the gateways that have one of these key-encryption keys (64 hexadecimal
    /// digits in either case), of which there must be one.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::is_claimed`]. The store may then be claimed or not.
    async fn claim(&self, key_encryption_keys: &[&str]) -> Result<Claim, ClaimError> {
        let digests: Vec<String> = key_encryption_keys.iter().map(|key| digest(key)).collect();
        let first = digests.first().map_or("", String::as_str);
        let claim = if self.record_claim(&format!("{LAYOUT} {first}")).await? {
            Claim::First
        } else if self.is_claimed_for(key_encryption_keys).await? {
            Claim::Same
        } else {
            return Ok(Claim::Other);
        };
        if digests.len() > 1 {
            self.add_known_keys(&digests).await?;
        }
        Ok(claim)
    }

    /// Whether the store was claimed for one of these key-encryption keys.
    ///
    /// # Errors
    ///
    /// As [`SharedStore::is_claimed`].
    async fn is_claimed_for(&self, key_encryption_keys: &[&str]) -> Result<bool, ClaimError> {
        let digests: Vec<String> = key_encryption_keys.iter().map(|key| digest(key)).collect();
        let claimed = claimed_digest(self.recorded_claim().await?)?;
        if claimed.is_some_and(|claimed| digests.contains(&claimed)) {
            return Ok(true);
        }
        let known = self.known_keys().await?;
        Ok(known.iter().any(|known| digests.contains(known)))
    }
}

/// The digest of the key that a store was claimed for.
fn claimed_digest(recorded: Option<String>) -> Result<Option<String>, ClaimError> {
    match recorded.as_deref().map(|claim| claim.split_once(' ')) {
        None => Ok(None),
        Some(Some((LAYOUT, digest))) => Ok(Some(digest.to_owned())),
        Some(_) => Err(ClaimError::Layout),
    }
}

/// SHA-256 in hexadecimal digits. The key has 256 random bits, so its digest reveals nothing.
fn digest(key_encryption_key: &str) -> String {
    let key = Zeroizing::new(key_encryption_key.to_ascii_lowercase());
    let digest = Sha256::new()
        .chain_update(CONTEXT)
        .chain_update(key.as_bytes());
    let digest = digest.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
