//! [`Bounded`], over a store that never answers.

use super::*;

struct Silent;

#[async_trait]
impl Store for Silent {
    async fn get(&self, _: &str) -> Result<Option<Entry>, StoreError> {
        std::future::pending().await
    }

    async fn exists(&self, _: &str) -> Result<bool, StoreError> {
        std::future::pending().await
    }

    async fn list_keys(&self, _: Option<&str>) -> Result<KeyPage, StoreError> {
        std::future::pending().await
    }

    async fn set(&self, _: &str, _: Vec<u8>) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn delete(&self, _: &str) -> Result<(), StoreError> {
        std::future::pending().await
    }

    async fn increment(&self, _: &str, _: i64) -> Result<i64, StoreError> {
        std::future::pending().await
    }

    async fn compare_and_swap(
        &self,
        _: &str,
        _: Option<Version>,
        _: Vec<u8>,
    ) -> Result<Swap, StoreError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn every_call_ends() {
    let store = Bounded::new(Arc::new(Silent), Duration::from_millis(1));
    let version = Version(0);
    let ends = [
        store.get("k").await.err(),
        store.exists("k").await.err(),
        store.list_keys(None).await.err(),
        store.set("k", Vec::new()).await.err(),
        store.delete("k").await.err(),
        store.increment("k", 1).await.err(),
        store
            .compare_and_swap("k", Some(version), Vec::new())
            .await
            .err(),
    ];
    for end in ends {
        assert!(matches!(end, Some(StoreError::Unavailable(_))), "{end:?}");
    }
}
