//! `wasi:keyvalue/store` and `atomics@0.2.0-draft2` over a [`Store`](crate::store::Store).
//!
//! There is one bucket, `default`. A compare-and-swap handle remembers the version that was
//! current when it was made, or when `current` last read it; `swap` succeeds only if that still is
//! the key's version. The first `current` gives what the handle was made with, so that a swap takes
//! one read and not two. A handle that `swap` consumed leaves the resource table.
//!
//! A guest that does not know whether its swap was done begins another one on that key. Where the
//! store is broken ([`StoreError::Broken`]) that handle is refused, once, for the swap's reason: the
//! guest would try again and again, and nothing that it reads instead is kept from it.

use atomics::CasError;
use store::{Error, KeyResponse};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::{
    Instance,
    bindings::wasi::keyvalue::{atomics, store},
    observed_store::ObservedStore,
};
use crate::store::{Entry, StoreError, Swap, Version};

/// The only bucket.
const BUCKET: &str = "default";

/// An open bucket. There is only one, so the handle holds nothing.
pub struct Bucket {}

/// A compare-and-swap that has begun.
pub struct Cas {
    key: String,
    observed: Option<Version>,
    /// The value of that version, until `current` has given it.
    read: Option<Option<Vec<u8>>>,
}

impl Cas {
    fn new(key: String, entry: Option<Entry>) -> Self {
        let (observed, value) = parts(entry);
        Self {
            key,
            observed,
            read: Some(value),
        }
    }
}

fn parts(entry: Option<Entry>) -> (Option<Version>, Option<Vec<u8>>) {
    entry.map(|entry| (entry.version, entry.value)).unzip()
}

/// Marks [`KeyValue`] as these interfaces' view of an [`Instance`].
struct HasKeyValue;

impl HasData for HasKeyValue {
    type Data<'a> = KeyValue<'a>;
}

/// The key of the last swap, if the store is broken, and the reason.
pub(super) type Refused = Option<(String, StoreError)>;

/// The part of an instance that the interfaces use.
struct KeyValue<'a> {
    table: &'a mut ResourceTable,
    refused: &'a mut Refused,
    store: ObservedStore<'a>,
}

/// A result that the guest sees, inside one that traps it.
type Answer<T, E = Error> = wasmtime::Result<Result<T, E>>;

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Other(error.to_string())
    }
}

impl store::Host for KeyValue<'_> {
    async fn open(&mut self, identifier: String) -> Answer<Resource<Bucket>> {
        if identifier != BUCKET {
            return Ok(Err(Error::AccessDenied));
        }
        Ok(Ok(self.table.push(Bucket {})?))
    }
}

impl store::HostBucket for KeyValue<'_> {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Option<Vec<u8>>> {
        self.table.get(&bucket)?;
        let entry = self.store.get(&key).await;
        Ok(entry
            .map(|entry| entry.map(|e| e.value))
            .map_err(Error::from))
    }

    async fn set(&mut self, bucket: Resource<Bucket>, key: String, value: Vec<u8>) -> Answer<()> {
        self.table.get(&bucket)?;
        Ok(self.store.set(&key, value).await.map_err(Error::from))
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<()> {
        self.table.get(&bucket)?;
        Ok(self.store.delete(&key).await.map_err(Error::from))
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<bool> {
        self.table.get(&bucket)?;
        Ok(self.store.exists(&key).await.map_err(Error::from))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        cursor: Option<String>,
    ) -> Answer<KeyResponse> {
        self.table.get(&bucket)?;
        let page = self.store.list_keys(cursor.as_deref()).await;
        Ok(page
            .map(|page| KeyResponse {
                keys: page.keys,
                cursor: page.cursor,
            })
            .map_err(Error::from))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl atomics::Host for KeyValue<'_> {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> Answer<i64> {
        self.table.get(&bucket)?;
        let sum = self.store.increment(&key, delta).await;
        Ok(sum.map_err(Error::from))
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> Answer<(), CasError> {
        let Cas { key, observed, .. } = self.table.delete(cas)?;
        match self.store.compare_and_swap(&key, observed, value).await {
            Ok(Swap::Swapped) => Ok(Ok(())),
            Ok(Swap::Conflict(current)) => {
                let retry = self.table.push(Cas::new(key, current))?;
                Ok(Err(CasError::CasFailed(retry)))
            }
            Err(error) => {
                if let StoreError::Broken(_) = &error {
                    *self.refused = Some((key, error.clone()));
                }
                Ok(Err(CasError::StoreError(error.into())))
            }
        }
    }
}

impl atomics::HostCas for KeyValue<'_> {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> Answer<Resource<Cas>> {
        self.table.get(&bucket)?;
        if let Some((_, error)) = self.refused.take().filter(|(refused, _)| *refused == key) {
            return Ok(Err(error.into()));
        }
        match self.store.get(&key).await {
            Ok(current) => Ok(Ok(self.table.push(Cas::new(key, current))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn current(&mut self, cas: Resource<Cas>) -> Answer<Option<Vec<u8>>> {
        let handle = self.table.get_mut(&cas)?;
        if let Some(value) = handle.read.take() {
            return Ok(Ok(value));
        }
        match self.store.get(&handle.key).await {
            Ok(current) => {
                let (observed, value) = parts(current);
                handle.observed = observed;
                Ok(Ok(value))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

/// Links both interfaces.
pub(super) fn link(linker: &mut Linker<Instance>) -> wasmtime::Result<()> {
    fn view(instance: &mut Instance) -> KeyValue<'_> {
        KeyValue {
            table: &mut instance.table,
            refused: &mut instance.refused,
            store: ObservedStore::new(
                &*instance.shared.store,
                &instance.shared.observer,
                &instance.current,
            ),
        }
    }
    store::add_to_linker::<_, HasKeyValue>(linker, view)?;
    atomics::add_to_linker::<_, HasKeyValue>(linker, view)
}

#[cfg(test)]
mod tests {
    use atomics::{Host as _, HostCas};
    use store::{Host as _, HostBucket};

    use super::*;
    use crate::{
        observation::{Current, Observer},
        store::{KeyPage, Store, async_trait, sqlite::SqliteStore},
    };

    /// A store with one value, whose disk is full.
    struct Full;

    #[async_trait]
    impl Store for Full {
        async fn get(&self, _: &str) -> Result<Option<Entry>, StoreError> {
            Ok(Some(Entry {
                value: b"v".to_vec(),
                version: Version::new(1),
            }))
        }

        async fn exists(&self, _: &str) -> Result<bool, StoreError> {
            Ok(true)
        }

        async fn list_keys(&self, _: Option<&str>) -> Result<KeyPage, StoreError> {
            Err(full())
        }

        async fn set(&self, _: &str, _: Vec<u8>) -> Result<(), StoreError> {
            Err(full())
        }

        async fn delete(&self, _: &str) -> Result<(), StoreError> {
            Err(full())
        }

        async fn increment(&self, _: &str, _: i64) -> Result<i64, StoreError> {
            Err(full())
        }

        async fn compare_and_swap(
            &self,
            _: &str,
            _: Option<Version>,
            _: Vec<u8>,
        ) -> Result<Swap, StoreError> {
            Err(full())
        }
    }

    fn full() -> StoreError {
        StoreError::Broken("the store's disk is full".into())
    }

    #[derive(Default)]
    struct Around(Observer, Current, Refused);

    impl Around {
        fn host<'a>(
            &'a mut self,
            table: &'a mut ResourceTable,
            store: &'a dyn Store,
        ) -> KeyValue<'a> {
            KeyValue {
                table,
                refused: &mut self.2,
                store: ObservedStore::new(store, &self.0, &self.1),
            }
        }
    }

    /// A handle for another call, as a guest passes it.
    fn lend<T: 'static>(handle: &Resource<T>) -> Resource<T> {
        Resource::new_own(handle.rep())
    }

    fn opened() -> (tempfile::TempDir, SqliteStore) {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&directory.path().join("store.db")).unwrap();
        (directory, store)
    }

    #[tokio::test]
    async fn only_the_default_bucket_opens() {
        let (_directory, store) = opened();
        let mut table = ResourceTable::new();
        let mut around = Around::default();
        let mut host = around.host(&mut table, &store);
        for name in ["", "other", "Default"] {
            let opened = host.open(name.into()).await.unwrap();
            assert!(matches!(opened, Err(Error::AccessDenied)), "{name}");
        }
        assert!(host.open("default".into()).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn swaps_consume_their_handles_and_a_failed_one_gives_a_current_one() {
        let (_directory, store) = opened();
        let mut table = ResourceTable::new();
        let mut around = Around::default();
        let mut host = around.host(&mut table, &store);
        let bucket = host.open("default".into()).await.unwrap().unwrap();
        let first = host.new(lend(&bucket), "k".into()).await.unwrap().unwrap();
        let second = host.new(lend(&bucket), "k".into()).await.unwrap().unwrap();

        // Both saw nothing; neither asked for the current value.
        let won = host.swap(lend(&first), b"one".to_vec()).await.unwrap();
        assert!(won.is_ok());
        let lost = host.swap(lend(&second), b"two".to_vec()).await.unwrap();
        let Err(CasError::CasFailed(retry)) = lost else {
            panic!("two creators won");
        };
        // The new handle has the current version without another read.
        let won = host.swap(retry, b"three".to_vec()).await.unwrap();
        assert!(won.is_ok());
        let value = HostBucket::get(&mut host, lend(&bucket), "k".into()).await;
        assert_eq!(value.unwrap().unwrap(), Some(b"three".to_vec()));

        HostBucket::drop(&mut host, bucket).await.unwrap();
        assert!(table.is_empty(), "a handle leaked");
    }

    #[tokio::test]
    async fn current_gives_what_was_read_and_then_reads_again() {
        let (_directory, store) = opened();
        let mut table = ResourceTable::new();
        let mut around = Around::default();
        let mut host = around.host(&mut table, &store);
        let bucket = host.open("default".into()).await.unwrap().unwrap();
        store.set("k", b"first".to_vec()).await.unwrap();
        let cas = host.new(lend(&bucket), "k".into()).await.unwrap().unwrap();
        store.set("k", b"later".to_vec()).await.unwrap();
        // The value that the handle was made with, and no other version's.
        let current = host.current(lend(&cas)).await.unwrap().unwrap();
        assert_eq!(current, Some(b"first".to_vec()));
        let current = host.current(lend(&cas)).await.unwrap().unwrap();
        assert_eq!(current, Some(b"later".to_vec()));
        assert!(host.swap(cas, b"new".to_vec()).await.unwrap().is_ok());

        // A swap after the first read fails if there was another write.
        let cas = host.new(lend(&bucket), "k".into()).await.unwrap().unwrap();
        store.set("k", b"other".to_vec()).await.unwrap();
        host.current(lend(&cas)).await.unwrap().unwrap();
        let Err(CasError::CasFailed(retry)) = host.swap(cas, Vec::new()).await.unwrap() else {
            panic!("a write was lost");
        };
        let current = host.current(lend(&retry)).await.unwrap().unwrap();
        assert_eq!(current, Some(b"other".to_vec()));
        assert!(host.swap(retry, b"new".to_vec()).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_swap_that_cannot_succeed_is_not_tried_again() {
        let mut table = ResourceTable::new();
        let mut around = Around::default();
        let mut host = around.host(&mut table, &Full);
        let bucket = host.open("default".into()).await.unwrap().unwrap();
        for _ in 0..2 {
            let cas = host.new(lend(&bucket), "k".into()).await.unwrap().unwrap();
            let swap = host.swap(cas, b"new".to_vec()).await.unwrap();
            assert!(matches!(swap, Err(CasError::StoreError(_))));
            // Whoever looks at the key reads it; whoever swaps again is told why that is of no use.
            let read = HostBucket::get(&mut host, lend(&bucket), "k".into()).await;
            assert_eq!(read.unwrap().unwrap(), Some(b"v".to_vec()));
            let again = host.new(lend(&bucket), "k".into()).await.unwrap();
            assert!(matches!(again, Err(Error::Other(text)) if text.contains("disk is full")));
        }
        // Others, and whoever comes later, are not.
        let cas = host.new(lend(&bucket), "k".into()).await.unwrap().unwrap();
        assert!(host.swap(cas, Vec::new()).await.unwrap().is_err());
        assert!(
            host.new(lend(&bucket), "other".into())
                .await
                .unwrap()
                .is_ok()
        );
        assert!(host.new(lend(&bucket), "k".into()).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn errors_reach_the_guest_as_text() {
        let (_directory, store) = opened();
        let mut table = ResourceTable::new();
        let mut around = Around::default();
        let mut host = around.host(&mut table, &store);
        let bucket = host.open("default".into()).await.unwrap().unwrap();
        store.set("k", b"text".to_vec()).await.unwrap();
        let sum = host.increment(bucket, "k".into(), 1).await.unwrap();
        assert!(matches!(sum, Err(Error::Other(text)) if text == "the value is not a number"));
    }
}
