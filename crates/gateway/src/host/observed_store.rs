//! The store as one instance of the component calls it: every call is measured.

use crate::{
    observation::{
        Current, Observer,
        metrics::{Operation, StoreOutcome},
    },
    store::{Entry, KeyPage, Store, StoreError, Swap, Version},
};

/// A store whose calls an observer sees.
#[derive(Clone, Copy)]
pub(super) struct ObservedStore<'a> {
    store: &'a dyn Store,
    observer: &'a Observer,
    /// The request for which it is called.
    request: &'a Current,
}

impl<'a> ObservedStore<'a> {
    /// The calls of `store` for `request`.
    pub(super) fn new(store: &'a dyn Store, observer: &'a Observer, request: &'a Current) -> Self {
        Self {
            store,
            observer,
            request,
        }
    }

    async fn observe<T>(
        self,
        operation: Operation,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let call_of = self.observer.begin_store_call(operation, self.request);
        let result = call.await;
        call_of.end(match result {
            Ok(_) => StoreOutcome::Ok,
            Err(_) => StoreOutcome::Error,
        });
        result
    }

    /// As [`Store::get`].
    pub(super) async fn get(self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.observe(Operation::Get, self.store.get(key)).await
    }

    /// As [`Store::exists`].
    pub(super) async fn exists(self, key: &str) -> Result<bool, StoreError> {
        self.observe(Operation::Exists, self.store.exists(key))
            .await
    }

    /// As [`Store::list_keys`].
    pub(super) async fn list_keys(self, cursor: Option<&str>) -> Result<KeyPage, StoreError> {
        self.observe(Operation::ListKeys, self.store.list_keys(cursor))
            .await
    }

    /// As [`Store::set`].
    pub(super) async fn set(self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.observe(Operation::Set, self.store.set(key, value))
            .await
    }

    /// As [`Store::delete`].
    pub(super) async fn delete(self, key: &str) -> Result<(), StoreError> {
        self.observe(Operation::Delete, self.store.delete(key))
            .await
    }

    /// As [`Store::increment`].
    pub(super) async fn increment(self, key: &str, delta: i64) -> Result<i64, StoreError> {
        self.observe(Operation::Increment, self.store.increment(key, delta))
            .await
    }

    /// As [`Store::compare_and_swap`].
    pub(super) async fn compare_and_swap(
        self,
        key: &str,
        expected: Option<Version>,
        value: Vec<u8>,
    ) -> Result<Swap, StoreError> {
        let operation = Operation::CompareAndSwap;
        let call = self.observer.begin_store_call(operation, self.request);
        let result = self.store.compare_and_swap(key, expected, value).await;
        call.end(match result {
            Ok(Swap::Swapped) => StoreOutcome::Ok,
            Ok(Swap::Conflict(_)) => StoreOutcome::Conflict,
            Err(_) => StoreOutcome::Error,
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::SqliteStore;

    #[tokio::test]
    async fn every_call_is_measured() {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = SqliteStore::open(&directory.path().join("store.db")).unwrap();
        let (observer, request) = (Observer::default(), Current::default());
        let store = ObservedStore::new(&sqlite, &observer, &request);
        store.set("k", b"x".to_vec()).await.unwrap();
        assert!(store.exists("k").await.unwrap());
        assert!(store.get("k").await.unwrap().is_some());
        assert_eq!(store.list_keys(None).await.unwrap().keys, ["k"]);
        assert!(store.increment("k", 1).await.is_err());
        for expected in ["conflict", "ok"] {
            let version = store.get("k").await.unwrap().map(|entry| entry.version);
            let version = version.filter(|_| expected == "ok");
            let swap = store.compare_and_swap("k", version, Vec::new()).await;
            assert_eq!(swap == Ok(Swap::Swapped), expected == "ok");
        }
        store.delete("k").await.unwrap();

        let (_, page) = observer.metrics.page("");
        for (operation, outcome, count) in [
            ("set", "ok", 1),
            ("exists", "ok", 1),
            ("get", "ok", 3),
            ("list_keys", "ok", 1),
            ("increment", "error", 1),
            ("compare_and_swap", "conflict", 1),
            ("compare_and_swap", "ok", 1),
            ("delete", "ok", 1),
        ] {
            let line = format!(
                "anonymous_domains_store_operation_duration_seconds_count\
                 {{operation=\"{operation}\",outcome=\"{outcome}\"}} {count}"
            );
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
        assert!(page.contains("anonymous_domains_store_conflicts_total 1\n"));
    }
}
