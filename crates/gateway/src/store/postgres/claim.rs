//! Where a PostgreSQL keeps the claim: in rows of the one table, with keys that no text has.

use async_trait::async_trait;
use tokio_postgres::types::Type;

use super::{PostgresStore, foreign};
use crate::store::{StoreError, random_version, shared::SharedStore};

/// No UTF-8 text has this byte, and each text is less.
pub(super) const NO_TEXT: &[u8] = b"\xff";

const CLAIM: &[u8] = b"\xffclaim";
const KNOWN_KEY: &[u8] = b"\xffkey ";

#[async_trait]
impl SharedStore for PostgresStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        self.make_table().await
    }

    async fn recorded_claim(&self) -> Result<Option<String>, StoreError> {
        // A check of the configuration makes no table.
        if !self.has_table().await? {
            return Ok(None);
        }
        let entry = self.row(CLAIM).await?;
        let text = entry
            .map(|entry| String::from_utf8(entry.value))
            .transpose();
        text.map_err(|_| foreign())
    }

    async fn record_claim(&self, claim: &str) -> Result<bool, StoreError> {
        self.insert(CLAIM, claim.as_bytes()).await
    }

    async fn known_keys(&self) -> Result<Vec<String>, StoreError> {
        let rows = self
            .read(
                "SELECT key FROM anonymous_domains WHERE key > $1 AND substr(key, 1, $2) = $1",
                &[
                    (&KNOWN_KEY, Type::BYTEA),
                    (&(KNOWN_KEY.len() as i32), Type::INT4),
                ],
            )
            .await
            .map_err(super::failed)?;
        rows.iter()
            .map(|row| {
                let key: &[u8] = row.try_get(0).map_err(|_| foreign())?;
                let digest = key.get(KNOWN_KEY.len()..).unwrap_or_default();
                Ok(String::from_utf8_lossy(digest).into_owned())
            })
            .collect()
    }

    async fn add_known_keys(&self, digests: &[String]) -> Result<(), StoreError> {
        for digest in digests {
            let key = [KNOWN_KEY, digest.as_bytes()].concat();
            self.insert(&key, b"").await?;
        }
        Ok(())
    }
}

impl PostgresStore {
    /// Adds a row if there is none with its key, and says whether it did.
    pub(super) async fn insert(&self, key: &[u8], value: &[u8]) -> Result<bool, StoreError> {
        let version = random_version()?;
        let rows = self
            .write(
                "INSERT INTO anonymous_domains (key, version, value) VALUES ($1, $2, $3)
                 ON CONFLICT (key) DO NOTHING",
                &[
                    (&key, Type::BYTEA),
                    (&version, Type::INT8),
                    (&value, Type::BYTEA),
                ],
            )
            .await;
        Ok(rows.map_err(super::failed)? == 1)
    }
}
