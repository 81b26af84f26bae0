//! Where a Redis keeps the claim: under two names of its own beside the rows.

use async_trait::async_trait;
use redis::Value;

use super::{RedisStore, names, request::Request};
use crate::store::{StoreError, shared::SharedStore};

#[async_trait]
impl SharedStore for RedisStore {
    async fn prepare(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn recorded_claim(&self) -> Result<Option<String>, StoreError> {
        self.read(&Request::command("GET", &names::claim())).await
    }

    async fn record_claim(&self, claim: &str) -> Result<bool, StoreError> {
        let request = Request::command("SET", &names::claim()).arg(claim);
        let set: Value = self.write(&request.arg("NX")).await?;
        Ok(set == Value::Okay)
    }

    async fn known_keys(&self) -> Result<Vec<String>, StoreError> {
        self.read(&Request::command("SMEMBERS", &names::claimed_keys()))
            .await
    }

    async fn add_known_keys(&self, digests: &[String]) -> Result<(), StoreError> {
        let request = Request::command("SADD", &names::claimed_keys());
        let _: Value = self.write(&request.arg(digests)).await?;
        Ok(())
    }
}
