//! A store whose rows are changed in memory, and written to another store from time to time.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::Arc,
};

use anonymous_domains::store::{Store, StoreError, Swapped};
use anonymous_domains_gateway::store as gateway;

use crate::sink::Sink;

/// What a row needs in memory besides its key and its value, about.
const OVERHEAD_BYTES: usize = 128;

/// The rows of one table.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sizes {
    /// How many there are.
    pub rows: usize,
    /// All together, in bytes.
    pub bytes: usize,
    /// The largest that was written, in bytes.
    pub largest: usize,
}

/// A store in front of another one, for a single writer: nobody else may write to that meanwhile.
/// What was written is lost unless [`flush`](Buffered::flush) was called after it.
pub struct Buffered {
    store: Arc<dyn gateway::Store>,
    /// The way into it.
    sink: Sink,
    rows: RefCell<BTreeMap<String, Row>>,
    bytes: Cell<usize>,
    versions: Cell<u64>,
    sizes: RefCell<BTreeMap<String, Sizes>>,
}

/// A row in memory.
struct Row {
    value: Vec<u8>,
    /// A number that no other state of a row has.
    version: u64,
    /// Its length in the other store, if it is there.
    stored: Option<usize>,
    /// Whether the other store has another value, or none.
    is_changed: bool,
}

impl Buffered {
    /// A store in front of `store`, which is written through `sink`.
    pub fn new(store: Arc<dyn gateway::Store>, sink: Sink) -> Self {
        Self {
            store,
            sink,
            rows: RefCell::default(),
            bytes: Cell::default(),
            versions: Cell::default(),
            sizes: RefCell::default(),
        }
    }

    /// How much memory its rows need, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// The sizes of the rows that were written to the other store, by table.
    pub fn sizes(&self) -> BTreeMap<String, Sizes> {
        self.sizes.borrow().clone()
    }

    /// Writes what was changed to the other store, calls `told` with the length of each row, and
    /// forgets all rows.
    ///
    /// # Errors
    ///
    /// If the other store cannot be written.
    pub async fn flush(&self, mut told: impl FnMut(u64)) -> anyhow::Result<()> {
        let rows = self.rows.take();
        self.bytes.set(0);
        // By key, so that neighbours in an index are written together.
        let changed = rows.into_iter().filter(|(_, row)| row.is_changed);
        let changed = changed.map(|(key, row)| {
            self.tally(&key, &row);
            (key, row.value)
        });
        self.sink.write(changed, &mut told).await
    }

    fn tally(&self, key: &str, row: &Row) {
        let table = key.split(':').nth(1).unwrap_or_default();
        let mut sizes = self.sizes.borrow_mut();
        let sizes = sizes.entry(table.to_owned()).or_default();
        sizes.rows += usize::from(row.stored.is_none());
        sizes.bytes = sizes.bytes + row.value.len() - row.stored.unwrap_or_default();
        sizes.largest = sizes.largest.max(row.value.len());
    }

    /// Puts a value in memory, that the other store has if `is_stored`.
    fn put(&self, key: &str, value: Vec<u8>, is_stored: bool) -> u64 {
        let version = self.versions.get() + 1;
        self.versions.set(version);
        let mut rows = self.rows.borrow_mut();
        let former = rows.remove(key);
        let size = |value: &[u8]| key.len() + value.len() + OVERHEAD_BYTES;
        let freed = former.as_ref().map_or(0, |row| size(&row.value));
        self.bytes.set(self.bytes.get() + size(&value) - freed);
        let stored = match is_stored {
            true => Some(value.len()),
            false => former.and_then(|row| row.stored),
        };
        let is_changed = !is_stored;
        let row = Row {
            value,
            version,
            stored,
            is_changed,
        };
        rows.insert(key.to_owned(), row);
        version
    }

    /// A row's value and version.
    async fn row(&self, key: &str) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        if let Some(row) = self.rows.borrow().get(key) {
            return Ok(Some((row.version, row.value.clone())));
        }
        let entry = self.store.get(key).await;
        let entry = entry.map_err(|error| StoreError(error.to_string()))?;
        Ok(entry.map(|entry| (self.put(key, entry.value.clone(), true), entry.value)))
    }
}

impl Store for Buffered {
    type Cas = (String, Option<u64>);

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.row(key).await?.map(|(_, value)| value))
    }

    async fn set(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.put(key, value.into(), false);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.rows.borrow_mut().remove(key);
        let deleted = self.store.delete(key).await;
        deleted.map_err(|error| StoreError(error.to_string()))
    }

    async fn increment(&self, _: &str, _: i64) -> Result<i64, StoreError> {
        Err(StoreError("nobody increments in this store".into()))
    }

    async fn begin(&self, key: &str) -> Result<(Self::Cas, Option<Vec<u8>>), StoreError> {
        let row = self.row(key).await?;
        let (version, value) = row.unzip();
        Ok(((key.to_owned(), version), value))
    }

    async fn swap(&self, (key, expected): Self::Cas, value: &[u8]) -> Swapped<Self::Cas> {
        match self.row(&key).await {
            Ok(row) if row.as_ref().map(|(version, _)| *version) == expected => {
                self.put(&key, value.into(), false);
                Swapped::Won
            }
            Ok(row) => {
                let (version, value) = row.unzip();
                Swapped::Failed((key, version), value)
            }
            Err(error) => Swapped::Unknown(error),
        }
    }
}
