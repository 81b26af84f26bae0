//! Where a Redis keeps the claim: under two names of its own beside the rows.

use async_trait::async_trait;
use redis::Value;

use super::{RedisStore, names};
use crate::store::{StoreError, shared::SharedStore};

#[async_trait]
impl SharedStore for RedisStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn recorded_claim(&self) -> Result<Option<String>, StoreError> {
        self.read(redis::cmd("GET").arg(names::claim())).await
    }

    async fn record_claim(&self, claim: &str) -> Result<bool, StoreError> {
        let mut command = redis::cmd("SET");
        command.arg(names::claim()).arg(claim).arg("NX");
        let set: Value = self.write(&command).await?;
        Ok(set == Value::Okay)
    }

    async fn known_keys(&self) -> Result<Vec<String>, StoreError> {
        self.read(redis::cmd("SMEMBERS").arg(names::claimed_keys()))
            .await
    }

    async fn add_known_keys(&self, digests: &[String]) -> Result<(), StoreError> {
        let mut command = redis::cmd("SADD");
        command.arg(names::claimed_keys()).arg(digests);
        let _: Value = self.write(&command).await?;
        Ok(())
    }
}
