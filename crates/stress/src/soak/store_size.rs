//! How large the store is.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context as _;
use rusqlite::{Connection, OpenFlags};

/// A store's size at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreSize {
    /// The file's pages that hold something, in bytes.
    pub used_bytes: u64,
    /// Its pages that hold nothing, in bytes: they are used again before it grows.
    pub free_bytes: u64,
    /// The write-ahead log's file, in bytes.
    pub wal_bytes: u64,
    /// How many rows there are.
    pub rows: u64,
    /// The same by what their names begin with.
    pub tables: BTreeMap<String, u64>,
}

impl StoreSize {
    /// Measures the store in a state directory, while gateways use it.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn measure(state: &Path) -> anyhow::Result<Self> {
        let path = state.join("store.db");
        let db = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        db.busy_timeout(std::time::Duration::from_secs(10))?;
        let transaction = db.unchecked_transaction()?;
        let pragma = |name| {
            let value = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
            let value = transaction.pragma_query_value(None, name, value)?;
            Ok::<_, rusqlite::Error>(u64::try_from(value).unwrap_or_default())
        };
        let page = pragma("page_size")?;
        let free = pragma("freelist_count")?;
        let used = pragma("page_count")?.saturating_sub(free);
        let mut tables = BTreeMap::new();
        let mut rows = transaction.prepare("SELECT key FROM kv")?;
        for key in rows.query_map([], |row| row.get::<_, String>(0))? {
            let key = key?;
            // A row's name is that of its table, and a random number.
            let table = key
                .rsplit_once(['/', ':', '.'])
                .map_or("", |(table, _)| table);
            *tables.entry(table.to_owned()).or_insert(0) += 1;
        }
        let wal = fs::metadata(state.join("store.db-wal"));
        Ok(Self {
            used_bytes: used * page,
            free_bytes: free * page,
            wal_bytes: wal.map_or(0, |wal| wal.len()),
            rows: tables.values().sum(),
            tables,
        })
    }
}
