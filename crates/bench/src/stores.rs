//! Stores for the component's logic when it runs natively.

use std::sync::Arc;

use anonymous_domains::store::{Store, StoreError, Swapped};
use anonymous_domains_gateway::store::{
    Store as _, StoreError as GatewayError, Swap, Version, sqlite::SqliteStore,
};

/// The gateway's own SQLite store, called directly.
#[derive(Clone)]
pub struct Sqlite(pub Arc<SqliteStore>);

fn failed(error: GatewayError) -> StoreError {
    StoreError(error.to_string())
}

impl Store for Sqlite {
    type Cas = (String, Option<Version>);

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let entry = self.0.get(key).await.map_err(failed)?;
        Ok(entry.map(|entry| entry.value))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.0.set(key, value.to_vec()).await.map_err(failed)
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.0.delete(key).await.map_err(failed)
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.0.increment(key, delta).await.map_err(failed)
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        let entry = self.0.get(key).await.map_err(failed)?;
        let version = entry.as_ref().map(|entry| entry.version);
        Ok(((key.to_owned(), version), entry.map(|entry| entry.value)))
    }

    async fn swap(&self, (key, expected): Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        match self
            .0
            .compare_and_swap(&key, expected, value.to_vec())
            .await
        {
            Ok(Swap::Swapped) => Swapped::Won,
            Ok(Swap::Conflict(now)) => {
                let version = now.as_ref().map(|entry| entry.version);
                Swapped::Failed((key, version), now.map(|entry| entry.value))
            }
            Err(error) => Swapped::Unknown(failed(error)),
        }
    }
}
